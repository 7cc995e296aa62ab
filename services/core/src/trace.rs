//! W3C Trace Context: the `traceparent` header, and its fields as they travel inside a node token.
//!
//! Parsing follows <https://www.w3.org/TR/trace-context/#traceparent-header>: strict on version 00, and on a later version
//! only what that text promises to keep. Ids come from outside; core draws no random numbers.

use std::{fmt, str::FromStr};

/// Why a header is no `traceparent`. A receiver starts a trace of its own then; nothing fails for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected VERSION-TRACE_ID-SPAN_ID-FLAGS in lower-case hexadecimal, with ids other than 0")]
pub struct InvalidTraceparent;

/// Which trace a piece of work belongs to, and which span asked for it.
///
/// Invariant: neither id is all zeros, if it came through [`TraceContext::new`] or parsing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The whole trace.
    pub trace_id: [u8; 16],
    /// The span that caused what is done now.
    pub span_id: [u8; 8],
    /// Whether the caller records this trace.
    pub sampled: bool,
}

/// Bytes of a version 00 header.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;

impl TraceContext {
    /// A context, unless one of the ids is all zeros, which the standard reserves for "none".
    #[must_use]
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], sampled: bool) -> Option<Self> {
        (trace_id != [0; 16] && span_id != [0; 8]).then_some(Self { trace_id, span_id, sampled })
    }

    /// The same trace, as the span `span_id` hands it on.
    #[must_use]
    pub const fn with_span(self, span_id: [u8; 8]) -> Self {
        Self { span_id, ..self }
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    fn from_str(header: &str) -> Result<Self, InvalidTraceparent> {
        let bytes = header.as_bytes();
        let (head, rest) = bytes.split_at_checked(LENGTH).ok_or(InvalidTraceparent)?;
        if [head[2], head[35], head[52]] != *b"---" {
            return Err(InvalidTraceparent);
        }
        let [version] = unhex::<1>(&head[..2])?;
        // Version 00 ends here; a later one may go on after a dash; ff is forbidden for ever.
        let ends_well = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|&byte| byte == b'-'),
        };
        let [flags] = unhex::<1>(&head[53..])?;
        let context = Self::new(unhex(&head[3..35])?, unhex(&head[36..52])?, flags & SAMPLED != 0);
        context.filter(|_| ends_well).ok_or(InvalidTraceparent)
    }
}

/// Lower-case digits only, as the standard has it.
fn unhex<const N: usize>(digits: &[u8]) -> Result<[u8; N], InvalidTraceparent> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(InvalidTraceparent),
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Ok(bytes)
}

/// The header of version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace_id = u128::from_be_bytes(self.trace_id);
        let span_id = u64::from_be_bytes(self.span_id);
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{:02x}", u8::from(self.sampled))
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parsed(header: &str) -> Option<TraceContext> {
        header.parse().ok()
    }

    #[test]
    fn the_standards_own_example_is_read_and_written() {
        let context = parsed(HEADER).expect("the example of the standard");
        assert_eq!(context.trace_id[..2], [0x4b, 0xf9]);
        assert_eq!(context.span_id[6..], [0x02, 0xb7]);
        assert!(context.sampled);
        assert_eq!(context.to_string(), HEADER);
        assert!(!parsed(&HEADER.replace("-01", "-02")).expect("an unknown flag is no fault").sampled);
    }

    #[test]
    fn a_later_version_may_say_more_but_not_less() {
        let later = HEADER.replacen("00-", "cc-", 1);
        assert_eq!(parsed(&later), parsed(HEADER));
        assert_eq!(parsed(&format!("{later}-what-the-future-holds")), parsed(HEADER));
        assert_eq!(parsed(&format!("{later}.no-dash")), None);
        assert_eq!(parsed(&later[..54]), None);
    }

    #[test]
    fn what_the_standard_forbids_is_refused() {
        for bad in [
            "",
            "00",
            &HEADER[..54],
            &format!("{HEADER}-00"),
            &format!("{HEADER} "),
            &HEADER.replacen("00-", "ff-", 1),
            &HEADER.replacen("00-", "0x-", 1),
            &HEADER.to_uppercase(),
            &HEADER.replace('-', "_"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-0",
        ] {
            assert_eq!(parsed(bad), None, "{bad:?}");
        }
    }
}
