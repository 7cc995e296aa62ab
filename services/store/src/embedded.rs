//! The store in one file, for one process: what `ferry up` and a lone coordinator use.
//!
//! One thread owns the file and does everything in the order in which it was asked, so every answer is linearizable. It
//! ends with the last handle, watch or presence, after closing the file.

mod file;
mod keeper;

use std::{
    convert::Infallible,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::keeper::{Command, Keeper, Reply};
use crate::{
    backoff::Pauses,
    contract::{Change, Expected, Listing, Presence, Store, Versioned, check_change, check_key, check_value},
    error::Error,
    presence::{self, Keep},
    watch::{Events, Watch, WatchEvent},
};

/// Requests that wait for the file's thread; whoever finds no room waits, at most [`CALL_LIMIT`].
const QUEUE: usize = 256;
/// A disk that takes longer than this to sync one record is as good as away.
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// Opening checks every page, and repairs after a crash; the file holds slow facts only, so this is generous.
const OPEN_LIMIT: Duration = Duration::from_secs(30);

/// A store in one file; a cheap handle to it. Clones share the file.
#[derive(Debug, Clone)]
pub struct Embedded {
    thread: Arc<Thread>,
}

/// The file's thread. Dropping it waits until what was asked is done and the file is closed, so that the same path can
/// be opened again at once; that takes a few disk writes at most.
struct Thread {
    path: PathBuf,
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Embedded {
    /// Opens the file, or creates it where there is none.
    ///
    /// [`Error::Refused`] when another process has it open or it cannot be opened; [`Error::Corrupt`] and
    /// [`Error::TooNew`] for what is in it.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let (commands, inbox) = mpsc::channel(QUEUE);
        let (opened, ready) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("ferry-store".into())
            .spawn({
                let path = path.clone();
                move || {
                    let (keeper, outcome) = Keeper::open(path).map_or_else(|e| (None, Err(e)), |k| (Some(k), Ok(())));
                    // If nobody waits any more, the keeper is dropped here, and the file closed.
                    if let (Ok(()), Some(keeper)) = (opened.send(outcome), keeper) {
                        keeper.run(inbox);
                    }
                }
            })
            .map_err(|error| Error::unavailable(format!("no thread for the store's file: {error}")))?;
        match timeout(OPEN_LIMIT, ready).await {
            Ok(Ok(Ok(()))) => {
                Ok(Self { thread: Arc::new(Thread { path, commands: Some(commands), thread: Some(thread) }) })
            }
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(_)) => Err(Error::unavailable(format!("the thread for {} ended", path.display()))),
            Err(_) => Err(Error::unavailable(format!("{} did not open in {OPEN_LIMIT:?}", path.display()))),
        }
    }

    /// The store's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.thread.path
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let asking = async {
            let gone = || Error::unavailable("the store's thread has ended");
            self.thread.commands().send(command(reply)).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        };
        timeout(CALL_LIMIT, asking).await.unwrap_or_else(|_| {
            Err(Error::unavailable(format!("{} did not answer in {CALL_LIMIT:?}", self.path().display())))
        })
    }
}

impl Thread {
    fn commands(&self) -> &mpsc::Sender<Command> {
        self.commands.as_ref().expect("taken only by drop")
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.commands = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            warn!(path = %self.path.display(), "the store's thread had panicked");
        }
    }
}

impl Store for Embedded {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Versioned>, Error>> {
        async move {
            check_key(key)?;
            self.ask(|reply| Command::Get { key: key.to_owned(), reply }).await
        }
        .boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, Error>> {
        self.ask(|reply| Command::List { prefix: prefix.to_owned(), reply }).boxed()
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a str,
        expected: Expected,
        change: Change,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        async move {
            check_change(key, &change)?;
            self.ask(|reply| Command::Swap { key: key.to_owned(), expected, change, reply }).await
        }
        .boxed()
    }

    fn watch(&self, prefix: &str) -> Watch {
        let (store, prefix) = (self.clone(), prefix.to_owned());
        Watch::new(|events| follow(store, prefix, events))
    }

    fn present(&self, key: &str, value: Bytes, ttl: Duration, stop: CancellationToken) -> Presence {
        let holder = Holder { store: self.clone(), key: key.to_owned(), value, alive: Some(Arc::new(())) };
        presence::hold(holder, key.to_owned(), ttl, stop).boxed()
    }
}

async fn follow(store: Embedded, prefix: String, events: Events) -> Infallible {
    let mut pauses = Pauses::new();
    loop {
        match store.ask(|reply| Command::Follow { prefix: prefix.clone(), reply }).await {
            Ok((listing, changes)) => {
                pauses.reset();
                events.tell(WatchEvent::Reset(listing)).await;
                relay(changes, &prefix, &events).await;
            }
            Err(error) => {
                let pause = pauses.after(&error);
                events.tell(WatchEvent::Lost(error)).await;
                sleep(pause).await;
            }
        }
    }
}

/// Passes changes on until one was missed, or the keeper itself no longer knows what the file holds.
async fn relay(mut changes: broadcast::Receiver<WatchEvent>, prefix: &str, events: &Events) {
    loop {
        match changes.recv().await {
            Ok(WatchEvent::Put(key, versioned)) if key.starts_with(prefix) => {
                events.tell(WatchEvent::Put(key, versioned)).await;
            }
            Ok(WatchEvent::Delete(key, revision)) if key.starts_with(prefix) => {
                events.tell(WatchEvent::Delete(key, revision)).await;
            }
            Ok(WatchEvent::Put(..) | WatchEvent::Delete(..) | WatchEvent::Reset(_)) => {}
            Ok(lost @ WatchEvent::Lost(_)) => return events.tell(lost).await,
            // Too slow for the buffer, or the thread ended: the next request tells which.
            Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Who keeps a presence key. The keeper has a weak reference to `alive`: it removes the key of a holder that is gone before
/// it answers the next request, whether or not the note of its going found room in the queue.
struct Holder {
    store: Embedded,
    key: String,
    value: Bytes,
    alive: Option<Arc<()>>,
}

impl Keep for Holder {
    async fn keep(&mut self) -> Result<(), Error> {
        check_key(&self.key)?;
        check_value(&self.key, &self.value)?;
        let holder = self.alive.as_ref().map_or_else(Weak::new, Arc::downgrade);
        let (key, value) = (self.key.clone(), self.value.clone());
        self.store.ask(|reply| Command::Keep { key, value, holder, reply }).await
    }

    async fn withdraw(mut self) -> Result<(), Error> {
        self.alive = None;
        self.store.ask(|reply| Command::Sweep { reply: Some(reply) }).await
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if self.alive.take().is_some() {
            // A full queue is no loss: the requests in it make the keeper sweep just as well.
            let _ = self.store.thread.commands().try_send(Command::Sweep { reply: None });
        }
    }
}
