//! Waiting for what a store will show, and short ways to change it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use ferry_store::{Change, Error, Expected, Store, View, Watch, WatchEvent};
use tokio::time::timeout;

/// Far beyond what any step takes, so that only a step that never happens reaches it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Puts what must not be there yet; returns its revision.
pub(crate) async fn create(store: &dyn Store, key: &str, value: &str) -> u64 {
    store.compare_and_swap(key, Expected::Absent, put(value)).await.expect("a fresh key can be created")
}

pub(crate) fn put(value: &str) -> Change {
    Change::Put(Bytes::copy_from_slice(value.as_bytes()))
}

/// A future that must end soon.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// A watch and what it has told.
pub(crate) struct Watcher {
    watch: Watch,
    pub(crate) view: View,
    pub(crate) resets: usize,
    pub(crate) losses: Vec<Error>,
}

impl Watcher {
    pub(crate) fn new(store: &dyn Store, prefix: &str) -> Self {
        Self { watch: store.watch(prefix), view: View::default(), resets: 0, losses: Vec::new() }
    }

    /// Takes in the next event.
    pub(crate) async fn step(&mut self) -> WatchEvent {
        let event = self.watch.next().await;
        match &event {
            WatchEvent::Reset(_) => self.resets += 1,
            WatchEvent::Lost(why) => self.losses.push(why.clone()),
            WatchEvent::Put(..) | WatchEvent::Delete(..) => {}
        }
        self.view.apply(event.clone());
        event
    }

    /// Takes in events until the view is as wanted.
    pub(crate) async fn until(&mut self, what: &str, mut wanted: impl FnMut(&Self) -> bool) {
        soon(what, async {
            while !wanted(self) {
                self.step().await;
            }
        })
        .await;
    }

    pub(crate) async fn begin(&mut self) {
        self.until("the first listing", |watcher| watcher.view.was_read()).await;
    }

    pub(crate) fn value(&self, key: &str) -> Option<&[u8]> {
        self.view.entries().get(key).map(|held| &*held.value)
    }
}

/// Runs beside the test until dropped.
pub(crate) struct Background(tokio::task::JoinHandle<()>);

impl Background {
    #[allow(clippy::disallowed_methods, reason = "a test has no Tasks; dropping this ends the task")]
    pub(crate) fn run(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    pub(crate) async fn ended(mut self) {
        soon("the task to end", &mut self.0).await.expect("the task does not panic");
    }
}

impl Background {
    /// Ends it wherever it is, and waits until everything that it held is dropped.
    pub(crate) async fn cut_short(mut self) {
        self.0.abort();
        let cancelled = soon("the task to end", &mut self.0).await;
        assert!(cancelled.is_err_and(|error| error.is_cancelled()), "it was still running");
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A store as callers hold it.
pub(crate) type Shared = Arc<dyn Store>;
