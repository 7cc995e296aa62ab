//! The file: a redb database with one table of records and one that says which format they have.
//!
//! redb commits copy-on-write and syncs before it acknowledges, so a crash leaves the state before or after a commit.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::OpenOptionsExt,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition};

use crate::{contract::Versioned, error::Error};

/// Key → (revision, value).
const RECORDS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("records");
/// What the rest means: `format`, and `revision`, the store's last.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// The version of the above. Older builds refuse newer ones.
const FORMAT: u64 = 1;
/// redb's own version of its file, for telling "newer" from "older".
const REDB_FORMAT: u8 = 3;
/// Everything is in the keeper's memory anyway.
const PAGE_CACHE_BYTES: usize = 4 * 1024 * 1024;

/// An open file. Nobody else, in this process or another, can have it open.
pub(super) struct File {
    path: PathBuf,
    database: Database,
}

/// What a file held when it was opened.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) entries: BTreeMap<String, Versioned>,
    pub(super) revision: u64,
}

/// One change of the file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Write<'a> {
    Put {
        key: &'a str,
        value: &'a [u8],
    },
    Delete {
        key: &'a str,
    },
    /// For changes of what is only in memory: their revisions must not be given out again after a restart.
    RevisionOnly,
}

impl File {
    /// Opens and checks every page; creates the file where there is none.
    pub(super) fn open(path: &Path) -> Result<(Self, Contents), Error> {
        guarded(path, || {
            create_if_absent(path)?;
            let database = open_checked(path)?;
            let contents = read(path, &database)?;
            Ok((Self { path: path.to_owned(), database }, contents))
        })
    }

    /// Makes one change durable. After an error nobody knows whether it was made, and the file must be opened anew.
    pub(super) fn commit(&mut self, write: Write<'_>, revision: u64) -> Result<(), Error> {
        guarded(&self.path, || commit(&self.database, write, revision).map_err(|error| classify(&self.path, &error)))
    }
}

/// redb reports damage as an error wherever it can, but not everywhere: a page that lies may still trip an assertion,
/// and must not take the process along.
fn guarded<T>(path: &Path, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(act))
        .unwrap_or_else(|_| Err(corrupt(path, "reading it trips an assertion of redb")))
}

/// Puts a whole empty store at `path`, or leaves what is there.
///
/// The file is made under another name and linked into place: killed half-way, it leaves nothing at `path`. So a file of no or
/// too few bytes at `path` is always damage, never a beginning. A link, unlike a rename, never replaces a file
/// that somebody else has just made and opened.
fn create_if_absent(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(inaccessible(path, &error)),
    }
    let mut name = path.file_name().ok_or_else(|| Error::refused("the store's path names no file"))?.to_owned();
    name.push(format!(".new-{:08x}", rand::random::<u32>()));
    let unfinished = path.with_file_name(name);
    let made = create(&unfinished).and_then(|()| match fs::hard_link(&unfinished, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(inaccessible(path, &error)),
        _ => sync_directory(path),
    });
    let removed = fs::remove_file(&unfinished).map_err(|error| inaccessible(&unfinished, &error));
    made.and(removed)
}

fn create(path: &Path) -> Result<(), Error> {
    // The store holds key rings: nobody but its owner may read it, not even while it is made.
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|error| inaccessible(path, &error))?;
    let database = builder().create(path).map_err(|error| unopened(path, &error))?;
    let initialise = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        transaction.open_table(META)?.insert("format", FORMAT)?;
        transaction.open_table(META)?.insert("revision", 0)?;
        transaction.open_table(RECORDS)?;
        transaction.commit()?;
        Ok(())
    };
    initialise().map_err(|error| classify(path, &error))
}

/// Without this a power cut could take the file's name away, and with it what was acknowledged.
fn sync_directory(path: &Path) -> Result<(), Error> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| inaccessible(directory, &error))
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(PAGE_CACHE_BYTES);
    builder.set_check_integrity_on_open(true);
    builder
}

fn open_checked(path: &Path) -> Result<Database, Error> {
    // Not `create`: that takes an empty file for a new one, and everything that was acknowledged for never written.
    builder().open(path).map_err(|error| unopened(path, &error))
}

