//! How what an object has comes to be listed on the disk.
//!
//! The order is the whole of crash safety: bytes are written; they are forced to the disk (`fdatasync`); only then a record that lists their blocks is
//! appended to the metadata. The record itself is forced to the disk by nobody: a crash that takes it costs its blocks, and a torn one does
//! not hold ([`super::record`]). So whatever a crash leaves, what is listed is there (invariant B2).
//!
//! The file itself is made when there is something to list: who waits for the first byte of a new object does not wait for it, and what a crash
//! leaves of an object before is bytes that nothing names, and no object.
//!
//! It is done in batches, since forcing is slow: at the end of a fill, after so many bytes, and for what comes slowly from time to time.

use std::{fs::File, io, sync::Arc, time::SystemTime};

use bytes::Bytes;

use super::{
    error::{FillError, StoreError},
    layout::Kind,
    ledger::{self, Blocks, Ledger},
    object::{Object, Unlisted, millis},
    record::{self, HEADER_BYTES, MAX_HEAD_BYTES, Record},
    settings::Mode,
    spans::Span,
};

/// Metadata that are shorter than this are not worth writing anew.
const WORTH_COMPACTING: u64 = 64 * 1024;

/// What is known of an object's metadata file.
#[derive(Debug)]
pub(super) struct Journal {
    /// Where the next record goes; 0 while there is no file.
    pub(super) end: u64,
    /// How long the file was when it was last written as a whole.
    pub(super) compact: u64,
    /// Whether the file has its name, or may be given it: not that of an object that was purged, replaced or given up.
    pub(super) linked: bool,
}

impl Journal {
    /// Of a new object.
    pub(super) const fn unwritten() -> Self {
        Self { end: 0, compact: 0, linked: true }
    }
}

impl Object {
    /// Makes the metadata file, if there is none yet; returns it then. From the rename on there is an object; nothing is forced to the disk for one that
    /// is empty.
    pub(super) fn begin(&self) -> io::Result<Option<File>> {
        if self.journal().end > 0 {
            return Ok(None);
        }
        let (inner, files) = (&self.inner, &self.inner.files);
        let _shelf = inner.shelf(self.id);
        let mut journal = self.journal();
        // Another object may have the name by now, and its metadata are not to be overwritten.
        journal.linked &= inner.index().get(&self.key).is_some_and(|entry| entry.number == self.number);
        if !journal.linked || journal.end > 0 {
            return Ok(None);
        }
        let (octets, new) = (self.birth().write(), self.id.name(Kind::New(self.number)));
        let begun = files.create(&new).and_then(|file| {
            files.write_at(&file, &octets, 0)?;
            files.rename(&new, &self.id.name(Kind::Meta)).map(|()| file)
        });
        match begun {
            Ok(file) => {
                (journal.end, journal.compact) = (octets.len() as u64, octets.len() as u64);
                Ok(Some(file))
            }
            Err(error) => {
                let _ = files.remove(&new);
                Err(error)
            }
        }
    }

    /// Lists on the disk what is here and was not listed; if that fails, the object is given up. Waits for the disk; what takes too long goes on
    /// by itself.
    pub(super) async fn list(self: &Arc<Self>) -> io::Result<()> {
        let object = Arc::clone(self);
        self.inner.on_a_helper(move || object.list_or_give_up()).await
    }

    /// Lists on the disk what is here and was not listed, and says so where that fails. Blocks.
    pub(super) fn list_or_warn(self: &Arc<Self>) {
        if let Err(error) = self.list_or_give_up() {
            tracing::warn!(key = self.key(), %error, "what came of an object was not listed in the cache");
        }
    }

    fn list_or_give_up(self: &Arc<Self>) -> io::Result<()> {
        self.list_now().inspect_err(|_| self.give_up_now())
    }

    /// Sees to it that so much that is unlisted gets listed: soon if it is much, and now if it is far too much.
    pub(super) async fn list_soon(self: &Arc<Self>, unlisted: u64) -> io::Result<()> {
        let batch = self.inner.settings.flush_bytes;
        if unlisted >= batch.saturating_mul(4) {
            return self.list().await;
        }
        if unlisted >= batch && !std::mem::replace(&mut self.state().unlisted.begun, true) {
            let object = Arc::clone(self);
            let begun = self.inner.calls.begin(move || object.list_or_give_up());
            // Without a turn now, the next bytes try again.
            self.state().unlisted.begun &= begun;
        }
        self.list_later();
        Ok(())
    }

    /// Leaves it to [`super::Store::tend`] to list what is not listed.
    pub(super) fn list_later(self: &Arc<Self>) {
        let mut state = self.state();
        if state.unlisted.is_any() {
            self.queue_up(&mut state);
        }
    }

    /// Whether it has something to list, and is not queued for that.
    pub(super) fn waits_in_vain(&self) -> bool {
        let state = self.state();
        state.unlisted.is_any() && !state.unlisted.queued
    }

    /// Blocks on the disk.
    fn list_now(&self) -> io::Result<()> {
        let new = self.begin()?;
        let mut journal = self.journal();
        let (unlisted, length) = {
            let mut state = self.state();
            let queued = state.unlisted.queued;
            let unlisted = std::mem::replace(&mut state.unlisted, Unlisted { queued, ..Unlisted::default() });
            (unlisted, state.length)
        };
        if !journal.linked {
            return Ok(());
        }
        if !unlisted.blocks.is_empty() {
            self.inner.files.sync(&*self.data)?;
        }
        let layout = Blocks { bytes: self.block_bytes, length };
        let mut blocks = Vec::with_capacity(unlisted.blocks.len());
        for (block, sum) in unlisted.blocks {
            blocks.push((block, sum.map_or_else(|| self.sum_of(layout.span(block)), Ok)?));
        }
        blocks.sort_unstable();
        let length = length.filter(|_| unlisted.length).map(Record::Length);
        let mut records: Vec<Record> = length.into_iter().chain(ledger::runs(blocks)).collect();
        records.extend(self.unnoted_use());
        match new {
            Some(file) => self.append_to(&file, &mut journal, &records)?,
            None => self.append(&mut journal, &records)?,
        }
        self.inner.measure(self);
        let worth = journal.end > WORTH_COMPACTING.max(journal.compact.saturating_mul(4));
        drop(journal);
        if worth {
            // The metadata are good as they are.
            let _ = self.compact();
        }
        Ok(())
    }

