//! Proving what is on the disk: block by block, against the checksums in the metadata; and on the way the digest of what is here as a whole.
//!
//! A block that does not hold, or cannot be read, leaves the object: it is fetched anew by whoever wants it next. It is counted ([`super::Usage::damaged`]),
//! for the node's health: a disk that returns other bytes than it was given is worse than one that fails.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use ring::digest::{Context, Digest, SHA256};
use tokio::time::{self, Instant};

use super::{
    inner::Inner,
    layout::Kind,
    ledger::{Blocks, Ledger},
    object::Object,
    record::{self, Record},
    settings::Mode,
    spans::Span,
};

/// What looking at an object costs at least, in bytes: the disk has to find it.
const LEAST_COST: u64 = 256 * 1024;

/// What was found out about an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proof {
    /// How many bytes held.
    pub good: u64,
    /// What did not, and is not here any more.
    pub bad: Vec<Span>,
}

/// A walk over the blocks of one object.
struct Walk {
    object: Arc<Object>,
    blocks: BTreeMap<u32, u64>,
    layout: Blocks,
    /// Over all before the next block, if that began at the first one and had no gap.
    digest: Option<(Context, u64)>,
    proof: Proof,
}

impl Inner {
    /// Proves the object of a key, at so many bytes a second at most; `None` if there is none.
    pub(super) async fn prove(self: &Arc<Self>, key: &str, rate: Option<u64>) -> io::Result<Option<Proof>> {
        let (inner, of) = (Arc::clone(self), key.to_owned());
        let Some(mut walk) = self.on_a_helper(move || Walk::begin(&inner, &of)).await? else { return Ok(None) };
        let mut begun = Instant::now();
        loop {
            let (left, bytes);
            (walk, left, bytes) = self.on_a_helper(move || walk.step()).await?;
            if !left {
                return Ok(Some(walk.proof));
            }
            if let Some(rate) = rate {
                // Counted from when the last step should have begun: what it took itself is part of it.
                begun += Duration::from_secs_f64(bytes.max(LEAST_COST) as f64 / rate.max(1) as f64);
                time::sleep_until(begun).await;
                begun = begun.max(Instant::now() - Duration::from_secs(1));
            }
        }
    }
}

impl Walk {
    fn begin(inner: &Arc<Inner>, key: &str) -> io::Result<Option<Self>> {
        let Some(object) = inner.load(key)? else { return Ok(None) };
        object.begin()?;
        let Some(ledger) = object.ledger()? else { return Ok(None) };
        let wanted = ledger.digest.is_none() && object.is_whole();
        let (layout, blocks) = (ledger.layout(), ledger.blocks);
        let digest = wanted.then(|| (Context::new(&SHA256), 0));
        Ok(Some(Self { object, blocks, layout, digest, proof: Proof::default() }))
    }

    /// Proves one block; returns whether there may be more, and how many bytes were read.
    fn step(mut self) -> io::Result<(Self, bool, u64)> {
        let Some((block, sum)) = self.blocks.pop_first() else {
            self.finish()?;
            return Ok((self, false, 0));
        };
        let span = self.layout.span(block);
        let octets = self.object.read_quietly(span);
        match &octets {
            Ok(octets) if record::checksum(octets) == sum => {
                self.proof.good += span.length();
                self.digest = self.digest.take().filter(|(_, end)| *end == span.start).map(|(mut digest, _)| {
                    digest.update(octets);
                    (digest, span.end)
                });
            }
            _ => {
                self.digest = None;
                if self.object.condemn(block, sum)? {
                    self.proof.bad.push(span);
                }
                // The disk's own record has it.
                octets.map(drop)?;
            }
        }
        Ok((self, true, span.length()))
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.digest.take() {
            Some((digest, end)) if self.layout.length == Some(end) && self.object.is_whole() => {
                self.object.note_digest(&digest.finish())
            }
            _ => Ok(()),
        }
    }
}

impl Object {
    /// What the metadata say now; `None` if they are another object's, or nobody's.
    fn ledger(&self) -> io::Result<Option<Ledger>> {
        let octets = match self.inner.files.read(&self.id.name(Kind::Meta)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            octets => octets?,
        };
        Ok(Ledger::read(&octets).map(|(ledger, _)| ledger).filter(|ledger| ledger.number == self.number))
    }

    /// Reads, and leaves the page cache as it was: nobody asked for these bytes.
    fn read_quietly(&self, span: Span) -> io::Result<Vec<u8>> {
        let files = &self.inner.files;
        let resident = files.is_resident(&*self.data, span.start);
        let mut octets = vec![0; usize::try_from(span.length()).map_err(io::Error::other)?];
        let read = files.read_at(&*self.data, &mut octets, span.start);
        if !resident {
            files.forget_pages(&*self.data, span.start, span.length());
        }
        read.map(|()| octets)
    }

    /// Takes a block out that did not hold under this checksum; false if it was not listed under it any more.
    fn condemn(self: &Arc<Self>, block: u32, sum: u64) -> io::Result<bool> {
        let mut journal = self.journal();
        if journal.linked && self.ledger()?.is_none_or(|ledger| ledger.blocks.get(&block) != Some(&sum)) {
            return Ok(false);
        }
        self.change(|state, layout| {
            state.here.remove(layout.span(block));
            state.digest = None;
            // What was read of it may be kept in memory, and it will be whole again.
            self.editions.next(state);
        });
        self.inner.damaged.fetch_add(1, Relaxed);
        tracing::warn!(key = self.key(), block, "a block in the cache is not what was written");
        let noted = self.append(&mut journal, &[Record::Bad(block)]);
        drop(journal);
        if noted.is_err() {
            // It must not come back with the next process.
            self.give_up_now();
        }
        Ok(true)
    }

    /// Keeps the digest of all of it.
    pub(super) fn note_digest(&self, digest: &Digest) -> io::Result<()> {
        let digest = digest.as_ref().try_into().map_err(io::Error::other)?;
        self.begin()?;
        let mut journal = self.journal();
        if self.inner.settings.mode == Mode::ReadWrite {
            self.append(&mut journal, &[Record::Digest(digest)])?;
        }
        self.state().digest = Some(digest);
        Ok(())
    }
}