fn read(path: &Path, database: &Database) -> Result<Contents, Error> {
    let contents = || -> Result<(Option<u64>, Contents), redb::Error> {
        let transaction = database.begin_read()?;
        let meta = transaction.open_table(META)?;
        let number = |name: &str| Ok::<_, redb::Error>(meta.get(name)?.map(|held| held.value()));
        let format = number("format")?;
        if format != Some(FORMAT) {
            return Ok((format, Contents::default()));
        }
        let mut contents = Contents { entries: BTreeMap::new(), revision: number("revision")?.unwrap_or_default() };
        for record in transaction.open_table(RECORDS)?.iter()? {
            let (key, held) = record?;
            let (revision, value) = held.value();
            let versioned = Versioned { value: Bytes::copy_from_slice(value), revision };
            contents.entries.insert(key.value().to_owned(), versioned);
        }
        Ok((format, contents))
    };
    match contents().map_err(|error| classify(path, &error))? {
        (Some(FORMAT), contents) => Ok(contents),
        (Some(found), _) if found > FORMAT => Err(Error::TooNew { path: path.to_owned(), found, known: FORMAT }),
        (_, _) => Err(corrupt(path, "it names no format that ferry ever wrote")),
    }
}

fn commit(database: &Database, write: Write<'_>, revision: u64) -> Result<(), redb::Error> {
    // redb's default is Durability::Immediate: commit returns after fsync.
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert("revision", revision)?;
    match write {
        Write::Put { key, value } => drop(transaction.open_table(RECORDS)?.insert(key, (revision, value))?),
        Write::Delete { key } => drop(transaction.open_table(RECORDS)?.remove(key)?),
        Write::RevisionOnly => {}
    }
    transaction.commit()?;
    Ok(())
}

fn corrupt(path: &Path, why: impl Into<String>) -> Error {
    Error::Corrupt { path: path.to_owned(), why: why.into() }
}

/// A place that is wrong needs an operator; a disk that is full, or fails, may be well again later.
fn inaccessible(path: &Path, error: &io::Error) -> Error {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    let why = format!("{} cannot be opened: {error}", path.display());
    match error.kind() {
        NotFound | PermissionDenied | IsADirectory | NotADirectory | ReadOnlyFilesystem => Error::Refused { why },
        _ => Error::Unavailable { why },
    }
}

fn unopened(path: &Path, error: &DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            Error::refused(format!("{} is in use by another process; one file serves one coordinator", path.display()))
        }
        DatabaseError::UpgradeRequired(found) if *found > REDB_FORMAT => {
            Error::TooNew { path: path.to_owned(), found: (*found).into(), known: REDB_FORMAT.into() }
        }
        DatabaseError::Storage(StorageError::Io(error)) if !damaged(error) => inaccessible(path, error),
        other => corrupt(path, other.to_string()),
    }
}

/// Whether an error tells of the file's content (too short, no database) rather than of access to it.
fn damaged(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// For everything after opening: what redb finds wrong with the data is damage, what the system refuses may pass.
fn classify(path: &Path, error: &redb::Error) -> Error {
    match error {
        redb::Error::Io(error) if !damaged(error) => {
            Error::unavailable(format!("{} cannot be written: {error}", path.display()))
        }
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
            Error::unavailable(format!("{} must be opened again: {error}", path.display()))
        }
        other => corrupt(path, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_over_damaged_pages_is_told_as_damage() {
        let outcome: Result<(), Error> = guarded(Path::new("/store"), || panic!("as redb does in places"));
        assert!(matches!(outcome, Err(Error::Corrupt { path, .. }) if path == Path::new("/store")));
    }

    #[test]
    fn a_wrong_place_needs_an_operator_and_a_full_disk_does_not() {
        let told = |kind: io::ErrorKind| inaccessible(Path::new("/store"), &kind.into());
        assert!(!told(io::ErrorKind::PermissionDenied).is_passing());
        assert!(!told(io::ErrorKind::NotFound).is_passing());
        assert!(told(io::ErrorKind::StorageFull).is_passing());
    }
}
