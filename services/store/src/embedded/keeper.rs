//! The one who owns the file: answers requests in order, keeps everything in memory, writes before it acknowledges.

use std::{collections::BTreeMap, path::PathBuf, sync::Weak};

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, oneshot};
use tracing::error;

use super::file::{File, Write};
use crate::{
    contract::{Change, Expected, Listing, Versioned},
    error::Error,
    watch::WatchEvent,
};

/// Changes that a watcher may lag behind before it has to read everything again.
const REMEMBERED: usize = 1024;

/// Where an answer goes. Who no longer waits is not answered.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// A request to the keeper.
pub(super) enum Command {
    Get {
        key: String,
        reply: Reply<Option<Versioned>>,
    },
    List {
        prefix: String,
        reply: Reply<Listing>,
    },
    /// As `List`, with every change after it.
    Follow {
        prefix: String,
        reply: Reply<(Listing, broadcast::Receiver<WatchEvent>)>,
    },
    Swap {
        key: String,
        expected: Expected,
        change: Change,
        reply: Reply<u64>,
    },
    Keep {
        key: String,
        value: Bytes,
        holder: Weak<()>,
        reply: Reply<()>,
    },
    /// Removes the keys of holders that are gone.
    Sweep {
        reply: Option<Reply<()>>,
    },
}

/// The state behind the queue. Reads come from memory; the file is read only when it is opened.
pub(super) struct Keeper {
    path: PathBuf,
    /// `None` after a failed write, until it could be opened again: what such a write left behind, only the file knows.
    file: Option<File>,
    entries: BTreeMap<String, Versioned>,
    /// Who keeps the presence keys among the entries; those are never in the file.
    holders: BTreeMap<String, Weak<()>>,
    revision: u64,
    changes: broadcast::Sender<WatchEvent>,
}

impl Keeper {
    pub(super) fn open(path: PathBuf) -> Result<Self, Error> {
        let (file, contents) = File::open(&path)?;
        Ok(Self {
            path,
            file: Some(file),
            entries: contents.entries,
            holders: BTreeMap::new(),
            revision: contents.revision,
            changes: broadcast::Sender::new(REMEMBERED),
        })
    }

    /// Serves until the last handle is gone.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        while let Some(command) = inbox.blocking_recv() {
            self.sweep();
            self.answer(command);
        }
    }

    fn answer(&mut self, command: Command) {
        // An answer that nobody waits for any more is dropped; its change stands, as the contract says.
        match command {
            Command::Get { key, reply } => {
                let _ = reply.send(self.settle().map(|()| self.entries.get(&key).cloned()));
            }
            Command::List { prefix, reply } => {
                let _ = reply.send(self.settle().map(|()| self.list(&prefix)));
            }
            Command::Follow { prefix, reply } => {
                let _ = reply.send(self.settle().map(|()| (self.list(&prefix), self.changes.subscribe())));
            }
            Command::Swap { key, expected, change, reply } => {
                let _ = reply.send(self.swap(key, expected, change));
            }
            Command::Keep { key, value, holder, reply } => {
                let _ = reply.send(self.keep(key, value, holder));
            }
            Command::Sweep { reply } => {
                if let Some(reply) = reply {
                    let _ = reply.send(Ok(()));
                }
            }
        }
    }

    /// Opens the file again after a failed write, and takes over what it holds.
    fn settle(&mut self) -> Result<(), Error> {
        if self.file.is_some() {
            return Ok(());
        }
        let (file, contents) = File::open(&self.path)?;
        self.file = Some(file);
        self.revision = self.revision.max(contents.revision);
        self.entries.retain(|key, _| self.holders.contains_key(key));
        self.entries.extend(contents.entries);
        Ok(())
    }

    fn list(&self, prefix: &str) -> Listing {
        let below = self.entries.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        Listing { entries: below.map(|(key, held)| (key.clone(), held.clone())).collect(), revision: self.revision }
    }

    fn swap(&mut self, key: String, expected: Expected, change: Change) -> Result<u64, Error> {
        self.settle()?;
        if self.holders.contains_key(&key) {
            return Err(Error::refused(format!("{key} is held by a presence")));
        }
        let current = self.entries.get(&key);
        let as_expected = match expected {
            Expected::Absent => current.is_none(),
            Expected::Revision(revision) => current.is_some_and(|held| held.revision == revision),
        };
        if !as_expected {
            return Err(Error::Conflict { current: current.cloned() });
        }
        match change {
            Change::Put(value) => {
                let revision = self.commit(Write::Put { key: &key, value: &value })?;
                self.put(key, value, revision);
            }
            Change::Delete if current.is_some() => {
                let revision = self.commit(Write::Delete { key: &key })?;
                self.delete(key, revision);
            }
            Change::Delete => {}
        }
        Ok(self.revision)
    }

    fn keep(&mut self, key: String, value: Bytes, holder: Weak<()>) -> Result<(), Error> {
        self.settle()?;
        if holder.strong_count() == 0 || self.holders.get(&key).is_some_and(|now| now.ptr_eq(&holder)) {
            return Ok(()); // gone while it waited, or all is well
        }
        if self.entries.contains_key(&key) && !self.holders.contains_key(&key) {
            return Err(Error::refused(format!("{key} is a lasting record")));
        }
        let revision = self.commit(Write::RevisionOnly)?;
        self.holders.insert(key.clone(), holder);
        self.put(key, value, revision);
        Ok(())
    }

    fn sweep(&mut self) {
        let gone: Vec<String> =
            self.holders.iter().filter(|(_, holder)| holder.strong_count() == 0).map(|(key, _)| key.clone()).collect();
        for key in gone {
            // The key must go although the disk may be full: then only memory knows the revision, until the next write.
            let revision = self.commit(Write::RevisionOnly).unwrap_or(self.revision + 1);
            self.holders.remove(&key);
            self.delete(key, revision);
        }
    }

    /// Makes the change durable under the next revision.
    fn commit(&mut self, write: Write<'_>) -> Result<u64, Error> {
        let revision = self.revision + 1;
        let Some(file) = &mut self.file else {
            return Err(Error::unavailable(format!("{} is closed after a failed write", self.path.display())));
        };
        file.commit(write, revision).map(|()| revision).inspect_err(|error| {
            error!(path = %self.path.display(), %error, "could not write the store");
            self.file = None;
            let _ = self.changes.send(WatchEvent::Lost(error.clone()));
        })
    }

    fn put(&mut self, key: String, value: Bytes, revision: u64) {
        self.revision = revision;
        let held = Versioned { value, revision };
        self.entries.insert(key.clone(), held.clone());
        let _ = self.changes.send(WatchEvent::Put(key, held)); // an error means that nobody watches
    }

    fn delete(&mut self, key: String, revision: u64) {
        self.revision = revision;
        self.entries.remove(&key);
        let _ = self.changes.send(WatchEvent::Delete(key, revision));
    }
}
