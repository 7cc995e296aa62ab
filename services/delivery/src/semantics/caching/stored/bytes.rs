//! A stored head as bytes, for whoever keeps it: a version, then numbers and texts with their lengths before them, lengths as LEB128.
//!
//! What governs its reuse is not written but made anew from the fields, so that a policy that changed counts from the next start on.

use ferry_core::time::UnixMillis;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Stored, Terms};
use crate::semantics::caching::{Got, Times, policy::Policy, vary::VaryKey};

/// Written first. Another one is another layout, and nothing else can be said of what follows.
const VERSION: u8 = 1;

/// Why bytes are no stored head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Another build wrote it.
    #[error("the stored head has version {0}, and this build reads {VERSION}")]
    Version(u8),
    /// It ends early, goes on too long, or holds what no head does.
    #[error("the stored head is damaged")]
    Damaged,
}

impl Stored {
    /// The head as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION, u8::from(self.spoiled)];
        out.extend(self.status.as_u16().to_le_bytes());
        out.extend(self.times.requested.0.to_le_bytes());
        out.extend(self.times.received.0.to_le_bytes());
        put_length(self.vary.iter().len(), &mut out);
        for (name, value) in self.vary.iter() {
            put_text(name.as_str().as_bytes(), &mut out);
            out.push(value.is_some().into());
            put_text(value.unwrap_or_default(), &mut out);
        }
        put_length(self.headers.len(), &mut out);
        for (name, value) in &self.headers {
            put_text(name.as_str().as_bytes(), &mut out);
            put_text(value.as_bytes(), &mut out);
        }
        out
    }

    /// Reads what [`Self::to_bytes`] wrote, whatever else it may be; the terms are those of `policy`.
    pub fn from_bytes(bytes: &[u8], policy: &Policy) -> Result<Self, Unreadable> {
        match bytes.first() {
            Some(&VERSION) => read(&bytes[1..], policy).ok_or(Unreadable::Damaged),
            Some(other) => Err(Unreadable::Version(*other)),
            None => Err(Unreadable::Damaged),
        }
    }
}

fn read(bytes: &[u8], policy: &Policy) -> Option<Stored> {
    let mut input = Input(bytes);
    let spoiled = input.switch()?;
    let status = StatusCode::from_u16(u16::from_le_bytes(*input.array()?)).ok()?;
    let [requested, received] = [UnixMillis(input.number()?), UnixMillis(input.number()?)];
    let times = Times { requested, received };
    let mut vary = Vec::new();
    for _ in 0..input.length()? {
        let name = HeaderName::from_bytes(input.text()?).ok()?;
        let (present, value) = (input.switch()?, input.text()?);
        vary.push((name, present.then(|| value.to_vec())));
    }
    let mut headers = HeaderMap::new();
    for _ in 0..input.length()? {
        let name = HeaderName::from_bytes(input.text()?).ok()?;
        headers.try_append(name, HeaderValue::from_bytes(input.text()?).ok()?).ok()?;
    }
    let terms = Terms::of(Got { status, headers: &headers }, times, policy);
    let stored = Stored { status, headers, times, vary: VaryKey::from_parts(vary), spoiled, terms };
    input.0.is_empty().then_some(stored)
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    put_length(text.len(), out);
    out.extend(text);
}

fn put_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// What is yet to be read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(head)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().copied().map(u64::from_le_bytes)
    }

    fn switch(&mut self) -> Option<bool> {
        match self.array()? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    /// A length that is not true makes nobody allocate: what is not there ends the reading first.
    fn length(&mut self) -> Option<usize> {
        let mut length = 0_usize;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = *self.array()?;
            length |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(length);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }
}
