//! `multipart/byteranges` bodies: RFC 9110 section 14.6.

use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use http::HeaderValue;

use super::ranges::{self, ByteRange};
use crate::answer::{Parts, Segment, Slice};

/// What separates the parts of one answer.
///
/// It must not occur in the file; so nobody may be able to foretell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boundary(pub u128);

/// A source of boundaries, keyed once by the operating system's randomness.
#[derive(Debug, Default)]
pub struct Boundaries {
    keys: (RandomState, RandomState),
    count: AtomicU64,
}

impl Boundaries {
    /// One that was not used before and cannot be foretold.
    #[must_use]
    pub fn next(&self) -> Boundary {
        let count = self.count.fetch_add(1, Relaxed);
        let half = |keys: &RandomState| {
            let mut hasher = keys.build_hasher();
            hasher.write_u64(count);
            u128::from(hasher.finish())
        };
        Boundary(half(&self.keys.0) << 64 | half(&self.keys.1))
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Boundary {
    /// The `Content-Type` of the whole body.
    #[must_use]
    pub fn content_type(self) -> HeaderValue {
        let text = format!("multipart/byteranges; boundary={self}");
        HeaderValue::from_str(&text).expect("hexadecimal digits are plain ASCII")
    }
}

/// Lays out the body: for each range its delimiter, its header and its bytes, then the closing delimiter.
#[must_use]
pub fn layout(ranges: &[ByteRange], length: u64, content_type: &HeaderValue, boundary: Boundary) -> Parts {
    let mut segments = Vec::with_capacity(2 * ranges.len() + 1);
    for (at, range) in ranges.iter().enumerate() {
        let mut text = Vec::with_capacity(160);
        if at > 0 {
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(format!("--{boundary}\r\nContent-Type: ").as_bytes());
        text.extend_from_slice(content_type.as_bytes());
        let content_range = ranges::content_range(range, length);
        text.extend_from_slice(format!("\r\nContent-Range: {content_range}\r\n\r\n").as_bytes());
        segments.push(Segment::Text(text.into()));
        segments.push(Segment::Slice(Slice { offset: *range.start(), length: ranges::width(range) }));
    }
    segments.push(Segment::Text(Bytes::from(format!("\r\n--{boundary}--\r\n"))));
    Parts::Many(Arc::from(segments))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rendered(parts: &Parts, file: &[u8]) -> Vec<u8> {
        let Parts::Many(segments) = parts else { panic!("a multipart body has many parts") };
        let mut body = Vec::new();
        for segment in segments.iter() {
            match segment {
                Segment::Text(text) => body.extend_from_slice(text),
                Segment::Slice(slice) => {
                    let first = usize::try_from(slice.offset).expect("a small file");
                    let length = usize::try_from(slice.length).expect("a small file");
                    body.extend_from_slice(&file[first..first + length]);
                }
            }
        }
        body
    }

    #[test]
    fn a_body_is_as_the_standard_s_example_has_it() {
        let file = b"0123456789";
        let parts = layout(&[0..=1, 8..=9], 10, &HeaderValue::from_static("text/plain"), Boundary(0xab));
        let boundary = "000000000000000000000000000000ab";
        let expected = format!(
            "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\
             \r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\
             \r\n--{boundary}--\r\n"
        );
        assert_eq!(String::from_utf8(rendered(&parts, file)).expect("text"), expected);
        assert_eq!(Boundary(0xab).content_type(), format!("multipart/byteranges; boundary={boundary}"));
    }

    #[test]
    fn boundaries_differ() {
        let boundaries = Boundaries::default();
        assert_ne!(boundaries.next(), boundaries.next());
        assert_ne!(Boundaries::default().next(), Boundaries::default().next());
    }

    proptest! {
        /// D1: the length that is announced is the length of what is rendered.
        #[test]
        fn the_announced_length_is_the_rendered_one(cuts in proptest::collection::btree_set(0..500_u64, 2..20)) {
            let file = vec![b'x'; 500];
            let cuts: Vec<_> = cuts.into_iter().collect();
            let ranges: Vec<ByteRange> = cuts.chunks_exact(2).map(|pair| pair[0]..=pair[1]).collect();
            let parts = layout(&ranges, 500, &HeaderValue::from_static("video/mp4"), Boundary(1));
            prop_assert_eq!(parts.length(), rendered(&parts, &file).len() as u64);
        }
    }
}
