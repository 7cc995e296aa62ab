//! Answers without content that are decided on the spot, and written as they are decided: redirects.
//!
//! A handler that knows at once where to send a client need not make an [`Answer`](crate::Answer) of it, whose fields somebody sorts, frames
//! and writes out afterwards, each in memory of its own. It writes them where the connection sends from. What frames the message is added
//! here, and is what [`framing`](super::framing) makes of the same answer.

use http::{HeaderName, StatusCode};

use super::http1::response;

/// What frames an answer without content.
const NO_CONTENT: &[u8] = b"\r\ncontent-length: 0";

/// The head of an answer without content, as it is being written. The order is: status, then fields.
#[derive(Debug)]
pub struct Brief<'o> {
    head: &'o mut Vec<u8>,
}

/// Octets that can stand in a field's value: visible ASCII and blanks. That is RFC 9110 section 5.5, without what no field of ours has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound<'a>(&'a [u8]);

impl<'a> Sound<'a> {
    /// These octets, if they are all of that kind.
    #[must_use]
    pub fn of(octets: &'a [u8]) -> Option<Self> {
        // All are looked at, so that they are many at a time.
        let sound = octets.iter().fold(true, |sound, octet| sound & (b' '..=b'~').contains(octet));
        sound.then_some(Self(octets))
    }

    /// The same of a text that is no client's. Panics if it is of another kind, at compile time where it is used in a constant.
    #[must_use]
    pub const fn literal(text: &'static str) -> Sound<'static> {
        let (octets, mut at) = (text.as_bytes(), 0);
        while at < octets.len() {
            assert!(b' ' <= octets[at] && octets[at] <= b'~', "visible ASCII and blanks");
            at += 1;
        }
        Sound(octets)
    }

    /// The octets.
    #[must_use]
    pub const fn octets(self) -> &'a [u8] {
        self.0
    }
}

impl Brief<'_> {
    /// Begins the answer, in place of whatever was written before.
    pub fn status(&mut self, status: StatusCode) {
        self.head.clear();
        response::write_status(self.head, status);
    }

    /// Adds a field, whose value is these pieces.
    pub fn field(&mut self, name: &HeaderName, value: &[Sound<'_>]) {
        response::write_name(self.head, name);
        for piece in value {
            self.head.extend_from_slice(piece.octets());
        }
    }
}

/// Has somebody write an answer into `head`, in place of what is there. Whether that is an answer, whole, with this date.
pub(super) fn write(head: &mut Vec<u8>, date: &[u8; 29], decide: impl FnOnce(&mut Brief<'_>) -> bool) -> bool {
    if !decide(&mut Brief { head }) {
        return false;
    }
    head.extend_from_slice(NO_CONTENT);
    head.extend_from_slice(response::DATE);
    head.extend_from_slice(date);
    head.extend_from_slice(response::END);
    true
}
