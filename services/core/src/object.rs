//! The key of an object: what it is called wherever it lies.

use std::{borrow::Cow, fmt, sync::Arc};

use percent_encoding::percent_decode_str;

/// Why a path names no object. None of these is worth more to a client than "not found" or "bad request".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// No leading slash where one belongs, or nothing but slashes.
    #[error("the path names nothing")]
    Empty,
    /// A percent sign that is not followed by two hexadecimal digits.
    #[error("the path has a percent sign that encodes nothing")]
    Encoding,
    /// Octets that are not UTF-8 once decoded.
    #[error("the path is not UTF-8")]
    NotUtf8,
    /// A control character, such as NUL or a line break.
    #[error("the path has a control character")]
    Control,
    /// `.` or `..` as a segment, plain or encoded; nothing between two slashes; or an encoded slash.
    #[error("the path has a segment that is empty, a dot segment, or an encoded slash")]
    Segment,
}

impl InvalidPath {
    /// Whether the path cannot even be read (400); else it is a path that names nothing (404).
    #[must_use]
    pub const fn is_malformed(self) -> bool {
        match self {
            Self::Encoding | Self::NotUtf8 | Self::Control => true,
            Self::Empty | Self::Segment => false,
        }
    }
}

/// A decoded path below some root, in the one form in which it is compared, hashed and opened.
///
/// Invariant P8a: no segment is empty, `.` or `..`, and none has a `/` or a control character; so the path, joined to a
/// directory, stays below it as long as no symbolic link leads elsewhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectPath(Arc<str>);

impl ObjectPath {
    /// Decodes the path of a request target, which begins with `/`; a query must be cut off before.
    pub fn from_target(path: &str) -> Result<Self, InvalidPath> {
        Self::from_decoded(&decoded(path)?)
    }

    /// The same, but a slash at the end stands for the file of that name in the directory before it.
    pub fn from_target_with(path: &str, index: &str) -> Result<Self, InvalidPath> {
        if path.ends_with('/') {
            return Self::from_decoded(&format!("{}{index}", decoded(path)?));
        }
        Self::from_target(path)
    }

    /// Checks a path that is not encoded and has no leading slash.
    pub fn from_decoded(path: &str) -> Result<Self, InvalidPath> {
        Self::check(path)?;
        Ok(Self(path.into()))
    }

    /// Whether [`Self::from_decoded`] would take it.
    pub(crate) fn check(path: &str) -> Result<(), InvalidPath> {
        if path.is_empty() {
            return Err(InvalidPath::Empty);
        }
        if has_control(path) {
            return Err(InvalidPath::Control);
        }
        // Segments are short: octet by octet costs least.
        if path.as_bytes().split(|octet| *octet == b'/').any(|segment| matches!(segment, b"" | b"." | b"..")) {
            return Err(InvalidPath::Segment);
        }
        Ok(())
    }

    /// The decoded path, with no leading slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// What comes before the last segment, without the slash; empty at the top.
    #[must_use]
    pub fn directory(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(directory, _)| directory)
    }
}

/// Whether a text has a control character. Mostly a text is ASCII, and then its octets are looked at many at a time.
pub(crate) fn has_control(text: &str) -> bool {
    let (ascii, control) = text
        .bytes()
        .fold((true, false), |(ascii, control), octet| (ascii & octet.is_ascii(), control | octet.is_ascii_control()));
    control || (!ascii && text.chars().any(char::is_control))
}

/// The path of a request target without its leading slash, decoded once.
fn decoded(path: &str) -> Result<Cow<'_, str>, InvalidPath> {
    let path = path.strip_prefix('/').ok_or(InvalidPath::Empty)?;
    if !path.as_bytes().contains(&b'%') {
        return Ok(Cow::Borrowed(path));
    }
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let digits = rest.as_bytes().get(at + 1..at + 3).ok_or(InvalidPath::Encoding)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(InvalidPath::Encoding);
        }
        if digits.eq_ignore_ascii_case(b"2f") {
            return Err(InvalidPath::Segment);
        }
        rest = &rest[at + 3..];
    }
    percent_decode_str(path).decode_utf8().map_err(|_| InvalidPath::NotUtf8)
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// An object's key: its path, and what of the query belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    /// Where it lies below a root.
    pub path: ObjectPath,
    /// The part of the query that is part of the key, in canonical form; `None` when there is none.
    pub query: Option<Arc<str>>,
}

impl ObjectKey {
    /// A key without a query.
    #[must_use]
    pub const fn plain(path: ObjectPath) -> Self {
        Self { path, query: None }
    }

    /// One text that no other key has: what is signed and hashed. A line break cannot occur in a path.
    #[must_use]
    pub fn canonical(&self) -> Cow<'_, str> {
        match &self.query {
            None => self.path.as_str().into(),
            Some(query) => format!("{}\n{query}", self.path).into(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.query {
            None => write!(f, "{}", self.path),
            Some(query) => write!(f, "{}?{query}", self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once() {
        assert_eq!(ObjectPath::from_target("/a%20b/%E4%BC%9A.zip").expect("valid").as_str(), "a b/会.zip");
        assert_eq!(ObjectPath::from_target("/100%2525").expect("valid").as_str(), "100%25");
    }

    #[test]
    fn nothing_leaves_the_root() {
        use InvalidPath::{Control, Empty, Encoding, NotUtf8, Segment};
        for (target, why) in [
            ("", Empty),
            ("a", Empty),
            ("/", Empty),
            ("/..", Segment),
            ("/a/../b", Segment),
            ("/%2e%2E/etc/passwd", Segment),
            ("/a/%2e", Segment),
            ("/a//b", Segment),
            ("/a/", Segment),
            ("/a%2fb", Segment),
            ("/..%2F..%2Fetc", Segment),
            ("/a%", Encoding),
            ("/a%4", Encoding),
            ("/a%zz", Encoding),
            ("/a%00", Control),
            ("/a%0d%0ab", Control),
            ("/%ff", NotUtf8),
        ] {
            assert_eq!(ObjectPath::from_target(target), Err(why), "{target:?}");
        }
    }

    #[test]
    fn a_slash_at_the_end_stands_for_the_index_file() {
        let with_index = |target| ObjectPath::from_target_with(target, "index.html").map(|path| path.to_string());
        assert_eq!(with_index("/"), Ok("index.html".to_owned()));
        assert_eq!(with_index("/a%20b/c/"), Ok("a b/c/index.html".to_owned()));
        assert_eq!(with_index("/a"), Ok("a".to_owned()));
        for (target, why) in [
            ("", InvalidPath::Empty),
            ("//", InvalidPath::Segment),
            ("//evil.example/", InvalidPath::Segment),
            ("/a//", InvalidPath::Segment),
            ("/../", InvalidPath::Segment),
            ("/a/%2e%2e/", InvalidPath::Segment),
            ("/a%2f", InvalidPath::Segment),
            ("/%zz/", InvalidPath::Encoding),
        ] {
            assert_eq!(with_index(target), Err(why), "{target:?}");
        }
    }
}
