//! The records of an object's metadata, as octets. Pure: what they mean together is [`super::ledger`]'s.
//!
//! A file begins with a header (magic, version, the object's number, checksum); records follow to its end:
//!
//! ```text
//! length of the payload u32 · kind u8 · payload · checksum u64      (little-endian)
//! ```
//!
//! The checksum (XXH3-64) covers what is before it and depends on the object's number and the record's place in the file: what a reused disk block
//! held before is no record here, even where it was one elsewhere. What does not hold ends the file: a tail that was torn by a crash costs
//! what it would have said, and nothing before it.

use bytes::Bytes;
use twox_hash::XxHash3_64;

/// The version of header and records. Older builds refuse newer ones, by the directory's own mark.
pub(super) const FORMAT: u32 = 1;

const MAGIC: &[u8; 8] = b"FERRYOBJ";

/// Magic, version, number, checksum.
pub(super) const HEADER_BYTES: usize = 28;

/// What a record takes besides its payload.
const FRAME_BYTES: usize = 4 + 1 + 8;

/// The longest key: a URL that servers still take, and its variant.
pub const MAX_KEY_BYTES: usize = 16 * 1024;

/// The longest head.
pub const MAX_HEAD_BYTES: usize = 256 * 1024;

/// What tells one version of a resource from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator {
    /// As the origin gave it.
    pub octets: Bytes,
    /// Whether bytes under it may be combined (promise P10).
    pub strong: bool,
}

/// One thing that is known of an object. Later ones overrule earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// The first one: what never changes.
    Birth { key: String, block_bytes: u32, created: u64, validator: Option<Validator> },
    /// The stored head, and when it was last validated (milliseconds since 1970).
    Head { validated: u64, head: Bytes },
    /// The total length.
    Length(u64),
    /// Blocks that are here, from `first` on, by their checksums.
    Blocks { first: u32, checksums: Vec<u64> },
    /// A block that is not here any more.
    Bad(u32),
    /// SHA-256 over the whole.
    Digest([u8; 32]),
    /// When it was last used (milliseconds since 1970), and how often in all.
    Used { at: u64, hits: u64 },
}

/// The checksum of a block, and of a record.
pub(super) fn checksum(octets: &[u8]) -> u64 {
    XxHash3_64::oneshot(octets)
}

/// The header of a file for the object of that number.
pub(super) fn header(number: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header[12..20].copy_from_slice(&number.to_le_bytes());
    let sum = checksum(&header[..20]);
    header[20..].copy_from_slice(&sum.to_le_bytes());
    header
}

/// The number in a header; `None` if it is none of ours.
pub(super) fn number_of(header: &[u8]) -> Option<u64> {
    let mut reader = Reader(header);
    let sound = reader.take(8)? == MAGIC && reader.u32()? == FORMAT;
    let number = reader.u64()?;
    (sound && reader.u64()? == checksum(header.get(..20)?)).then_some(number)
}

impl Record {
    /// Appends the record to `file`, which holds what comes before it from `base` on.
    pub(super) fn append(&self, number: u64, base: u64, file: &mut Vec<u8>) {
        let begin = file.len();
        file.extend_from_slice(&[0; 4]);
        file.push(self.kind());
        self.payload(file);
        let length = u32::try_from(file.len() - begin - 5).expect("keys, heads and blocks of a record are bounded");
        file[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
        let sum = seal(number, base + begin as u64, &file[begin..]);
        file.extend_from_slice(&sum.to_le_bytes());
    }

    /// Reads the record that begins at `at` of a whole file; returns it and where the next one begins. `None` where there is none that
    /// holds.
    pub(super) fn read(number: u64, file: &[u8], at: usize) -> Option<(Self, usize)> {
        let mut reader = Reader(file.get(at..)?);
        let length = usize::try_from(reader.u32()?).ok()?;
        let kind = reader.u8()?;
        let payload = reader.take(length)?;
        let sum = reader.u64()?;
        let sealed = file.get(at..at + FRAME_BYTES - 8 + length)?;
        if sum != seal(number, at as u64, sealed) {
            return None;
        }
        Some((Self::parse(kind, payload)?, at + FRAME_BYTES + length))
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Birth { .. } => 1,
            Self::Head { .. } => 2,
            Self::Length(_) => 3,
            Self::Blocks { .. } => 4,
            Self::Bad(_) => 5,
            Self::Digest(_) => 6,
            Self::Used { .. } => 7,
        }
    }

    fn payload(&self, out: &mut Vec<u8>) {
        match self {
            Self::Birth { key, block_bytes, created, validator } => {
                out.extend_from_slice(&block_bytes.to_le_bytes());
                out.extend_from_slice(&created.to_le_bytes());
                out.push(validator.as_ref().map_or(0, |validator| 1 + u8::from(validator.strong)));
                out.extend_from_slice(&(key.len() as u32).to_le_bytes());
                out.extend_from_slice(key.as_bytes());
                out.extend_from_slice(validator.as_ref().map_or(&[], |validator| &validator.octets));
            }
            Self::Head { validated, head } => {
                out.extend_from_slice(&validated.to_le_bytes());
                out.extend_from_slice(head);
            }
            Self::Length(length) => out.extend_from_slice(&length.to_le_bytes()),
            Self::Blocks { first, checksums } => {
                out.extend_from_slice(&first.to_le_bytes());
                checksums.iter().for_each(|sum| out.extend_from_slice(&sum.to_le_bytes()));
            }
            Self::Bad(block) => out.extend_from_slice(&block.to_le_bytes()),
            Self::Digest(digest) => out.extend_from_slice(digest),
            Self::Used { at, hits } => {
                out.extend_from_slice(&at.to_le_bytes());
                out.extend_from_slice(&hits.to_le_bytes());
            }
        }
    }

