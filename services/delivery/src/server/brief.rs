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
    /// Whether all that was written can stand in a head.
    sound: bool,
}

impl Brief<'_> {
    /// Begins the answer, in place of whatever was written before.
    pub fn status(&mut self, status: StatusCode) {
        self.head.clear();
        self.sound = true;
        response::write_status(self.head, status);
    }

    /// Adds a field, whose value is these pieces. One with anything but visible ASCII and blanks makes the whole answer none.
    pub fn field(&mut self, name: &HeaderName, value: &[&str]) {
        response::write_name(self.head, name);
        let begin = self.head.len();
        for piece in value {
            self.head.extend_from_slice(piece.as_bytes());
        }
        self.sound &= is_sound(&self.head[begin..]);
    }
}

/// RFC 9110 section 5.5, without what no field of ours has. All octets are looked at, so that they are many at a time.
fn is_sound(value: &[u8]) -> bool {
    value.iter().fold(true, |sound, octet| sound & (b' '..=b'~').contains(octet))
}

/// Has somebody write an answer into `head`, in place of what is there. Whether that is an answer, whole, with this date.
pub(super) fn write(head: &mut Vec<u8>, date: &[u8; 29], decide: impl FnOnce(&mut Brief<'_>) -> bool) -> bool {
    let mut brief = Brief { head, sound: false };
    if !decide(&mut brief) || !brief.sound {
        return false;
    }
    head.extend_from_slice(NO_CONTENT);
    head.extend_from_slice(response::DATE);
    head.extend_from_slice(date);
    head.extend_from_slice(response::END);
    true
}
