//! The head of a response, as octets. Pure but for the date.

use std::{cell::Cell, time::SystemTime};

use http::{HeaderMap, HeaderName, StatusCode, Version, header};

use super::super::framing::Framed;
use crate::semantics::validators::date_value;

/// What precedes the date, and what ends a head.
pub(in super::super) const DATE: &[u8] = b"\r\ndate: ";
pub(in super::super) const END: &[u8] = b"\r\n\r\n";

/// Room for the head of a file's answer.
const LIKELY: usize = 512;

/// How the end of a body is told, and what becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    /// RFC 9112 section 7.1.
    pub(super) chunked: bool,
    /// Whether the connection is kept.
    pub(super) persistent: bool,
}

impl Manner {
    /// What fits a framed answer to a client of that version.
    pub(super) fn of(framed: &Framed, version: Version, persistent: bool) -> Self {
        let chunked = !framed.delimited && version == Version::HTTP_11;
        // A client of HTTP/1.0 knows no chunks: the end of the connection is the end of the body (RFC 9112 section 6.3).
        Self { chunked, persistent: persistent && !framed.close && (framed.delimited || chunked) }
    }
}

/// Appends a response's head.
///
/// The version is our own, whatever the client's (RFC 9110 section 6.2).
pub(super) fn write(out: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap, version: Version, manner: Manner) {
    out.reserve(LIKELY);
    write_fields(out, status, headers, version, manner);
    if !headers.contains_key(header::DATE) {
        out.extend_from_slice(DATE);
        out.extend_from_slice(&date());
    }
    out.extend_from_slice(END);
}

/// Appends all of a head but the date and what ends it.
pub(super) fn write_fields(
    out: &mut Vec<u8>,
    status: StatusCode,
    headers: &HeaderMap,
    version: Version,
    manner: Manner,
) {
    write_status(out, status);
    for (name, value) in headers {
        write_name(out, name);
        out.extend_from_slice(value.as_bytes());
    }
    if manner.chunked {
        out.extend_from_slice(b"\r\ntransfer-encoding: chunked");
    }
    match (manner.persistent, version) {
        (false, _) => out.extend_from_slice(b"\r\nconnection: close"),
        // Who did not expect it wants to be told (RFC 9112 section 9.3).
        (true, Version::HTTP_10) => out.extend_from_slice(b"\r\nconnection: keep-alive"),
        (true, _) => {}
    }
}

/// Appends a status line without its end.
pub(in super::super) fn write_status(out: &mut Vec<u8>, status: StatusCode) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
}

/// Ends a line, and appends what precedes a field's value.
pub(in super::super) fn write_name(out: &mut Vec<u8>, name: &HeaderName) {
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
}

/// Now, as an HTTP date.
pub(in super::super) fn date() -> [u8; 29] {
    thread_local! {
        // Not state, but a result that holds for a second: writing it out costs more than a small answer's head.
        static WRITTEN: Cell<(u64, [u8; 29])> = const { Cell::new((0, [0; 29])) };
    }
    let now = SystemTime::now();
    let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (known, text) = WRITTEN.get();
    if known == second && second > 0 {
        return text;
    }
    let mut text = [0; 29];
    text.copy_from_slice(date_value(now).as_bytes());
    WRITTEN.set((second, text));
    text
}
