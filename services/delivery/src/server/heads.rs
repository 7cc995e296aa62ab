//! Request heads on their way to hyper: what its parser cannot be told to do is done to the octets before it sees them.
//!
//! Pure, one octet at a time, in place, and with a few bytes of state; so it does not matter how a client's packets cut a head, and
//! pipelined heads are told apart. Four things of HTTP/1.1 are seen to:
//!
//! - `#` in a target becomes an octet that hyper refuses. A target has no fragment (RFC 9112 section 3.2); hyper's URI type drops it
//!   without a word, and who else reads the line may not.
//! - A target longer than we read is cut, so that it is answered 414 (RFC 9110 section 15.5.15) and not by whichever of hyper's
//!   buffers is full first. What is cut is not kept.
//! - `HTTP/1.2` and the like become `HTTP/1.1`: a higher minor version is read as the highest that is known (RFC 9110 section 6.2).
//! - A `Content-Length` that no number of ours can hold becomes one that is none, which hyper answers 400 instead of 431.
//!
//! Everything else passes as it came, and whether a head is sound is for others to say. After a head that announces content nothing is
//! looked at any more: where that content ends is hyper's to know. So is HTTP/2, whose preface looks like a request with a
//! method of its own.

use crate::request::LONGEST_TARGET;

/// Refused by hyper wherever it stands in a head.
const BAD: u8 = 0;

/// What precedes the minor version.
const VERSION: &[u8] = b"HTTP/1.";

/// The method in HTTP/2's connection preface (RFC 9113 section 3.4), kept for it alone.
const PREFACE: &[u8] = b"PRI";

/// The fields that announce content.
const FRAMING: [&[u8]; 2] = [CONTENT_LENGTH, b"transfer-encoding"];
const CONTENT_LENGTH: &[u8] = b"content-length";

/// Ten to this power is the largest that a `u64` holds.
const DIGITS: u8 = 19;

/// Which octet comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a request line, where empty lines are ignored.
    Before,
    /// In a method; how much of it is that of the preface.
    Method(Option<usize>),
    /// In a target; how long it is so far.
    Target(usize),
    /// Behind the target; how much of [`VERSION`] was seen.
    Version(Option<usize>),
    /// At the beginning of a line or in a field's name; how long it is.
    Name(usize),
    /// In the value of `Content-Length`; how many digits it has.
    Length(u8),
    /// In the value of any other field.
    Value,
    /// In what is not looked at.
    Beyond,
}

/// Where in its heads a connection is.
#[derive(Debug)]
pub(super) struct Heads {
    place: Place,
    /// The name that is being read, as far as it could be one of [`FRAMING`], in lower case.
    name: [u8; 18],
    /// Whether this head announces content.
    content: bool,
}

impl Heads {
    pub(super) const fn new() -> Self {
        Self { place: Place::Before, name: [0; 18], content: false }
    }

    /// Goes over octets in the order in which they came; returns how many of them, from the first, are left to be passed on.
    pub(super) fn pass(&mut self, octets: &mut [u8]) -> usize {
        let mut kept = 0;
        for at in 0..octets.len() {
            if self.place == Place::Beyond {
                octets.copy_within(at.., kept);
                return kept + octets.len() - at;
            }
            if let Some(octet) = self.step(octets[at]) {
                octets[kept] = octet;
                kept += 1;
            }
        }
        kept
    }

    /// What one octet becomes; `None` if it is left out.
    fn step(&mut self, octet: u8) -> Option<u8> {
        let (next, passed) = match (self.place, octet) {
            (Place::Before, b'\r' | b'\n') => (Place::Before, Some(octet)),
            (Place::Before, _) => {
                self.content = false;
                (Place::Method(matched(PREFACE, Some(0), octet)), Some(octet))
            }
            (Place::Method(Some(3)), b' ') => (Place::Beyond, Some(octet)),
            (Place::Method(_), b' ') => (Place::Target(0), Some(octet)),
            // A line that ends before its version does is no request line: hyper refuses it, and what follows is nobody's.
            (Place::Method(_) | Place::Target(_), b'\n') => (Place::Beyond, Some(octet)),
            (Place::Method(seen), _) => (Place::Method(matched(PREFACE, seen, octet)), Some(octet)),
            (Place::Target(_), b' ') => (Place::Version(Some(0)), Some(octet)),
            (Place::Target(length), _) if length > LONGEST_TARGET => (Place::Target(length), None),
            (Place::Target(length), b'#') => (Place::Target(length + 1), Some(BAD)),
            (Place::Target(length), _) => (Place::Target(length + 1), Some(octet)),
            (Place::Version(_), b'\n') => (Place::Name(0), Some(octet)),
            (Place::Version(Some(7)), b'2'..=b'9') => (Place::Version(None), Some(b'1')),
            (Place::Version(seen), _) => (Place::Version(matched(VERSION, seen, octet)), Some(octet)),
            (Place::Name(length), _) => (self.name(length, octet), Some(octet)),
            (Place::Length(_) | Place::Value, b'\n') => (Place::Name(0), Some(octet)),
            (Place::Length(DIGITS), b'0'..=b'9') => (Place::Length(DIGITS), Some(b'x')),
            (Place::Length(digits), b'0'..=b'9') => (Place::Length(digits + 1), Some(octet)),
            (Place::Length(_) | Place::Value | Place::Beyond, _) => (self.place, Some(octet)),
        };
        self.place = next;
        passed
    }

    /// The place after `octet`, which stands behind `length` octets of a line that had no colon so far.
    fn name(&mut self, length: usize, octet: u8) -> Place {
        match octet {
            b'\n' if length > 0 => Place::Name(0),
            b'\n' if self.content => Place::Beyond,
            b'\n' => Place::Before,
            b'\r' => Place::Name(length),
            b':' => {
                let name = self.name.get(..length).unwrap_or_default();
                self.content |= FRAMING.contains(&name);
                if name == CONTENT_LENGTH { Place::Length(0) } else { Place::Value }
            }
            _ => {
                if let Some(place) = self.name.get_mut(length) {
                    *place = octet.to_ascii_lowercase();
                }
                Place::Name(length + 1)
            }
        }
    }
}

/// How much of `text` was seen after one more octet; `None` as soon as it is another text.
fn matched(text: &[u8], seen: Option<usize>, octet: u8) -> Option<usize> {
    seen.filter(|seen| text.get(*seen) == Some(&octet)).map(|seen| seen + 1)
}

#[cfg(test)]
mod tests;
