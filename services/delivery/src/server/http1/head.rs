//! Request heads of HTTP/1.1: from octets to a head, to a refusal, or to the other engine. Pure.
//!
//! httparse finds the parts; what it lets pass and RFC 9112 does not is seen to here. A request that announces content is handed on
//! unread: hyper knows where content ends.

use std::mem::MaybeUninit;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header, request::Parts};
use httparse::{Error, ParserConfig, Status};

use crate::{
    answer::Answer,
    request::{LARGEST_HEAD, LARGEST_HEADERS, LONGEST_TARGET, host, size_of_field},
};

/// The most octets that a request line may have: a target, a method, a version.
const LONGEST_LINE: usize = LONGEST_TARGET + 64;

/// The most fields that a head may have.
const FIELDS: usize = 100;

/// The most fields that are looked at in passing.
const FEW: usize = 32;

/// Fields that no rule of ours looks at. Whatever is not listed may have an effect; of `Accept-Encoding` there is one where an answer
/// says so by `Vary`, and such answers are not repeated.
const WITHOUT_EFFECT: [&str; 17] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "referer",
    "cookie",
    "pragma",
    "cache-control",
    "dnt",
    "priority",
    "upgrade-insecure-requests",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
];

/// How often a head that is not whole is parsed from its beginning, whatever came; after that only what could be its end is worth a
/// look, so that a head of single octets costs little.
const LOOKS: u8 = 16;

/// A request's head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) parts: Parts,
    /// Whether the client wants to go on afterwards (RFC 9112 section 9.3).
    pub(super) persistent: bool,
    /// Whether nothing in it bears on the answer but its path: it has no query either.
    pub(super) plain: bool,
}

/// What the octets so far are.
#[expect(
    clippy::large_enum_variant,
    reason = "it passes over the stack once; a box would be an allocation per request"
)]
pub(super) enum Reading {
    /// The beginning of a head.
    Partial,
    /// A whole head; its octets were not taken.
    Whole(Found),
    /// The other engine's: HTTP/2, or a request with content. Its octets were not taken.
    Foreign,
    /// None that is answered: why.
    Refused(Refusal),
}

/// Why a head is not answered. The connection ends with it: where the next head begins is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// RFC 9112 sections 2 to 5.
    #[error("the request is malformed")]
    Malformed,
    /// RFC 9110 section 15.5.15.
    #[error("the request target is too long")]
    TargetTooLong,
    /// RFC 6585 section 5.
    #[error("the request's header fields are too large")]
    FieldsTooLarge,
    /// RFC 9110 section 15.6.6.
    #[error("the version of HTTP is not served")]
    Version,
    /// RFC 9110 section 15.5.9.
    #[error("the request did not come to its end in time")]
    TooSlow,
}

/// Reads a head from what a connection received; remembers how far it looked.
#[derive(Debug, Default)]
pub(super) struct Reader {
    looks: u8,
    looked: usize,
    /// Whether something preceded the head.
    later: bool,
}

/// Where a part stands among the octets of its head, which [`LARGEST_HEAD`] keeps small.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    begin: u16,
    end: u16,
}

/// A head as httparse found it, by places among octets that nobody took yet.
pub(super) struct Found {
    end: usize,
    version: Version,
    method: Method,
    target: Place,
    fields: [(Place, Place); FIELDS],
    count: usize,
}

impl Reader {
    /// Reads a head that follows another one. There, the beginning of HTTP/2 is none.
    pub(super) fn of_later() -> Self {
        Self { later: true, ..Self::default() }
    }

    /// Looks at the octets received so far, which begin where a head begins.
    pub(super) fn read(&mut self, octets: &mut BytesMut) -> Reading {
        // Only HTTP/2's preface has this method, and it is the first that is sent (RFC 9113 section 3.4).
        if !self.later && octets.starts_with(b"PRI ") {
            return Reading::Foreign;
        }
        self.skip_empty_lines(octets);
        if !octets.is_empty() && self.is_worth_it(octets) { read(octets) } else { Reading::Partial }
    }

    /// Takes empty lines before a head (RFC 9112 section 2.2).
    fn skip_empty_lines(&mut self, octets: &mut BytesMut) {
        let mut rest = &octets[..];
        while let Some(next) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) {
            rest = next;
        }
        let count = octets.len() - rest.len();
        if count > 0 {
            octets.advance(count);
            *self = Self::of_later();
        }
    }

    fn is_worth_it(&mut self, octets: &[u8]) -> bool {
        let before = std::mem::replace(&mut self.looked, octets.len());
        self.looks = self.looks.saturating_add(1);
        // The end of a head is an empty line, which may have been cut anywhere.
        let new = octets.get(before.saturating_sub(3)..).unwrap_or_default();
        let ends = || new.windows(2).any(|two| two == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n");
        let grew_past = |length| before <= length && octets.len() > length;
        self.looks <= LOOKS || grew_past(LONGEST_LINE) || octets.len() >= LARGEST_HEAD || ends()
    }
}

