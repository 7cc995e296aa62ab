//! A fill: bytes of one claim, in order, as they arrive from the origin.
//!
//! Where a write is made. A write goes into the page cache, which takes microseconds, in place, on the thread that received the bytes: a helper thread
//! would cost more than the write. The kernel makes a writer wait where too much waits for the disk; so the store bounds
//! what does ([`super::Settings::flush_bytes`]), and once a write took long all the same, writes go to helper threads for a while. So
//! they do on file systems that may hang.

use std::{fmt, hash::Hasher as _, slice, sync::Arc};

use bytes::Bytes;
use ring::digest::{Context, SHA256};
use twox_hash::XxHash3_64;

use super::{error::FillError, ledger::Blocks, object::Object, spans::Span};

/// How much room is reserved at a time, as long as so much is to come.
const RESERVED_AT_ONCE: u64 = 1 << 20;

/// The right and the duty to bring the bytes of a span. Dropping it gives back what it did not bring.
pub struct Fill {
    object: Arc<Object>,
    claim: Span,
    /// Where the next byte goes.
    at: u64,
    /// The digest of what came, while that is everything from the object's beginning on.
    digest: Option<Context>,
    /// Room that was reserved and is not written.
    reserved: u64,
    /// The checksum of the block that is being written, if this fill writes it from its beginning.
    block: Option<XxHash3_64>,
}

impl Fill {
    pub(super) fn new(object: Arc<Object>, claim: Span) -> Self {
        let wanted = claim.start == 0 && object.inner.settings.digest_while_filled;
        let digest = wanted.then(|| Context::new(&SHA256));
        Self { object, claim, at: claim.start, digest, reserved: 0, block: None }
    }

    /// The object that it is for.
    #[must_use]
    pub const fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// What it still has to bring. The end lies at the end of all positions, where nobody knew the object's length when it began.
    #[must_use]
    pub fn rest(&self) -> Span {
        Span { start: self.at, end: self.end() }
    }

    fn end(&self) -> u64 {
        self.object.length().map_or(self.claim.end, |length| self.claim.end.min(length)).max(self.at)
    }

    /// Writes the next bytes; who waits for them may read them when this returns. Returns how many were taken: fewer than there were, if
    /// the claim ends within them.
    ///
    /// After an error the object is gone from the store, and everybody who waits for it is told ([`super::Arrival::Lost`]): what comes goes on
    /// to its clients past the cache. Cancelling may leave the bytes written and not counted; the fill is to be dropped then.
    pub async fn write(&mut self, bytes: &Bytes) -> Result<usize, FillError> {
        self.write_all(slice::from_ref(bytes)).await
    }

