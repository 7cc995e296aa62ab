//! What the files of a root hash to, for validators that do not depend on a disk's times: two disks give the same bytes the same entity tag, whenever and
//! in whatever order they were copied there.
//!
//! A digest is that of a file in one state: of a descriptor that was read from end to end, unchanged before and after, and changed last so long ago that no
//! change can have been missed. Until it is known, which takes as long as the disk takes to read the file after the first request for it, the
//! file has no entity tag and a date that combines no ranges: whoever resumes gets the whole, never bytes of two versions (P10).
//!
//! Files are read one after another, 4 MiB at a time, in the background; what is asked for while too many wait is asked for again by a later request.

use std::{
    collections::HashSet,
    hash::RandomState,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use quick_cache::{UnitWeighter, sync};
use ring::digest::{Context, SHA256};
use rustix::io::{pread, retry_on_intr};
use tokio::{sync::mpsc, task};

use super::{OpenFile, open_file::Identity};
use crate::semantics::validators::UNSETTLED;

/// Digests that are remembered: those of the files that are asked for most, in some ten MiB.
const MOST: usize = 1 << 16;

/// Files that wait to be read, each of them open.
const QUEUE: usize = 256;

/// How much is read at a time: a stop waits for no more.
const STEP: usize = 4 << 20;

/// The SHA-256 of all bytes of a file.
pub(crate) type Digest = [u8; 32];

/// What is known, and what waits.
pub(super) struct Digests {
    known: sync::Cache<Identity, Digest, UnitWeighter, RandomState>,
    /// So that a file waits once, however often it is asked for.
    waiting: Mutex<HashSet<Identity>>,
    wanted: mpsc::Sender<Arc<OpenFile>>,
    /// For the one who reads them.
    queue: tokio::sync::Mutex<mpsc::Receiver<Arc<OpenFile>>>,
}

impl Digests {
    pub(super) fn new() -> Self {
        let (wanted, queue) = mpsc::channel(QUEUE);
        let (unit, hasher, cycle) = (UnitWeighter, RandomState::new(), sync::DefaultLifecycle::default());
        let known = sync::Cache::with(MOST, MOST as u64, unit, hasher, cycle);
        Self { known, waiting: Mutex::default(), wanted, queue: tokio::sync::Mutex::new(queue) }
    }

    /// The digest of a file in that state.
    pub(super) fn of(&self, identity: Identity) -> Option<Digest> {
        self.known.get(&identity)
    }

    /// Has a file read whose digest is not known. One that was changed just now is left for a later request.
    pub(super) fn want(&self, file: &Arc<OpenFile>) {
        let identity = file.identity();
        if identity.changed_apart(SystemTime::now()) < UNSETTLED || !self.waiting().insert(identity) {
            return;
        }
        if self.wanted.try_send(Arc::clone(file)).is_err() {
            self.waiting().remove(&identity);
        }
    }

    /// Reads what is wanted. Runs until it is dropped.
    pub(super) async fn tend(&self) {
        let mut queue = self.queue.lock().await;
        while let Some(file) = queue.recv().await {
            let identity = file.identity();
            // One that cannot be read, or changed meanwhile, is opened anew by the next request.
            if let Ok(Some(digest)) = read(file).await {
                self.known.insert(identity, digest);
            }
            self.waiting().remove(&identity);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashSet<Identity>> {
        // An entry is put in and taken out whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a file to its end; `None` if it is not what it was when it was opened.
async fn read(file: Arc<OpenFile>) -> io::Result<Option<Digest>> {
    let (mut context, mut buffer, mut offset) = (Context::new(&SHA256), vec![0; STEP], 0);
    while offset < file.length() {
        let step = Arc::clone(&file);
        let read;
        (context, buffer, read) = task::spawn_blocking(move || {
            let read = retry_on_intr(|| pread(step.as_fd(), &mut buffer[..], offset))?;
            context.update(&buffer[..read]);
            io::Result::Ok((context, buffer, read))
        })
        .await??;
        if read == 0 {
            return Ok(None);
        }
        offset += read as u64;
    }
    let stands = task::spawn_blocking(move || {
        let stat = rustix::fs::fstat(file.as_fd())?;
        io::Result::Ok(Identity::of(&stat) == file.identity() && offset == file.length())
    });
    let digest = || context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes");
    Ok(stands.await??.then(digest))
}
