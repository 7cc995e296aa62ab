//! Why a node would rather not serve a request whose token it accepts, and how that is seen by the answer that it would give.

use ferry_delivery::{Request, semantics::validators::Tag};
use http::{HeaderMap, Method, StatusCode, header};

/// A node's reason to send a request elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Why {
    /// It drains.
    Draining,
    /// It drains, and the grace is over in which it still serves what is new.
    Closing,
    /// The next transfer would be slower than clients should have to bear, or its disk is much slower than it was.
    Full,
    /// There are as many transfers as there may be.
    Crowded,
    /// Its disk hangs or fails. Whether it gives this object is to be tried.
    SickDisk,
    /// Its disk did not give the object.
    DiskFailed,
    /// It does not have the file, and other nodes may.
    Lacking,
    /// It has another version than the one that the redirect names.
    OtherVersion,
}

impl Why {
    /// All of them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Draining,
        Self::Closing,
        Self::Full,
        Self::Crowded,
        Self::SickDisk,
        Self::DiskFailed,
        Self::Lacking,
        Self::OtherVersion,
    ];

    /// The figure's label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Draining | Self::Closing => "draining",
            Self::Full => "full",
            Self::Crowded => "transfers",
            Self::SickDisk | Self::DiskFailed => "disk",
            Self::Lacking => "lacking",
            Self::OtherVersion => "other_version",
        }
    }

    /// Whether the node itself gives an answer that is worth having where no alternate takes the request. That a file is not there is none: a redirect names
    /// four nodes at most, and the gateway knows others, or has the file itself.
    pub(crate) const fn can_serve(self) -> bool {
        match self {
            Self::Draining | Self::Full | Self::SickDisk | Self::OtherVersion => true,
            Self::Closing | Self::Crowded | Self::DiskFailed | Self::Lacking => false,
        }
    }

    /// Whether another node that is full is better than this one.
    pub(crate) const fn prefers_crowds(self) -> bool {
        !matches!(self, Self::Full)
    }
}

/// What of a node's files only that node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    /// All of it: its disk is its own, and nobody else is asked.
    Own,
    /// How the disk does, but not what is on it: all nodes read the same files.
    Shared,
    /// Nothing: what it does not have, an origin gives or refuses, and its word counts.
    AtOrigins,
}

/// What is wrong with the answer that a node would give to a request whose redirect named this validator, if anything is.
pub(crate) fn shortcoming(
    files: Files,
    named: Option<&str>,
    request: &Request,
    (status, headers): (StatusCode, &HeaderMap),
) -> Option<Why> {
    match (files, status) {
        (Files::Own, StatusCode::NOT_FOUND) => Some(Why::Lacking),
        (Files::Own | Files::Shared, StatusCode::INTERNAL_SERVER_ERROR | StatusCode::SERVICE_UNAVAILABLE) => {
            Some(Why::DiskFailed)
        }
        _ => named.filter(|named| !is_of(named, request, status, headers)).map(|_| Why::OtherVersion),
    }
}

/// Whether the answer is about the version that has this validator. A part of it has to be so beyond doubt (strong comparison, RFC 9110 section 8.8.3.2): who
/// asks for a part may have others. Of the whole, only a tag that differs speaks against it.
fn is_of(named: &str, request: &Request, status: StatusCode, headers: &HeaderMap) -> bool {
    // 304 and 412 go by what the client knows, and bring no bytes.
    let carries = matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE);
    // A coded form has a tag of its own, by which nobody can tell the version.
    let coded = headers.contains_key(header::VARY) && headers.contains_key(header::CONTENT_ENCODING);
    let Some(named) = Tag::parse(named.as_bytes()).filter(|_| carries) else { return true };
    if coded {
        return !trusts_the_redirect(request);
    }
    let tag = headers.get(header::ETAG).and_then(|tag| Tag::parse(tag.as_bytes()));
    match wants_a_part(request) {
        true => tag.is_some_and(|tag| tag.matches_strongly(named)),
        false => tag.is_none_or(|tag| tag.matches_weakly(named)),
    }
}

/// Whether a request asks for a part, and nothing in it says of which version: then nobody but the redirect can.
pub(crate) fn trusts_the_redirect(request: &Request) -> bool {
    let conditional = [header::IF_RANGE, header::IF_MATCH].iter().any(|name| request.headers.contains_key(name));
    wants_a_part(request) && !conditional
}

fn wants_a_part(request: &Request) -> bool {
    request.method == Method::GET && request.headers.contains_key(header::RANGE)
}

#[cfg(test)]
mod tests;