    /// The same of several pieces, one behind the other: one call to the system for all of them.
    pub async fn write_all(&mut self, pieces: &[Bytes]) -> Result<usize, FillError> {
        let mut left = usize::try_from(self.end() - self.at).unwrap_or(usize::MAX);
        let mut taken = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let count = piece.len().min(left);
            left -= count;
            if count > 0 {
                taken.push(piece.slice(..count));
            }
        }
        let count = taken.iter().map(Bytes::len).sum();
        if count == 0 {
            return Ok(0);
        }
        match self.put(taken.into(), count as u64).await {
            Ok(()) => Ok(count),
            Err(error) => {
                self.object.give_up().await;
                Err(error)
            }
        }
    }

    async fn put(&mut self, pieces: Arc<[Bytes]>, length: u64) -> Result<(), FillError> {
        if self.object.is_lost() {
            return Err(FillError::Lost);
        }
        let span = Span::at(self.at, length);
        self.reserve(span.length()).await?;
        self.store(Arc::clone(&pieces)).await.map_err(FillError::of)?;
        let layout = Blocks { bytes: self.object.block_bytes, length: self.object.length() };
        let sums = self.hash(&pieces, layout);
        // Who was told that nothing more comes would not look for it in the file.
        let came = self.object.change(|state, layout| {
            (!state.lost).then(|| {
                state.came(span, &sums, layout);
                state.unlisted.bytes
            })
        });
        let unlisted = came.ok_or(FillError::Lost)?;
        self.at = span.end;
        if let Some(digest) = &mut self.digest {
            pieces.iter().for_each(|piece| digest.update(piece));
        }
        self.object.inner.count_written(span.length());
        self.object.list_soon(unlisted).await.map_err(FillError::of)
    }

    /// Sees to it that so much is reserved; in large steps, since it takes a look at the index.
    async fn reserve(&mut self, bytes: u64) -> Result<(), FillError> {
        if self.reserved < bytes {
            let step = bytes.max(self.rest().length().min(RESERVED_AT_ONCE));
            self.object.inner.reserve(&self.object, step).await?;
            self.reserved += step;
        }
        self.reserved -= bytes;
        Ok(())
    }

    async fn store(&self, pieces: Arc<[Bytes]>) -> std::io::Result<()> {
        let (inner, object, at) = (&self.object.inner, Arc::clone(&self.object), self.at);
        inner.in_place_or_on_a_helper(move || object.inner.files.write_all_at(&*object.data, &pieces, at)).await
    }

    /// The checksums of the blocks that end within these pieces, and that this fill wrote from their beginnings.
    fn hash(&mut self, pieces: &[Bytes], layout: Blocks) -> Vec<(u32, u64)> {
        let (mut at, mut sums) = (self.at, Vec::new());
        for piece in pieces {
            self.hash_piece(piece, at, layout, &mut sums);
            at += piece.len() as u64;
        }
        sums
    }

    fn hash_piece(&mut self, mut bytes: &[u8], mut at: u64, layout: Blocks, sums: &mut Vec<(u32, u64)>) {
        while let (false, Some(block)) = (bytes.is_empty(), layout.of(at)) {
            let span = layout.span(block);
            let (part, rest) =
                bytes.split_at(usize::try_from(span.end - at).map_or(bytes.len(), |left| left.min(bytes.len())));
            if at == span.start {
                self.block = Some(XxHash3_64::new());
            }
            if let Some(hash) = &mut self.block {
                hash.write(part);
            }
            (at, bytes) = (at + part.len() as u64, rest);
            if at == span.end {
                sums.extend(self.block.take().map(|hash| (block, hash.finish())));
            }
        }
    }

    /// Says how long the object is, once that is known: at the end of an answer that did not say so at its beginning.
    pub async fn set_length(&mut self, length: u64) -> Result<(), FillError> {
        let outcome = self.object.learn_length(length).await;
        if outcome.is_err() {
            self.object.give_up().await;
        }
        outcome
    }

    /// Ends the fill; what it brought is listed on the disk before long ([`super::Settings::flush_every`]).
    pub async fn leave(self) {
        let object = Arc::clone(&self.object);
        let listed = match self.digest {
            Some(_) => self.finish().await,
            None => {
                drop(self);
                // What waits to be listed is open: where that is much already, whoever brings more waits.
                if object.waits_in_vain() { object.list().await.map_err(FillError::of) } else { Ok(()) }
            }
        };
        if let Err(error) = listed {
            tracing::warn!(key = object.key(), %error, "what came of an object was not listed in the cache");
        }
    }

    /// Ends the fill, and lists what it brought on the disk.
    pub async fn finish(mut self) -> Result<(), FillError> {
        let object = Arc::clone(&self.object);
        let digest = self.digest.take().filter(|_| object.length() == Some(self.at));
        drop(self);
        object.list().await.map_err(FillError::of)?;
        if let Some(digest) = digest {
            let noted = object.inner.on_a_helper({
                let object = Arc::clone(&object);
                move || object.note_digest(&digest.finish())
            });
            noted.await.map_err(FillError::of)?;
        }
        Ok(())
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        self.object.change(|state, _| state.release(self.claim));
        // What was reserved for nothing is given back.
        self.object.inner.measure(&self.object);
        self.object.list_later();
    }
}

impl fmt::Debug for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fill")
            .field("object", &self.object)
            .field("claim", &self.claim)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
