//! Taking stock: what a directory holds becomes known while the store works already, by its metadata alone; the bytes are not read.
//!
//! Until all of it is known, an object that is not in the index is looked for by its name ([`Inner::load`]). What belongs to nothing is
//! deleted on the way: bytes without metadata, metadata without a name or without sense, which crashes leave.

use std::{
    collections::HashMap,
    fs, io,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::{sync::watch, task};

use super::{
    index::Known,
    inner::{Inner, footprint},
    layout::{Id, Kind, SHELVES, shelf_name},
    settings::Mode,
};

/// How many threads read metadata at once: a disk that turns does no better with more, and one that does not is busy with these.
const THREADS: usize = 4;

/// Begins to take stock, on threads of its own. They end by themselves, soon after the store is let go.
pub(super) fn take(inner: &Arc<Inner>) {
    // Whoever is last says that it is done.
    let (inner, done) = (Arc::downgrade(inner), Arc::clone(&inner.stocked));
    let stock = Arc::new(Stock { inner, done, whole: AtomicBool::new(true) });
    for thread in 0..THREADS {
        let stock = Arc::clone(&stock);
        drop(task::spawn_blocking(move || stock.shelves((thread..SHELVES).step_by(THREADS))));
    }
}

struct Stock {
    inner: Weak<Inner>,
    done: Arc<watch::Sender<bool>>,
    /// Whether every directory could be read.
    whole: AtomicBool,
}

impl Stock {
    fn shelves(&self, shelves: impl Iterator<Item = usize>) {
        for shelf in shelves {
            let Some(inner) = self.inner.upgrade().filter(|inner| !inner.closed.load(Relaxed)) else {
                self.whole.store(false, Relaxed);
                return;
            };
            if let Err(error) = take_shelf(&inner, shelf) {
                self.whole.store(false, Relaxed);
                tracing::warn!(shelf = shelf_name(shelf), %error, "a part of the cache cannot be read");
            }
        }
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        // Whatever was purged and is there would have been met.
        let inner = self.inner.upgrade().filter(|inner| inner.settings.mode == Mode::ReadWrite);
        if let Some(inner) = inner.filter(|_| self.whole.load(Relaxed))
            && let Err(error) = inner.forget_purged()
        {
            tracing::warn!(%error, "what was purged is deleted with the next start");
        }
        self.done.send_replace(true);
    }
}

fn take_shelf(inner: &Inner, shelf: usize) -> io::Result<()> {
    let (mut metas, mut others) = (Vec::new(), Vec::new());
    let entries = match fs::read_dir(inner.files.root().join(shelf_name(shelf))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        match entry?.file_name().to_str().and_then(Id::parse) {
            Some((id, Kind::Meta)) => metas.push(id),
            Some((id, kind)) => others.push((id, kind)),
            None => {}
        }
    }
    let (mut numbers, mut failed) = (HashMap::with_capacity(metas.len()), None);
    for id in metas {
        if inner.closed.load(Relaxed) {
            return Ok(());
        }
        match enter(inner, id) {
            Ok(number) => numbers.insert(id, number),
            // It cannot be read now, or not be taken away: what it names is left alone, and so is the note of what was purged.
            Err(error) => {
                failed = Some(error);
                numbers.insert(id, Some(None))
            }
        };
    }
    if inner.settings.mode == Mode::ReadWrite {
        for (id, kind) in others {
            let named = numbers.get(&id).copied().flatten();
            if is_left_over(inner, kind, named) {
                let _shelf = inner.shelf(id);
                inner.files.remove(&id.name(kind))?;
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Whether a file belongs to no object. `named` is what the metadata of its key name: nothing, something that cannot be read, or a number.
fn is_left_over(inner: &Inner, kind: Kind, named: Option<Option<u64>>) -> bool {
    match (kind, named) {
        // Who made it is still at it, or has seen to it.
        (Kind::Data(number) | Kind::New(number), _) if inner.is_of_this_process(number) => false,
        (Kind::New(_), _) => true,
        (Kind::Data(_), None) => true,
        (Kind::Data(_), Some(None)) => false,
        (Kind::Data(number), Some(Some(named))) => number != named,
        (Kind::Meta, _) => false,
    }
}

/// Enters one object; returns the number that its metadata name, and `None` if there are none.
fn enter(inner: &Inner, id: Id) -> io::Result<Option<Option<u64>>> {
    let _shelf = inner.shelf(id);
    let Some((ledger, _)) = inner.read(id)? else { return Ok(None) };
    let number = ledger.number;
    let here: u64 = ledger.blocks.keys().map(|block| ledger.layout().span(*block).length()).sum();
    let mut index = inner.index();
    if index.get(&ledger.key).is_none() {
        let pinned = inner.settings.space.pins(&ledger.key);
        let (key, bytes, hits) = (ledger.key.into(), footprint(here), ledger.hits);
        index.put(Known { key, number, object: Weak::new(), bytes, hits, pinned });
    }
    Ok(Some(Some(number)))
}
