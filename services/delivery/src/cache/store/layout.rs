//! Where things lie in the directory of a store, and whose directory it is.
//!
//! ```text
//! format                     says which format the rest has
//! lock                       held by the one process that writes here, or by all that only read
//! ab/ab….meta                what is known of an object; ab… is SHA-256 of its key, cut to 128 bits
//! ab/ab….NUMBER.data         its bytes, sparse; NUMBER is no other object's, in this directory or ever
//! ab/ab….NUMBER.new          metadata that have not got their name yet
//! purged.NUMBER              which objects are gone though their files may be there
//! ```
//!
//! Metadata name their bytes by the number. So whatever a crash leaves of names, old metadata and new bytes never meet.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use ferry_runtime::atomic_file;
use ring::digest;
use rustix::fs::{FlockOperation, flock};

use super::{error::OpenError, record::FORMAT, settings::Mode};

/// How many directories the objects are spread over: some thousand files in each, for a million objects. Each is made when it is needed.
pub(super) const SHELVES: usize = 256;

pub(super) const LOCK: &str = "lock";
const MARK: &str = "format";

/// Only this user reads what was cached for others.
pub(super) const PRIVATE_DIRECTORY: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

/// The name of an object on the disk, by its key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id([u8; 16]);

/// What a file in one of the directories is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Meta,
    Data(u64),
    New(u64),
}

impl Id {
    pub(super) fn of(key: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, key.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&digest.as_ref()[..16]);
        Self(id)
    }

    pub(super) const fn octets(self) -> [u8; 16] {
        self.0
    }

    pub(super) const fn of_octets(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// Which of the directories it lies in.
    pub(super) const fn shelf(self) -> usize {
        self.0[0] as usize
    }

    /// Where a file of this object lies.
    pub(super) fn name(self, kind: Kind) -> PathBuf {
        let shelf = shelf_name(self.shelf());
        match kind {
            Kind::Meta => format!("{shelf}/{self}.meta"),
            Kind::Data(number) => format!("{shelf}/{self}.{number:016x}.data"),
            Kind::New(number) => format!("{shelf}/{self}.{number:016x}.new"),
        }
        .into()
    }

    /// Reads the name of a file; `None` if it is none of ours.
    pub(super) fn parse(name: &str) -> Option<(Self, Kind)> {
        let (id, rest) = name.split_once('.')?;
        let id = (id.len() == 32).then(|| u128::from_str_radix(id, 16).ok())?.map(|id| Self(id.to_be_bytes()))?;
        let number = |text: &str| (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok())?;
        let kind = match rest.rsplit_once('.') {
            None => (rest == "meta").then_some(Kind::Meta)?,
            Some((text, "data")) => Kind::Data(number(text)?),
            Some((text, "new")) => Kind::New(number(text)?),
            Some(_) => return None,
        };
        Some((id, kind))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(super) fn shelf_name(shelf: usize) -> String {
    format!("{shelf:02x}")
}

/// Takes a directory for this process, and makes a store of it if it is empty or not there. What is returned holds the lock. Blocks.
pub(super) fn take(root: &Path, mode: Mode) -> Result<File, OpenError> {
    take_if(root, mode, |_| false)
}

/// The same for the directory of a store that is open, and of which somebody else took all away: what this process has made there since is no
/// stranger's.
pub(super) fn take_again(root: &Path, mode: Mode) -> Result<File, OpenError> {
    let is_shelf = |name: &str| name.len() == 2 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    take_if(root, mode, is_shelf)
}

fn take_if(root: &Path, mode: Mode, is_ours: impl Fn(&str) -> bool) -> Result<File, OpenError> {
    let failed = |cause| OpenError::Io { path: root.to_owned(), cause };
    let lock = match mode {
        Mode::ReadWrite => {
            DirBuilder::new().recursive(true).mode(PRIVATE_DIRECTORY).create(root).map_err(failed)?;
            refuse_what_is_not_ours(root, is_ours)?;
            let mut options = OpenOptions::new();
            let lock =
                options.read(true).write(true).create(true).truncate(false).mode(PRIVATE_FILE).open(root.join(LOCK));
            hold(lock.map_err(failed)?, FlockOperation::NonBlockingLockExclusive, root)?
        }
        Mode::ReadOnly => {
            let lock = File::open(root.join(LOCK)).map_err(failed)?;
            hold(lock, FlockOperation::NonBlockingLockShared, root)?
        }
    };
    match (atomic_file::read(&root.join(MARK)).map_err(failed)?, mode) {
        (Some(mark), _) => check(root, &mark)?,
        (None, Mode::ReadOnly) => return Err(OpenError::Foreign { path: root.to_owned() }),
        (None, Mode::ReadWrite) => {
            let mark = format!("ferry cache {FORMAT}\n");
            atomic_file::write(&root.join(MARK), mark.as_bytes(), atomic_file::Mode::Private)
                .map_err(|error| failed(io::Error::new(error.kind(), error)))?;
        }
    }
    Ok(lock)
}

fn hold(lock: File, how: FlockOperation, root: &Path) -> Result<File, OpenError> {
    match flock(&lock, how) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Taken { path: root.to_owned() }),
        Err(errno) => Err(OpenError::Io { path: root.to_owned(), cause: errno.into() }),
    }
}

/// A directory that holds something and is no store is somebody's mistake: what is evicted is deleted.
fn refuse_what_is_not_ours(root: &Path, is_ours: impl Fn(&str) -> bool) -> Result<(), OpenError> {
    let failed = |cause| OpenError::Io { path: root.to_owned(), cause };
    if root.join(MARK).try_exists().map_err(failed)? {
        return Ok(());
    }
    for entry in fs::read_dir(root).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // What a killed first start leaves, and what a fresh file system holds.
        let harmless = [LOCK, ".format.new", "lost+found"].iter().any(|harmless| name == *harmless);
        if !harmless && !name.to_str().is_some_and(&is_ours) {
            return Err(OpenError::Foreign { path: root.to_owned() });
        }
    }
    Ok(())
}

fn check(root: &Path, mark: &[u8]) -> Result<(), OpenError> {
    let version = std::str::from_utf8(mark).ok().and_then(|mark| mark.strip_prefix("ferry cache "));
    match version.and_then(|version| version.trim_end().parse::<u32>().ok()) {
        Some(FORMAT) => Ok(()),
        Some(found) if found > FORMAT => Err(OpenError::TooNew { path: root.to_owned(), found, known: FORMAT }),
        _ => Err(OpenError::Foreign { path: root.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_files_are_read_as_they_were_made() {
        let id = Id::of("video/a.mp4");
        for kind in [Kind::Meta, Kind::Data(0xab), Kind::New(u64::MAX)] {
            let name = id.name(kind);
            let file = name.file_name().and_then(|name| name.to_str()).expect("plain ASCII");
            assert_eq!(Id::parse(file), Some((id, kind)));
            assert_eq!(name.parent(), Some(Path::new(&shelf_name(id.shelf()))));
        }
        for other in
            ["meta", "x.meta", "lost+found", &format!("{id}.data"), &format!("{id}.12.data"), &format!("{id}.x")]
        {
            assert_eq!(Id::parse(other), None, "{other}");
        }
    }
}
