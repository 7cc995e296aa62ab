//! Patterns: which paths a route is for.
//!
//! A segment is literal (`video`), or holds one variable with something before or after it (`{id}`, `meeting_{id}.zip`),
//! or, the last one only, takes all segments that are left (`{path*}`, at least one). Compared with decoded paths.

use super::template::{Piece, pieces};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    One { before: String, after: String },
    Rest,
}

impl Segment {
    /// The variable part of a segment of a path, if this one fits it.
    fn capture<'p>(&self, segment: &'p str) -> Option<&'p str> {
        match self {
            Self::Literal(_) | Self::Rest => None,
            Self::One { before, after } => segment
                .strip_prefix(before.as_str())
                .and_then(|rest| rest.strip_suffix(after.as_str()))
                .filter(|value| !value.is_empty()),
        }
    }

    /// Whether every segment that `other` fits is one that this fits. `Rest` is compared by the caller.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(mine), Self::Literal(theirs)) => mine == theirs,
            (Self::One { .. }, Self::Literal(theirs)) => self.capture(theirs).is_some(),
            (Self::One { before, after }, Self::One { before: their_before, after: their_after }) => {
                their_before.starts_with(before.as_str()) && their_after.ends_with(after.as_str())
            }
            (Self::Rest, _) => true,
            (Self::Literal(_) | Self::One { .. }, _) => false,
        }
    }
}

/// A checked pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    segments: Vec<Segment>,
    names: Vec<String>,
}

impl Pattern {
    /// Reads a pattern; the error says what was expected.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let path = text.strip_prefix('/').ok_or("a pattern that begins with '/', such as \"/video/{path*}\"")?;
        let mut pattern = Self { segments: Vec::new(), names: Vec::new() };
        let mut segments = path.split('/').peekable();
        while let Some(segment) = segments.next() {
            pattern.push(segment, segments.peek().is_none())?;
        }
        Ok(pattern)
    }

    fn push(&mut self, segment: &str, last: bool) -> Result<(), &'static str> {
        const SHAPE: &str = "segments of text with at most one {variable} each";
        let compiled = match *pieces(segment)?.as_slice() {
            [Piece::Text("." | "..")] | [] => return Err("no empty segments, no '.' and no '..'"),
            [Piece::Text(text)] => Segment::Literal(text.to_owned()),
            [Piece::Variable { name, rest: true }] if last => {
                self.name(name)?;
                Segment::Rest
            }
            [Piece::Variable { rest: true, .. }, ..] | [_, Piece::Variable { rest: true, .. }, ..] => {
                return Err("{name*} as the whole last segment only");
            }
            [Piece::Variable { name, .. }] => self.one("", name, "")?,
            [Piece::Text(before), Piece::Variable { name, .. }] => self.one(before, name, "")?,
            [Piece::Variable { name, .. }, Piece::Text(after)] => self.one("", name, after)?,
            [Piece::Text(before), Piece::Variable { name, .. }, Piece::Text(after)] => self.one(before, name, after)?,
            _ => return Err(SHAPE),
        };
        self.segments.push(compiled);
        Ok(())
    }

    fn one(&mut self, before: &str, name: &str, after: &str) -> Result<Segment, &'static str> {
        self.name(name)?;
        Ok(Segment::One { before: before.to_owned(), after: after.to_owned() })
    }

    fn name(&mut self, name: &str) -> Result<(), &'static str> {
        if self.names.iter().any(|known| known == name) {
            return Err("every variable once");
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    /// The variables, in the order of [`Self::captures`].
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether the variable takes several segments.
    pub(super) fn is_rest(&self, variable: usize) -> bool {
        self.segments.last() == Some(&Segment::Rest) && variable + 1 == self.names.len()
    }

    /// The variables' values, if the pattern fits the whole path.
    pub(super) fn captures<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let mut values = Vec::with_capacity(self.names.len());
        self.walk(path, |value| values.push(value)).then_some(values)
    }

    /// Whether it has any.
    pub(super) fn fits(&self, path: &str) -> bool {
        self.walk(path, |_| {})
    }

    /// Whether the pattern fits the whole path. Hands out the variables' values as far as it does.
    fn walk<'p>(&self, path: &'p str, mut value: impl FnMut(&'p str)) -> bool {
        let mut rest = Some(path);
        for expected in &self.segments {
            let Some(here) = rest else { return false };
            if *expected == Segment::Rest {
                value(here);
                return true;
            }
            // Segments are short: to look for the slash octet by octet costs least.
            let end = here.bytes().position(|octet| octet == b'/');
            let segment = &here[..end.unwrap_or(here.len())];
            match expected {
                Segment::Literal(text) if text == segment => {}
                Segment::Literal(_) => return false,
                Segment::One { .. } | Segment::Rest => match expected.capture(segment) {
                    Some(captured) => value(captured),
                    None => return false,
                },
            }
            rest = end.map(|end| &here[end + 1..]);
        }
        rest.is_none()
    }

    /// Whether every path that `other` fits is one that this fits, so that `other` behind it is never reached.
    pub(super) fn covers(&self, other: &Self) -> bool {
        for (at, mine) in self.segments.iter().enumerate() {
            match other.segments.get(at) {
                None => return false,
                Some(_) if *mine == Segment::Rest => return true,
                Some(theirs) if !mine.covers(theirs) => return false,
                Some(_) => {}
            }
        }
        self.segments.len() == other.segments.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect("a good pattern")
    }

    #[test]
    fn a_pattern_fits_whole_paths_segment_by_segment() {
        for (text, path, values) in [
            ("/a/b", "a/b", Some(vec![])),
            ("/a/b", "a", None),
            ("/a", "a/b", None),
            ("/m/{id}/zip", "m/7/zip", Some(vec!["7"])),
            ("/m/{id}/zip", "m/7/8/zip", None),
            ("/m/meeting_{id}.zip", "m/meeting_7.zip", Some(vec!["7"])),
            ("/m/meeting_{id}.zip", "m/meeting_.zip", None),
            ("/m/aba{id}aba", "m/aba", None),
            ("/{a}/{rest*}", "x/y/z", Some(vec!["x", "y/z"])),
            ("/{a}/{rest*}", "x", None),
            ("/{path*}", "x", Some(vec!["x"])),
        ] {
            assert_eq!(pattern(text).captures(path), values, "{text} on {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in [
            "", "a", "/", "//", "/a/", "/a//b", "/..", "/a/./b", "/{", "/}", "/{}", "/{a", "/a}", "/{a}{b}",
            "/{a}-{b}", "/{a*}/b", "/x{a*}", "/{a*}x", "/{a}/{a}", "/{a b}", "/{1a}", "/a\nb", "/{a**}", "/{{a}}",
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_pattern_covers_what_leaves_it_nothing() {
        for (earlier, later, covered) in [
            ("/{path*}", "/a/{id}", true),
            ("/{path*}", "/{other*}", true),
            ("/a/{path*}", "/a", false),
            ("/a/{path*}", "/{path*}", false),
            ("/a/{x}", "/a/{y}", true),
            ("/a/{x}", "/a/b", true),
            ("/a/b", "/a/{x}", false),
            ("/a/m_{x}", "/a/m_{y}.zip", true),
            ("/a/m_{x}.zip", "/a/m_{y}", false),
            ("/a/{x}", "/a/{y}/b", false),
            ("/a/{x}/b", "/a/{y}", false),
            ("/{x}", "/{path*}", false),
        ] {
            assert_eq!(pattern(earlier).covers(&pattern(later)), covered, "{earlier} before {later}");
        }
    }
}
