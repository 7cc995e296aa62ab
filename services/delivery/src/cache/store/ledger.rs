//! What an object's metadata say as a whole: its records, in order. Pure.
//!
//! Invariant B2: a block is listed only with the checksum of what was on the disk before it was listed; so what is listed is here, or
//! the disk is to blame, and the checksum shows that.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    record::{self, HEADER_BYTES, MAX_HEAD_BYTES, MAX_KEY_BYTES, Record, Validator},
    spans::{Span, Spans},
};

/// Where the blocks of an object lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocks {
    /// How long each is, but for the last.
    pub(super) bytes: u32,
    /// The object's length, if it is known.
    pub(super) length: Option<u64>,
}

/// All that is known of an object on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ledger {
    /// What its files have in common with each other and with no other object's.
    pub(super) number: u64,
    pub(super) key: String,
    pub(super) block_bytes: u32,
    /// Milliseconds since 1970, here and below.
    pub(super) created: u64,
    pub(super) validator: Option<Validator>,
    pub(super) validated: u64,
    pub(super) head: Bytes,
    pub(super) length: Option<u64>,
    /// The blocks that are here, with their checksums.
    pub(super) blocks: BTreeMap<u32, u64>,
    pub(super) digest: Option<[u8; 32]>,
    pub(super) used: u64,
    pub(super) hits: u64,
}

impl Blocks {
    /// The block of a byte; `None` beyond what can be numbered.
    pub(super) fn of(self, offset: u64) -> Option<u32> {
        u32::try_from(offset / u64::from(self.bytes)).ok()
    }

    /// The bytes of a block: fewer than others have, if it is the last.
    pub(super) fn span(self, block: u32) -> Span {
        let span = Span::at(u64::from(block) * u64::from(self.bytes), self.bytes.into());
        span.within(Span { start: 0, end: self.length.unwrap_or(u64::MAX) })
    }

    /// The blocks that have a byte in a span.
    pub(super) fn touched(self, span: Span) -> impl Iterator<Item = u32> {
        let blocks = self.of(span.start).zip(self.of(span.end.saturating_sub(1))).filter(|_| !span.is_empty());
        blocks.into_iter().flat_map(|(first, last)| first..=last)
    }
}

impl Ledger {
    /// Reads a whole file; returns what it says and where its last record that holds ends. `None` if it says too little to be an object.
    pub(super) fn read(file: &[u8]) -> Option<(Self, u64)> {
        let number = record::number_of(file)?;
        let (birth, at) = Record::read(number, file, HEADER_BYTES)?;
        let Record::Birth { key, block_bytes, created, validator } = birth else { return None };
        let (Record::Head { validated, head }, mut at) = Record::read(number, file, at)? else { return None };
        let mut ledger = Self {
            number,
            key,
            block_bytes,
            created,
            validator,
            validated,
            head,
            length: None,
            blocks: BTreeMap::new(),
            digest: None,
            used: created,
            hits: 0,
        };
        while let Some((record, next)) = Record::read(number, file, at) {
            ledger.apply(record)?;
            at = next;
        }
        ledger.is_sound().then_some((ledger, at as u64))
    }

    fn apply(&mut self, record: Record) -> Option<()> {
        match record {
            Record::Birth { .. } => return None,
            Record::Head { validated, head } => (self.validated, self.head) = (validated, head),
            Record::Length(length) => self.length = Some(length),
            Record::Blocks { first, checksums } => {
                u32::try_from(checksums.len()).ok().and_then(|count| first.checked_add(count))?;
                self.blocks.extend((first..).zip(checksums));
            }
            Record::Bad(block) => {
                self.blocks.remove(&block);
                self.digest = None;
            }
            Record::Digest(digest) => self.digest = Some(digest),
            Record::Used { at, hits } => (self.used, self.hits) = (at, hits),
        }
        Some(())
    }

    fn is_sound(&self) -> bool {
        let fits = self.key.len() <= MAX_KEY_BYTES && self.head.len() <= MAX_HEAD_BYTES;
        let last = self.blocks.keys().next_back();
        fits && last.is_none_or(|last| !self.layout().span(*last).is_empty())
    }

    pub(super) const fn layout(&self) -> Blocks {
        Blocks { bytes: self.block_bytes, length: self.length }
    }

    /// The bytes that are here, in a data file of that size. A shorter file than the blocks need lost its end by other hands.
    pub(super) fn here(&self, size: u64) -> Spans {
        let layout = self.layout();
        let spans = self.blocks.keys().map(|block| layout.span(*block));
        spans.filter(|span| span.end <= size).collect()
    }