    fn parse(kind: u8, payload: &[u8]) -> Option<Self> {
        let mut reader = Reader(payload);
        let record = match kind {
            1 => reader.birth()?,
            2 => Self::Head { validated: reader.u64()?, head: Bytes::copy_from_slice(reader.rest()) },
            3 => Self::Length(reader.u64()?),
            4 => {
                let first = reader.u32()?;
                let (sums, odd) = reader.rest().as_chunks();
                if !odd.is_empty() {
                    return None;
                }
                Self::Blocks { first, checksums: sums.iter().copied().map(u64::from_le_bytes).collect() }
            }
            5 => Self::Bad(reader.u32()?),
            6 => Self::Digest(reader.take(32)?.try_into().ok()?),
            7 => Self::Used { at: reader.u64()?, hits: reader.u64()? },
            _ => return None,
        };
        reader.0.is_empty().then_some(record)
    }
}

/// What makes a record valid in this place of this file alone.
fn seal(number: u64, place: u64, octets: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(number.wrapping_add(place.rotate_left(32)), octets)
}

/// Takes numbers from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|octets| octets[0])
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn birth(&mut self) -> Option<Record> {
        let (block_bytes, created, strength) = (self.u32()?, self.u64()?, self.u8()?);
        let length = usize::try_from(self.u32()?).ok()?;
        let key = std::str::from_utf8(self.take(length)?).ok()?.to_owned();
        let octets = Bytes::copy_from_slice(self.rest());
        let validator = match strength {
            0 if octets.is_empty() => None,
            1 | 2 => Some(Validator { octets, strong: strength == 2 }),
            _ => return None,
        };
        (block_bytes > 0).then_some(Record::Birth { key, block_bytes, created, validator })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const NUMBER: u64 = 0x1234_5678_9abc_def0;

    fn octets(most: usize) -> impl Strategy<Value = Bytes> {
        vec(any::<u8>(), 0..most).prop_map(Bytes::from)
    }

    fn record() -> impl Strategy<Value = Record> {
        let validator = (octets(20), any::<bool>()).prop_map(|(octets, strong)| Validator { octets, strong });
        prop_oneof![
            ("\\PC{0,40}", 1..u32::MAX, any::<u64>(), proptest::option::of(validator)).prop_map(
                |(key, block_bytes, created, validator)| Record::Birth { key, block_bytes, created, validator }
            ),
            (any::<u64>(), octets(80)).prop_map(|(validated, head)| Record::Head { validated, head }),
            any::<u64>().prop_map(Record::Length),
            (any::<u32>(), vec(any::<u64>(), 0..20)).prop_map(|(first, checksums)| Record::Blocks { first, checksums }),
            any::<u32>().prop_map(Record::Bad),
            any::<[u8; 32]>().prop_map(Record::Digest),
            any::<(u64, u64)>().prop_map(|(at, hits)| Record::Used { at, hits }),
        ]
    }

    fn file(records: &[Record]) -> Vec<u8> {
        let mut file = header(NUMBER).to_vec();
        records.iter().for_each(|record| record.append(NUMBER, 0, &mut file));
        file
    }

    fn read(file: &[u8]) -> Vec<Record> {
        let mut at = HEADER_BYTES;
        std::iter::from_fn(|| Record::read(NUMBER, file, at).map(|(record, next)| (at = next, record).1)).collect()
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(records in vec(record(), 0..8)) {
            let file = file(&records);
            prop_assert_eq!(number_of(&file), Some(NUMBER));
            prop_assert_eq!(read(&file), records);
        }

        #[test]
        fn a_file_that_is_cut_short_loses_its_tail_and_no_more(records in vec(record(), 1..8), cut in any::<prop::sample::Index>()) {
            let whole = file(&records);
            let cut = HEADER_BYTES + cut.index(whole.len() - HEADER_BYTES);
            let left = read(&whole[..cut]);
            prop_assert!(left.len() < records.len());
            prop_assert_eq!(&left[..], &records[..left.len()]);
        }

        #[test]
        fn an_octet_that_is_changed_ends_the_file_there(
            records in vec(record(), 1..8), place in any::<prop::sample::Index>(), change in 1..=255_u8,
        ) {
            let mut changed = file(&records);
            let place = HEADER_BYTES + place.index(changed.len() - HEADER_BYTES);
            changed[place] ^= change;
            let left = read(&changed);
            prop_assert!(left.len() < records.len());
            prop_assert_eq!(&left[..], &records[..left.len()]);
        }

        #[test]
        fn any_octets_are_read_without_a_panic(file in vec(any::<u8>(), 0..200)) {
            let _ = (number_of(&file), read(&file));
        }
    }

    #[test]
    fn a_record_holds_in_its_own_place_only() {
        let whole = file(&[Record::Length(7), Record::Length(7)]);
        let (_, second) = Record::read(NUMBER, &whole, HEADER_BYTES).expect("it holds");
        let mut moved = whole[..HEADER_BYTES].to_vec();
        moved.extend_from_slice(&whole[second..]);
        assert_eq!(read(&moved), [], "the second one is none in the place of the first");
        assert_eq!(Record::read(NUMBER + 1, &whole, HEADER_BYTES), None, "nor in another object's file");
    }
}
