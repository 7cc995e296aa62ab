//! An answer as it came over the wire, and what may be asked of it.

/// One response, its framing taken off.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// `HTTP/1.1`
    pub(crate) version: String,
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Interim answers (1xx) that came before it.
    pub(crate) interim: Vec<u16>,
}

impl Answer {
    /// All values of a field, joined as RFC 9110 section 5.3 allows.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.values(name).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Whether a list field has this member, whatever its case.
    pub(crate) fn lists(&self, name: &str, member: &str) -> bool {
        self.field(name).is_some_and(|list| list.split(',').any(|one| one.trim().eq_ignore_ascii_case(member)))
    }

    /// Its head, for people.
    pub(crate) fn shown(&self) -> String {
        let fields: Vec<_> = self.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        format!("{} {{{}}} + {} bytes", self.status, fields.join("; "), self.body.len())
    }
}

/// What an answer has to be like; anything that is not mentioned may be as it likes.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    statuses: Vec<u16>,
    checks: Vec<Check>,
}

#[derive(Debug, Clone)]
enum Check {
    Field(&'static str, String),
    Has(&'static str),
    Lacks(&'static str),
    Lists(&'static str, &'static str),
    Body(Vec<u8>),
    AtOnce,
    /// `multipart/byteranges` with these parts, each with its first byte's position.
    Parts(Vec<(usize, Vec<u8>)>, usize),
}

/// An answer with one of these statuses.
pub(crate) fn status(statuses: &[u16]) -> Wanted {
    Wanted { statuses: statuses.to_vec(), checks: Vec::new() }
}

impl Wanted {
    pub(crate) fn field(self, name: &'static str, value: impl Into<String>) -> Self {
        self.and(Check::Field(name, value.into()))
    }

    pub(crate) fn has(self, name: &'static str) -> Self {
        self.and(Check::Has(name))
    }

    pub(crate) fn lacks(self, name: &'static str) -> Self {
        self.and(Check::Lacks(name))
    }

    pub(crate) fn lists(self, name: &'static str, member: &'static str) -> Self {
        self.and(Check::Lists(name, member))
    }

    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        self.and(Check::Body(body.into()))
    }

    /// Without an interim answer before it.
    pub(crate) fn at_once(self) -> Self {
        self.and(Check::AtOnce)
    }

    pub(crate) fn parts(self, parts: Vec<(usize, Vec<u8>)>, length: usize) -> Self {
        self.and(Check::Parts(parts, length))
    }

    fn and(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// What is wrong with the answer; `None` if it is as wanted.
    pub(crate) fn complaint(&self, answer: &Answer) -> Option<String> {
        if !self.statuses.contains(&answer.status) {
            return Some(format!("{} instead of {:?}", answer.status, self.statuses));
        }
        self.checks
            .iter()
            .find(|check| !check.holds(answer))
            .map(|check| format!("{} without {check:?}", answer.status))
    }
}

impl Check {
    fn holds(&self, answer: &Answer) -> bool {
        match self {
            Self::Field(name, value) => answer.field(name).as_ref() == Some(value),
            Self::Has(name) => answer.field(name).is_some_and(|value| !value.is_empty()),
            Self::Lacks(name) => answer.field(name).is_none(),
            Self::Lists(name, member) => answer.lists(name, member),
            Self::Body(body) => answer.body == *body,
            Self::AtOnce => answer.interim.is_empty(),
            Self::Parts(parts, length) => multipart(answer, parts, *length),
        }
    }
}

/// RFC 9110 section 14.6: the body is the parts in this order, each with its Content-Type and its Content-Range.
fn multipart(answer: &Answer, parts: &[(usize, Vec<u8>)], length: usize) -> bool {
    let kind = answer.field("content-type").unwrap_or_default();
    let Some(boundary) = kind.strip_prefix("multipart/byteranges; boundary=") else { return false };
    let delimiter = format!("--{boundary}");
    let mut rest = answer.body.as_slice();
    for (at, part) in parts {
        // The line break before a delimiter belongs to it; before the first one there may be none.
        rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        let Some(begun) = rest.strip_prefix(delimiter.as_bytes()).and_then(|rest| rest.strip_prefix(b"\r\n")) else {
            return false;
        };
        let Some(end) = begun.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
        let head = String::from_utf8_lossy(&begun[..end]).to_lowercase();
        let range = format!("content-range: bytes {at}-{}/{length}", at + part.len() - 1);
        if !head.lines().any(|line| line == range) || !head.lines().any(|line| line.starts_with("content-type: ")) {
            return false;
        }
        match begun[end + 4..].strip_prefix(part.as_slice()) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.strip_prefix(format!("\r\n{delimiter}--").as_bytes()).is_some_and(|end| end.is_empty() || end == b"\r\n")
}