fn read(octets: &mut BytesMut) -> Reading {
    let found = match find(octets) {
        Ok(Some(found)) => found,
        Ok(None) => return unfinished(octets),
        Err(Error::TooManyHeaders) => return Reading::Refused(Refusal::FieldsTooLarge),
        // A higher minor version is read as the highest that is known (RFC 9110 section 6.2).
        Err(Error::Version) => match older(octets) {
            true => return read(octets),
            false => return Reading::Refused(version_fault(octets)),
        },
        Err(_) => return Reading::Refused(Refusal::Malformed),
    };
    if found.announces_content(octets) {
        return Reading::Foreign;
    }
    Reading::Whole(found)
}

/// A head that has not ended: it may still, if it is not too large already.
fn unfinished(octets: &[u8]) -> Reading {
    if octets.len() > LONGEST_LINE && !octets[..LONGEST_LINE].contains(&b'\n') {
        return Reading::Refused(Refusal::TargetTooLong);
    }
    if octets.len() >= LARGEST_HEAD { Reading::Refused(Refusal::FieldsTooLarge) } else { Reading::Partial }
}

fn find(octets: &[u8]) -> Result<Option<Found>, Error> {
    let octets = octets.get(..LARGEST_HEAD).unwrap_or(octets);
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let parsed = ParserConfig::default().parse_request_with_uninit_headers(&mut request, octets, &mut fields)?;
    let Status::Complete(end) = parsed else { return Ok(None) };
    let version = if request.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let method = Method::from_bytes(request.method.unwrap_or_default().as_bytes()).map_err(|_| Error::Token)?;
    let target = Place::of(request.path.unwrap_or_default().as_bytes(), octets);
    let mut places = [(Place::default(), Place::default()); FIELDS];
    for (at, field) in places.iter_mut().zip(request.headers.iter()) {
        *at = (Place::of(field.name.as_bytes(), octets), Place::of(field.value, octets));
    }
    Ok(Some(Found { end, version, method, target, fields: places, count: request.headers.len() }))
}

/// What a plain request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Said<'a> {
    pub(in super::super) target: &'a str,
    /// Of several, the first.
    pub(in super::super) user_agent: &'a [u8],
}

/// A whole plain request at the beginning of `octets`: how many of them it has, and what it says. `None` says nothing: [`Reader`] knows
/// what else it may be.
pub(in super::super) fn plain(octets: &[u8]) -> Option<(usize, Said<'_>)> {
    let mut fields = [const { MaybeUninit::uninit() }; FEW];
    let mut request = httparse::Request::new(&mut []);
    let parsed = ParserConfig::default().parse_request_with_uninit_headers(&mut request, octets, &mut fields).ok()?;
    let (Status::Complete(length), Some("GET"), Some(1)) = (parsed, request.method, request.version) else {
        return None;
    };
    let fields = request.headers.iter().map(|field| (field.name.as_bytes(), field.value));
    plain_said(request.path?.as_bytes(), fields).map(|said| (length, said))
}

/// What a GET over HTTP/1.1 says, if nothing in its head bears on the answer but its target: it gets what every other such request
/// gets.
fn plain_said<'a>(target: &'a [u8], fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Option<Said<'a>> {
    let (mut hosts, mut size, mut user_agent) = (0, 0, None);
    for (name, value) in fields {
        size += size_of_field(name.len(), value.len());
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let says_little = match name.len() {
            4 if is("host") => {
                hosts += 1;
                std::str::from_utf8(value).is_ok_and(host::is_host)
            }
            10 if is("connection") => value.eq_ignore_ascii_case(b"keep-alive"),
            10 if is("user-agent") => {
                user_agent.get_or_insert(value);
                true
            }
            _ => WITHOUT_EFFECT.iter().any(|known| is(known)),
        };
        if !says_little {
            return None;
        }
    }
    // A target in another form may mean more.
    let path = target.first() == Some(&b'/') && target.len() <= LONGEST_TARGET && !target.contains(&b'#');
    let target = (hosts == 1 && path && size <= LARGEST_HEADERS).then(|| std::str::from_utf8(target).ok())??;
    Some(Said { target, user_agent: user_agent.unwrap_or_default() })
}

