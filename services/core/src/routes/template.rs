//! Templates: texts with a pattern's variables in them.

use percent_encoding::{AsciiSet, percent_decode_str, utf8_percent_encode};

use crate::target::{COMPONENT, PATH};

/// A part of a pattern's segment or of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    Text(&'t str),
    Variable { name: &'t str, rest: bool },
}

/// Takes `text{name}text` apart; the error says what was expected.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, &'static str> {
    const BRACES: &str = "braces in pairs around a name, such as {id}";
    if text.chars().any(char::is_control) {
        return Err("no control characters");
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let open = rest.find(['{', '}']).unwrap_or(rest.len());
        let (plain, variable) = rest.split_at(open);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        if variable.is_empty() {
            break;
        }
        let (name, after) = variable.strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or(BRACES)?;
        let (name, several) = name.strip_suffix('*').map_or((name, false), |name| (name, true));
        let named = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !named {
            return Err(BRACES);
        }
        pieces.push(Piece::Variable { name, rest: several });
        rest = after;
    }
    Ok(pieces)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(usize),
}

/// A checked template: every variable is one of its pattern's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Reads a template over the variables `names`; the error says what was expected.
    pub(super) fn parse(text: &str, names: &[String]) -> Result<Self, String> {
        let part = |piece: Piece<'_>| match piece {
            Piece::Text(text) => Ok(Part::Text(text.to_owned())),
            Piece::Variable { name, .. } => match names.iter().position(|known| known == name) {
                Some(index) => Ok(Part::Variable(index)),
                None if names.is_empty() => Err("no variables, as the pattern has none".to_owned()),
                None => Err(format!("only the pattern's variables: {{{}}}", names.join("}, {"))),
            },
        };
        let parts = pieces(text)?.into_iter().map(part).collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }

    /// The variables that it uses.
    pub(super) fn variables(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable(index) => Some(*index),
        })
    }

    /// With the values as they are.
    pub(super) fn plain(&self, values: &[&str]) -> String {
        self.fill(values, |value, text| text.push_str(value))
    }

    /// As a request target: values are percent-encoded, and may not move the path elsewhere.
    pub(super) fn target(&self, values: &[&str]) -> Option<String> {
        // In a query, `&`, `=` and `+` in a value would be taken for the query's own.
        const IN_QUERY: &AsciiSet = &COMPONENT.remove(b'/');
        let target = self.fill(values, |value, text| {
            let set = if text.contains('?') { IN_QUERY } else { PATH };
            text.extend(utf8_percent_encode(value, set));
        });
        let path = target.split_once('?').map_or(&*target, |(path, _)| path);
        let climbs = path
            .split('/')
            .any(|segment| matches!(percent_decode_str(segment).decode_utf8().as_deref(), Ok("." | "..") | Err(_)));
        (!climbs).then_some(target)
    }

    fn fill(&self, values: &[&str], mut push: impl FnMut(&str, &mut String)) -> String {
        let mut text = String::with_capacity(64);
        for part in &self.parts {
            match part {
                Part::Text(fixed) => text.push_str(fixed),
                Part::Variable(index) => push(values[*index], &mut text),
            }
        }
        text
    }
}

/// Adds a query to a target that may have one already.
pub(super) fn append_query(target: &mut String, query: &str) {
    target.push(if target.contains('?') { '&' } else { '?' });
    target.push_str(query);
}