    /// The checksum of a block that several fills wrote: of what is read back, most likely out of memory.
    pub(super) fn sum_of(&self, span: Span) -> io::Result<u64> {
        let mut octets = vec![0; usize::try_from(span.length()).map_err(io::Error::other)?];
        self.inner.files.read_at(&*self.data, &mut octets, span.start)?;
        Ok(record::checksum(&octets))
    }

    /// Appends records. After a failure nothing of them is left, or the object has no metadata any more.
    pub(super) fn append(&self, journal: &mut Journal, records: &[Record]) -> io::Result<()> {
        if !journal.linked || records.is_empty() {
            return Ok(());
        }
        let files = &self.inner.files;
        let file = files.open(&self.id.name(Kind::Meta), true)?;
        let mut header = [0; HEADER_BYTES];
        files.read_at(&file, &mut header, 0)?;
        if record::number_of(&header) != Some(self.number) {
            // Another object has the name by now, and its records are not to be written over.
            journal.linked = false;
            return Ok(());
        }
        self.append_to(&file, journal, records)
    }

    /// The same, to a file that is this object's.
    fn append_to(&self, file: &File, journal: &mut Journal, records: &[Record]) -> io::Result<()> {
        let (mut octets, files) = (Vec::new(), &self.inner.files);
        records.iter().for_each(|record| record.append(self.number, journal.end, &mut octets));
        if let Err(error) = files.write_at(file, &octets, journal.end) {
            // A record that is there as a whole, and that nobody knows of, must not come back later.
            journal.linked = files.set_length(file, journal.end).is_ok();
            return Err(error);
        }
        journal.end += octets.len() as u64;
        Ok(())
    }

    /// Writes the metadata anew, without what was overruled.
    pub(super) fn compact(&self) -> io::Result<()> {
        let _shelf = self.inner.shelf(self.id);
        let mut journal = self.journal();
        let (files, name) = (&self.inner.files, self.id.name(Kind::Meta));
        if !journal.linked {
            return Ok(());
        }
        let read = Ledger::read(&files.read(&name)?).filter(|(ledger, _)| ledger.number == self.number);
        let Some((ledger, _)) = read else { return Ok(()) };
        let octets = ledger.write();
        let new = self.id.name(Kind::New(self.number));
        let written = files.create(&new).and_then(|file| {
            files.write_at(&file, &octets, 0)?;
            // Here a power cut would take all of the object, not its last blocks.
            files.sync(&file)?;
            files.rename(&new, &name)
        });
        if written.is_err() {
            let _ = files.remove(&new);
            return written;
        }
        (journal.end, journal.compact) = (octets.len() as u64, octets.len() as u64);
        Ok(())
    }

    /// Keeps another head, which was validated at that moment: an answer 304 updated it. What is kept of it after a crash may be the head before.
    pub async fn set_head(self: &Arc<Self>, head: Bytes, validated: SystemTime) -> Result<(), StoreError> {
        if head.len() > MAX_HEAD_BYTES {
            return Err(StoreError::TooLong);
        }
        let (object, validated) = (Arc::clone(self), millis(validated));
        let kept = self.inner.on_a_helper(move || {
            object.begin()?;
            let mut journal = object.journal();
            if object.inner.settings.mode == Mode::ReadWrite {
                object.append(&mut journal, &[Record::Head { validated, head: head.clone() }])?;
            }
            let mut state = object.state();
            (state.head, state.validated) = (head, validated);
            object.editions.next(&mut state);
            Ok(())
        });
        Ok(kept.await?)
    }

    /// Takes it out of the store: it is of no use to anybody who comes. Who holds it reads what is here, and is told that nothing more comes
    /// ([`super::Arrival::Lost`]).
    pub async fn discard(self: &Arc<Self>) {
        self.give_up().await;
    }

    /// The object is that long.
    pub(super) async fn learn_length(self: &Arc<Self>, length: u64) -> Result<(), FillError> {
        if !self.change(|state, layout| state.set_length(length, layout.bytes)) {
            return Err(FillError::Contradiction);
        }
        let object = Arc::clone(self);
        let lengthened = self.inner.on_a_helper(move || object.inner.files.set_length(&*object.data, length));
        lengthened.await.map_err(FillError::of)?;
        self.list_later();
        Ok(())
    }

    /// Gives the object up: it is not to be found any more, and its files go. Who holds it keeps what is here.
    pub(super) async fn give_up(self: &Arc<Self>) {
        self.change(|state, _| state.lose());
        let gone = self.inner.forget(self);
        let inner = Arc::clone(&self.inner);
        // What is left of it on a sick disk is a valid object with less in it.
        let _ = self.inner.on_a_helper(move || inner.unlink(&gone)).await;
    }

    /// The same, on a helper thread already.
    pub(super) fn give_up_now(self: &Arc<Self>) {
        self.change(|state, _| state.lose());
        let gone = self.inner.forget(self);
        let _ = self.inner.unlink(&gone);
    }
}
