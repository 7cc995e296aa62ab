//! Making room: what a fill needs is reserved before it is written, and what has to go for it goes first.
//!
//! An object that anybody holds is never evicted. One eviction is under way at a time; whoever comes meanwhile waits for it, and finds that
//! there is room.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use ferry_core::eviction::{Admission, First, Verdict};

use super::{
    NewObject,
    error::FillError,
    index::Gone,
    inner::{Inner, Kept, footprint},
    object::Object,
    settings::Mode,
};

/// How many objects go by one call on a helper thread.
const AT_ONCE: usize = 64;

/// Objects that are not to be found any more, held so that no lock is held when they are let go.
type Victims = Vec<(Gone, Option<Kept>)>;

impl Inner {
    /// Whether a new object is to be kept.
    pub(super) fn judge(&self, key: &str, new: &NewObject) -> Verdict {
        if self.is_pressed() {
            return Verdict::Pass;
        }
        let space = &self.settings.space;
        // What is pinned was chosen by an operator, whatever its length.
        if space.pins(key) {
            return Verdict::Admit;
        }
        let first = if new.chosen { First::Admit } else { space.admission.first };
        let mut index = self.index();
        let full = index.bytes().saturating_add(footprint(new.length.unwrap_or(0))) > space.bytes;
        index.judge(&Admission { first, ..space.admission }, key, new.length, full)
    }

    /// Reserves room for so many more bytes of an object; with none, for what it takes already. Waits while other objects go for it.
    pub(super) async fn reserve(self: &Arc<Self>, object: &Object, bytes: u64) -> Result<(), FillError> {
        if self.is_pressed() {
            return Err(FillError::Full);
        }
        // How long it is was not known when it was let in.
        let too_large = object.bytes_here().saturating_add(bytes) > self.settings.space.admission.largest;
        if object.length().is_none() && too_large && !self.settings.space.pins(&object.key) {
            return Err(FillError::Full);
        }
        if self.add(object, bytes) == 0 {
            return Ok(());
        }
        let _turn = self.evicting.lock().await;
        let excess = self.settings.space.excess(self.index().bytes());
        self.evict(excess).await.map_err(FillError::Disk)?;
        if self.index().bytes() > self.settings.space.bytes { Err(FillError::Full) } else { Ok(()) }
    }

    /// Returns what has to go for it.
    fn add(&self, object: &Object, bytes: u64) -> u64 {
        let mut index = self.index();
        index.resize(&object.key, object.number, |before| before + bytes);
        self.settings.space.excess(index.bytes())
    }

    /// Notes how much room an object takes in truth.
    pub(super) fn measure(&self, object: &Object) {
        let bytes = footprint(object.bytes_here());
        self.index().resize(&object.key, object.number, |_| bytes);
    }

    /// Holds the store to its limits; what was written since by others than fills, or by other processes on the file system, counts too.
    pub(super) async fn keep_within(self: &Arc<Self>) -> io::Result<()> {
        if self.settings.mode == Mode::ReadOnly {
            return Ok(());
        }
        let space = &self.settings.space;
        let _turn = self.evicting.lock().await;
        let before = self.free().await?;
        let goal = space.excess(self.index().bytes()).max(space.shortage(before));
        if goal > 0 {
            self.evict(goal).await?;
        }
        let free = if goal > 0 { self.free().await? } else { before };
        // Nothing more may go: what others need of this disk is left alone.
        self.pressed.store(free < space.free_low, Relaxed);
        Ok(())
    }

    /// Whether the file system has less free than is to be left, and nothing could be done about it.
    pub(super) fn is_pressed(&self) -> bool {
        self.pressed.load(Relaxed)
    }

    async fn free(self: &Arc<Self>) -> io::Result<u64> {
        let inner = Arc::clone(self);
        self.on_a_helper(move || inner.files.free()).await
    }

    /// Evicts until so many bytes went, or nothing more may go.
    async fn evict(self: &Arc<Self>, goal: u64) -> io::Result<()> {
        let mut freed = 0;
        while freed < goal {
            let victims = self.victims(goal - freed);
            if victims.is_empty() {
                return Ok(());
            }
            freed += victims.iter().map(|(gone, _)| gone.bytes).sum::<u64>();
            self.evicted.fetch_add(victims.len() as u64, Relaxed);
            let inner = Arc::clone(self);
            let unlink_all = move || victims.into_iter().try_for_each(|(gone, _)| inner.unlink(&gone));
            self.on_a_helper(unlink_all).await?;
        }
        Ok(())
    }

    fn victims(&self, goal: u64) -> Victims {
        let (mut victims, mut freed, mut index) = (Victims::new(), 0, self.index());
        while freed < goal && victims.len() < AT_ONCE {
            let Some(gone) = index.evict(|entry| !self.is_in_use(entry)) else { break };
            freed += gone.bytes;
            let kept = self.take_kept(gone.number);
            victims.push((gone, kept));
        }
        victims
    }
}
