//! The calls to the file system that the store makes, each of which its twin can make fail. All of them block.
//!
//! Names are relative to the store's directory: `ab/ab…` in one of 256 directories.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, IoSlice, IoSliceMut},
    num::NonZeroU64,
    os::{
        fd::AsFd,
        unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use bytes::Bytes;
use rustix::{
    fs::{Advice, fadvise, fdatasync, fstat, ftruncate, stat, statvfs},
    io::{ReadWriteFlags, pread, preadv2, pwrite, pwritev, retry_on_intr},
};

use super::{faulty::Twin, layout::PRIVATE_DIRECTORY, place::Identity};

/// Only this user reads what was cached for others.
const PRIVATE: u32 = 0o600;

/// How much is written by one call. The kernel makes room for each call in as few runs of memory as it can; runs longer than this are rare where the
/// page cache has all the memory that there is, and to make one of others' pages costs more than to copy it full.
const WRITTEN_AT_ONCE: u64 = 32 * 1024;

/// The directory, and what stands between it and the store in tests.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    twin: Option<Twin>,
}

impl Files {
    pub(super) const fn new(root: PathBuf, twin: Option<Twin>) -> Self {
        Self { root, twin }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a write may be made without a helper thread: not where a test has it fail or hang.
    pub(super) const fn are_plain(&self) -> bool {
        self.twin.is_none()
    }

    pub(super) fn at(&self, name: &Path) -> PathBuf {
        self.root.join(name)
    }

    fn strike(&self) -> io::Result<()> {
        self.twin.as_ref().map_or(Ok(()), Twin::strike)
    }

    /// Makes a file that was not there.
    pub(super) fn create(&self, name: &Path) -> io::Result<File> {
        self.strike()?;
        let path = self.at(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(PRIVATE);
        let file = match (options.open(&path), path.parent()) {
            (Err(error), Some(directory)) if error.kind() == io::ErrorKind::NotFound => {
                match DirBuilder::new().mode(PRIVATE_DIRECTORY).create(directory) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => options.open(&path)?,
                }
            }
            (done, _) => done?,
        };
        if let Some(twin) = &self.twin {
            twin.created(path);
        }
        Ok(file)
    }

    /// Opens a file that is there.
    pub(super) fn open(&self, name: &Path, write: bool) -> io::Result<File> {
        self.strike()?;
        OpenOptions::new().read(true).write(write).open(self.at(name))
    }

    /// All that a file holds.
    pub(super) fn read(&self, name: &Path) -> io::Result<Vec<u8>> {
        self.strike()?;
        fs::read(self.at(name))
    }

    /// Fills `octets` from `offset` on; an error if the file ends before.
    pub(super) fn read_at(&self, file: &impl AsFd, mut octets: &mut [u8], mut offset: u64) -> io::Result<()> {
        self.strike()?;
        while !octets.is_empty() {
            match retry_on_intr(|| pread(file, &mut *octets, offset))? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => (octets, offset) = (&mut octets[count..], offset + count as u64),
            }
        }
        Ok(())
    }

