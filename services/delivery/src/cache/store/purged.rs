//! Many objects taken out at once.
//!
//! To take one out is to unlink its files and to force its directory to the disk. Of many, the unlinking alone takes seconds, and nobody needs to wait
//! for it: the objects leave the index, one file that names them all is forced to the disk, and the purge is true. Their files go in the background. After a crash
//! the next process reads which objects are gone ([`Inner::remember_purged`]), and takes no notice of their files but to delete them.
//!
//! They are named by their numbers, which no other object ever has: a new object of a purged key is not meant.

use std::{
    collections::{BTreeSet, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
};

use tokio::task;

use super::{
    index::Gone,
    inner::Inner,
    layout::{Id, shelf_name},
    record::checksum,
};

/// How the names of files begin that say what is gone; a number follows.
const NAME: &str = "purged.";

/// What stands at the beginning of such a file; the objects follow, and a checksum of all before it.
const MARK: &[u8] = b"ferry purged 1\n";

/// An object in it: its name on the disk, and its number.
const ENTRY: usize = 16 + 8;

/// Which objects are gone, whose files may be there.
#[derive(Debug, Default)]
pub(super) struct Purged {
    objects: HashSet<(Id, u64)>,
    /// The files that say so.
    files: Vec<PathBuf>,
}

impl Purged {
    /// Whether it is gone.
    pub(super) fn has(&self, id: Id, number: u64) -> bool {
        self.objects.contains(&(id, number))
    }
}

impl Inner {
    /// Takes objects out; when this returns, nobody finds them, after a power cut either. Returns how many there were. Stock must have been taken.
    /// Blocks.
    pub(super) fn purge_many(self: &Arc<Self>, keys: &[Arc<str>]) -> io::Result<u64> {
        let gone = self.forget_keys(keys);
        let count = gone.len() as u64;
        match self.note_purged(&gone) {
            Ok(note) => {
                let inner = Arc::downgrade(self);
                drop(task::spawn_blocking(move || delete(&inner, &gone, &note)));
            }
            // A full disk is a reason to purge: then it takes as long as it takes.
            Err(error) => {
                tracing::warn!(%error, "what is purged is deleted before the answer");
                self.delete(&gone)?;
            }
        }
        Ok(count)
    }

    fn forget_keys(&self, keys: &[Arc<str>]) -> Vec<Gone> {
        let mut keys: Vec<_> = keys.iter().map(|key| (Id::of(key), key)).collect();
        keys.sort_unstable_by_key(|(id, _)| id.shelf());
        let mut all = Vec::with_capacity(keys.len());
        for of_one in keys.chunk_by(|(one, _), (other, _)| one.shelf() == other.shelf()) {
            // Whoever opens one of them has entered it by now, or finds that it is not there.
            let _shelf = of_one.first().map(|(id, _)| self.shelf(*id));
            for (_, key) in of_one {
                // Not within a condition: the index would stay locked.
                let gone = self.index().remove(key);
                if let Some(gone) = gone {
                    self.cut_loose(&gone);
                    all.push(gone);
                }
            }
        }
        all
    }

    /// Notes on the disk, for good, that objects are gone.
    fn note_purged(&self, gone: &[Gone]) -> io::Result<PathBuf> {
        let name = PathBuf::from(format!("{NAME}{:016x}", self.next_number()));
        let octets = written(gone.iter().map(|gone| (gone.id, gone.number)));
        let noted = self.files.create(&name).and_then(|file| {
            self.files.write_at(&file, &octets, 0)?;
            self.files.sync(&file)?;
            self.files.sync_names("")
        });
        if let Err(error) = noted {
            // Half of it says nothing.
            let _ = self.files.remove(&name);
            return Err(error);
        }
        Ok(name)
    }

    /// Deletes the files of objects that are gone, for good.
    fn delete(&self, gone: &[Gone]) -> io::Result<()> {
        gone.iter().try_for_each(|gone| self.unlink(gone))?;
        self.sync_shelves(gone.iter().map(|gone| gone.id))
    }

    fn sync_shelves(&self, ids: impl Iterator<Item = Id>) -> io::Result<()> {
        let shelves: BTreeSet<_> = ids.map(Id::shelf).collect();
        shelves.into_iter().try_for_each(|shelf| self.files.sync_names(&shelf_name(shelf)))
    }

    /// Reads what an earlier process purged and had no time to delete: before anything is looked for. Blocks.
    pub(super) fn remember_purged(&self) -> io::Result<()> {
        let mut purged = self.purged();
        for entry in fs::read_dir(self.files.root())? {
            let name = PathBuf::from(entry?.file_name());
            if !name.to_str().is_some_and(|name| name.starts_with(NAME)) {
                continue;
            }
            // One that was not written to its end is of a purge that nobody was told of.
            purged.objects.extend(read(&self.files.read(&name)?).into_iter().flatten());
            purged.files.push(name);
        }
        Ok(())
    }

    /// All that was purged before is deleted: stock was taken of the whole directory. Blocks.
    pub(super) fn forget_purged(&self) -> io::Result<()> {
        let Purged { objects, files } = std::mem::take(&mut *self.purged());
        self.sync_shelves(objects.into_iter().map(|(id, _)| id))?;
        files.iter().try_for_each(|name| self.files.remove(name))
    }
}

/// Deletes in the background, as long as the store is open.
fn delete(inner: &Weak<Inner>, gone: &[Gone], note: &Path) {
    let deleted = gone.iter().try_for_each(|gone| match open(inner) {
        Some(inner) => inner.unlink(gone),
        None => Err(io::ErrorKind::Interrupted.into()),
    });
    let Some(inner) = open(inner) else { return };
    let ids = gone.iter().map(|gone| gone.id);
    let done = deleted.and_then(|()| inner.sync_shelves(ids)).and_then(|()| inner.files.remove(note));
    if let Err(error) = done {
        tracing::warn!(%error, "what was purged is deleted with the next start");
    }
}

fn open(inner: &Weak<Inner>) -> Option<Arc<Inner>> {
    inner.upgrade().filter(|inner| !inner.closed.load(Relaxed))
}

fn written(objects: impl Iterator<Item = (Id, u64)>) -> Vec<u8> {
    let mut octets = MARK.to_vec();
    for (id, number) in objects {
        octets.extend_from_slice(&id.octets());
        octets.extend_from_slice(&number.to_be_bytes());
    }
    octets.extend_from_slice(&checksum(&octets).to_be_bytes());
    octets
}

/// The objects in such a file; `None` if it is not whole.
fn read(octets: &[u8]) -> Option<Vec<(Id, u64)>> {
    let (octets, sum) = octets.split_last_chunk::<8>()?;
    let entries = octets.strip_prefix(MARK).filter(|_| checksum(octets) == u64::from_be_bytes(*sum))?;
    let entry = |entry: &[u8]| {
        let (id, number) = entry.split_first_chunk::<16>()?;
        Some((Id::of_octets(*id), u64::from_be_bytes(number.try_into().ok()?)))
    };
    entries.chunks(ENTRY).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_says_nothing() {
        let objects = [(Id::of("a"), 7), (Id::of("b"), u64::MAX)];
        let octets = written(objects.into_iter());
        assert_eq!(read(&octets), Some(objects.to_vec()));
        for length in 0..octets.len() {
            assert_eq!(read(&octets[..length]), None, "{length}");
        }
        for at in 0..octets.len() {
            let mut other = octets.clone();
            other[at] ^= 1;
            assert_eq!(read(&other), None, "{at}");
        }
    }
}