impl Place {
    /// Where `part`, which is a piece of `octets` or empty, stands in them.
    fn of(part: &[u8], octets: &[u8]) -> Self {
        let begin = part.as_ptr().addr().wrapping_sub(octets.as_ptr().addr());
        let begin = if part.is_empty() { 0 } else { begin };
        let narrow = |at: usize| u16::try_from(at).expect("a head is shorter than 64 KiB");
        Self { begin: narrow(begin), end: narrow(begin + part.len()) }
    }

    fn range(self) -> std::ops::Range<usize> {
        usize::from(self.begin)..usize::from(self.end)
    }
}

/// Makes `HTTP/1.2` and the like `HTTP/1.1`; false if that is not what the line says.
fn older(octets: &mut BytesMut) -> bool {
    match version_place(octets) {
        Some(at) if octets[at..].starts_with(b"HTTP/1.") && matches!(octets.get(at + 7), Some(b'2'..=b'9')) => {
            octets[at + 7] = b'1';
            true
        }
        _ => false,
    }
}

/// RFC 9112 section 2.3: whether the version is none, or one that is not served.
fn version_fault(octets: &[u8]) -> Refusal {
    match version_place(octets).map(|at| &octets[at..]) {
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r' | b'\n', ..])
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal::Version
        }
        _ => Refusal::Malformed,
    }
}

/// Where the version stands: behind the second blank of the first line.
fn version_place(octets: &[u8]) -> Option<usize> {
    let mut blanks = octets.iter().enumerate().filter(|(_, octet)| **octet == b' ');
    blanks.nth(1).map(|(at, _)| at + 1)
}

impl Found {
    fn fields(&self) -> impl Iterator<Item = (Place, Place)> {
        self.fields.iter().take(self.count).copied()
    }

    /// RFC 9112 section 6.3: content is announced by these fields, and by no others. Of a length other than one plain `0`, the other engine
    /// makes what it can.
    fn announces_content(&self, octets: &[u8]) -> bool {
        let mut zero = false;
        self.fields().any(|(name, value)| {
            let name = &octets[name.range()];
            if name.eq_ignore_ascii_case(b"transfer-encoding") {
                return true;
            }
            let counts = name.eq_ignore_ascii_case(b"content-length");
            counts && (std::mem::replace(&mut zero, true) || octets[value.range()] != *b"0")
        })
    }

    /// How many octets the head has.
    pub(super) const fn len(&self) -> usize {
        self.end
    }

    /// What it says, if this is a plain request.
    pub(super) fn plain<'a>(&self, octets: &'a [u8]) -> Option<Said<'a>> {
        let fields = self.fields().map(|(name, value)| (&octets[name.range()], &octets[value.range()]));
        let get = self.version == Version::HTTP_11 && self.method == Method::GET;
        plain_said(&octets[self.target.range()], fields).filter(|_| get)
    }

    /// Takes the head's octets, and makes of them what handlers read.
    pub(super) fn take(self, octets: &mut BytesMut) -> Result<Head, Refusal> {
        let octets = octets.split_to(self.end).freeze();
        self.into_head(&octets).ok_or(Refusal::Malformed)
    }

    fn into_head(self, octets: &Bytes) -> Option<Head> {
        let target = octets.slice(self.target.range());
        // A target has no fragment (RFC 9112 section 3.2); `Uri` drops it without a word.
        if target.contains(&b'#') {
            return None;
        }
        let mut headers = HeaderMap::with_capacity(self.count);
        for (name, value) in self.fields() {
            let name = HeaderName::from_bytes(&octets[name.range()]).ok()?;
            headers.append(name, HeaderValue::from_maybe_shared(octets.slice(value.range())).ok()?);
        }
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.uri = Uri::from_maybe_shared(target).ok()?;
        parts.method = self.method;
        parts.version = self.version;
        let persistent = persists(self.version, &headers);
        parts.headers = headers;
        Some(Head { parts, persistent, plain: false })
    }
}

/// RFC 9112 section 9.3.
fn persists(version: Version, headers: &HeaderMap) -> bool {
    let options =
        || headers.get_all(header::CONNECTION).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    let has = |option: &[u8]| options().any(|given| given.trim_ascii().eq_ignore_ascii_case(option));
    !has(b"close") && (version == Version::HTTP_11 || has(b"keep-alive"))
}

impl Refusal {
    pub(super) fn answer(self) -> Answer {
        let status = match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::FieldsTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
        };
        Answer::text(status, self.to_string()).closing()
    }
}

#[cfg(test)]
mod tests;
