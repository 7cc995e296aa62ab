//! The bytes of the object: every one of them follows from its position and from the version.

use std::ops::Range;

/// An object of some length, in any number of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    length: u64,
}

impl Content {
    /// An object of so many bytes.
    #[must_use]
    pub const fn new(length: u64) -> Self {
        Self { length }
    }

    /// How many bytes.
    #[must_use]
    pub const fn length(self) -> u64 {
        self.length
    }

    /// The entity tag of a version.
    #[must_use]
    pub fn etag(self, version: u64) -> String {
        format!("\"v{version}-{:x}\"", self.length)
    }

    /// The bytes of a version at these positions.
    #[must_use]
    pub fn bytes(self, version: u64, range: Range<u64>) -> Vec<u8> {
        range.map(|position| at(version, position)).collect()
    }

    /// Whether these are the bytes of a version from that position on.
    #[must_use]
    pub fn has(self, version: u64, position: u64, bytes: &[u8]) -> bool {
        let end = position + bytes.len() as u64;
        end <= self.length && (position..end).zip(bytes).all(|(position, byte)| at(version, position) == *byte)
    }
}

/// Neighbours differ, and so do equal positions of two versions, blocks and pages.
fn at(version: u64, position: u64) -> u8 {
    let mixed = position.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(version.wrapping_mul(0xd1b5_4a32_d192_ed03));
    mixed.to_le_bytes()[7]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_moved_or_of_another_version_are_told_apart() {
        let content = Content::new(1 << 20);
        let bytes = content.bytes(1, 5000..6000);
        assert!(content.has(1, 5000, &bytes));
        assert!(!content.has(2, 5000, &bytes));
        for elsewhere in [4999, 5001, 5000 + 256, 5000 + 4096, 5000 + (64 << 10)] {
            assert!(!content.has(1, elsewhere, &bytes), "{elsewhere}");
        }
        assert!(!Content::new(5999).has(1, 5000, &bytes), "beyond the end");
    }
}