    /// Writes all of `octets`, in as many calls as it takes.
    pub(super) fn write_at(&self, file: &impl AsFd, mut octets: &[u8], mut offset: u64) -> io::Result<()> {
        while !octets.is_empty() {
            let most = match &self.twin {
                None => octets.len(),
                Some(twin) => twin.admit(file, octets.len(), offset)?,
            };
            match retry_on_intr(|| pwrite(file, &octets[..most], offset))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => (octets, offset) = (&octets[count..], offset + count as u64),
            }
        }
        Ok(())
    }

    /// The same of several pieces, one behind the other, in calls that end at multiples of [`WRITTEN_AT_ONCE`].
    pub(super) fn write_all_at(&self, file: &impl AsFd, pieces: &[Bytes], mut offset: u64) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut slices = &mut slices[..];
        while let Some(first) = slices.first() {
            let window = (WRITTEN_AT_ONCE - offset % WRITTEN_AT_ONCE) as usize;
            let count = if self.twin.is_some() || first.len() >= window {
                let most = first.len().min(window);
                self.write_at(file, &first[..most], offset)?;
                most
            } else {
                match retry_on_intr(|| pwritev(file, &within(slices, window), offset))? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    count => count,
                }
            };
            IoSlice::advance_slices(&mut slices, count);
            offset += count as u64;
        }
        Ok(())
    }

    pub(super) fn set_length(&self, file: &impl AsFd, length: u64) -> io::Result<()> {
        self.strike()?;
        Ok(retry_on_intr(|| ftruncate(file, length))?)
    }

    /// Waits until what was written is on the disk.
    pub(super) fn sync(&self, file: &impl AsFd) -> io::Result<()> {
        self.strike()?;
        match &self.twin {
            None => fdatasync(file)?,
            // Where the power goes is for the twin to say.
            Some(twin) => twin.synced(file),
        }
        Ok(())
    }

    /// Waits until the names in a directory are on the disk.
    pub(super) fn sync_names(&self, directory: &str) -> io::Result<()> {
        self.strike()?;
        let path = self.root.join(directory);
        match File::open(&path) {
            // Nothing ever had a name there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            directory => directory?.sync_all()?,
        }
        if let Some(twin) = &self.twin {
            twin.synced_names(&path);
        }
        Ok(())
    }

    /// Gives a file the name of another, which goes.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.strike()?;
        let (from, to) = (self.at(from), self.at(to));
        let shadow = self.twin.as_ref().and_then(|twin| twin.shadow(&to));
        fs::rename(&from, &to)?;
        if let Some(twin) = &self.twin {
            twin.renamed(from, to, shadow);
        }
        Ok(())
    }

    /// Takes a name away; it is well if there is none.
    pub(super) fn remove(&self, name: &Path) -> io::Result<()> {
        self.strike()?;
        let path = self.at(name);
        let shadow = self.twin.as_ref().and_then(|twin| twin.shadow(&path));
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            done => done?,
        }
        if let Some(twin) = &self.twin {
            twin.removed(path, shadow);
        }
        Ok(())
    }

    /// Which file has a name.
    pub(super) fn identity(&self, name: &Path) -> io::Result<Identity> {
        self.strike()?;
        let stat = stat(self.at(name))?;
        Ok(Identity { device: stat.st_dev, inode: stat.st_ino })
    }

    /// Which file is open.
    pub(super) fn identity_of(&self, file: &impl AsFd) -> io::Result<Identity> {
        let stat = fstat(file)?;
        Ok(Identity { device: stat.st_dev, inode: stat.st_ino })
    }

    /// How many bytes are free for this process, on the file system of the directory.
    pub(super) fn free(&self) -> io::Result<u64> {
        self.strike()?;
        if let Some(free) = self.twin.as_ref().and_then(Twin::free) {
            return Ok(free);
        }
        let stat = statvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Whether the page cache holds the byte at `offset`.
    pub(super) fn is_resident(&self, file: &impl AsFd, offset: u64) -> bool {
        matches!(preadv2(file, &mut [IoSliceMut::new(&mut [0])], offset, ReadWriteFlags::NOWAIT), Ok(1))
    }

    /// Drops pages of a file from memory, as far as they are on the disk.
    pub(super) fn forget_pages(&self, file: &impl AsFd, offset: u64, length: u64) {
        // Only advice.
        let _ = fadvise(file, offset, NonZeroU64::new(length), Advice::DontNeed);
    }
}

/// The first so many bytes of these slices.
fn within<'s>(slices: &'s [IoSlice<'_>], mut window: usize) -> Vec<IoSlice<'s>> {
    let mut some = Vec::with_capacity(2);
    for slice in slices {
        if window == 0 {
            break;
        }
        let most = slice.len().min(window);
        some.push(IoSlice::new(&slice[..most]));
        window -= most;
    }
    some
}