    /// The same content as a file of its own, in as few records as it takes.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut file = record::header(self.number).to_vec();
        let mut put = |record: Record| record.append(self.number, 0, &mut file);
        put(Record::Birth {
            key: self.key.clone(),
            block_bytes: self.block_bytes,
            created: self.created,
            validator: self.validator.clone(),
        });
        put(Record::Head { validated: self.validated, head: self.head.clone() });
        self.length.map(Record::Length).map(&mut put);
        runs(self.blocks.iter().map(|(block, sum)| (*block, *sum))).into_iter().for_each(&mut put);
        self.digest.map(Record::Digest).map(&mut put);
        if (self.used, self.hits) != (self.created, 0) {
            put(Record::Used { at: self.used, hits: self.hits });
        }
        file
    }
}

/// Records that list these blocks, which ascend.
pub(super) fn runs(blocks: impl IntoIterator<Item = (u32, u64)>) -> Vec<Record> {
    // A record is read as a whole: a torn one costs its blocks.
    const LONGEST: usize = 4096;
    let mut runs: Vec<(u32, Vec<u64>)> = Vec::new();
    for (block, sum) in blocks {
        match runs.last_mut() {
            Some((first, sums)) if *first as usize + sums.len() == block as usize && sums.len() < LONGEST => {
                sums.push(sum);
            }
            _ => runs.push((block, vec![sum])),
        }
    }
    runs.into_iter().map(|(first, checksums)| Record::Blocks { first, checksums }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    fn ledger() -> Ledger {
        Ledger {
            number: 7,
            key: "video/a.mp4".to_owned(),
            block_bytes: 10,
            created: 1_000,
            validator: Some(Validator { octets: Bytes::from_static(b"\"v1\""), strong: true }),
            validated: 2_000,
            head: Bytes::from_static(b"HTTP/1.1 200 OK"),
            length: Some(95),
            blocks: BTreeMap::new(),
            digest: None,
            used: 1_000,
            hits: 0,
        }
    }

    proptest! {
        #[test]
        fn a_ledger_that_was_written_is_read(
            blocks in btree_map(0..10_u32, any::<u64>(), 0..10), digest: Option<[u8; 32]>, hits: u64, length in 91..200_u64,
        ) {
            let ledger = Ledger { blocks, digest, hits, length: Some(length), ..ledger() };
            let file = ledger.write();
            prop_assert_eq!(Ledger::read(&file), Some((ledger, file.len() as u64)));
        }
    }

    #[test]
    fn later_records_overrule_earlier_ones() {
        let first = Ledger { blocks: [(0, 1), (1, 2)].into(), digest: Some([1; 32]), ..ledger() };
        let mut file = first.write();
        let head = Bytes::from_static(b"HTTP/1.1 200 Fine");
        for record in [
            Record::Head { validated: 3_000, head: head.clone() },
            Record::Bad(1),
            Record::Blocks { first: 9, checksums: vec![3] },
            Record::Used { at: 4_000, hits: 5 },
        ] {
            record.append(7, 0, &mut file);
        }
        let blocks = [(0, 1), (9, 3)].into();
        let expected = Ledger { validated: 3_000, head, blocks, digest: None, used: 4_000, hits: 5, ..ledger() };
        assert_eq!(Ledger::read(&file).map(|(ledger, _)| ledger), Some(expected));
    }

    #[test]
    fn the_last_block_is_short_and_a_short_file_has_fewer() {
        let ledger = Ledger { blocks: [(0, 1), (1, 2), (9, 3)].into(), ..ledger() };
        assert_eq!(ledger.here(95).iter().collect::<Vec<_>>(), [Span::at(0, 20), Span::at(90, 5)]);
        assert_eq!(ledger.here(94).iter().collect::<Vec<_>>(), [Span::at(0, 20)]);
        assert_eq!(ledger.layout().touched(Span::at(9, 2)).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(ledger.layout().touched(Span::at(9, 0)).count(), 0);
    }

    #[test]
    fn an_object_without_a_head_or_with_a_block_outside_is_none() {
        let file = ledger().write();
        let birth = Record::read(7, &file, HEADER_BYTES).expect("the first record").1;
        assert_eq!(Ledger::read(&file[..birth]), None);
        assert_eq!(Ledger::read(&Ledger { blocks: [(10, 1)].into(), ..ledger() }.write()), None);
    }
}
