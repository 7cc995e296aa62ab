//! A store that misbehaves on command: the failing twin of every provider.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    contract::{Change, Expected, Listing, Presence, Store, Versioned},
    error::Error,
    watch::{Events, Watch, WatchEvent},
};

/// Passes everything on to another store, unless [`Faults`] says otherwise.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Store>,
    faults: Faults,
}

/// What goes wrong next; a cheap handle to it.
#[derive(Clone)]
pub struct Faults(watch::Sender<Plan>);

#[derive(Debug, Clone, Default)]
struct Plan {
    failing_calls: u32,
    away: bool,
    unacknowledged_changes: u32,
    delay: Duration,
    /// Raised each time that all watches break.
    breaks: u64,
}

impl Faulty {
    /// A store like `inner`, and the handle that spoils it.
    pub fn new(inner: Arc<dyn Store>) -> (Self, Faults) {
        let faults = Faults(watch::Sender::new(Plan::default()));
        (Self { inner, faults: faults.clone() }, faults)
    }

    /// Waits and fails as planned; `Ok` if the call is to be passed on.
    async fn enter(&self) -> Result<(), Error> {
        let delay = self.faults.0.borrow().delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        let mut fails = false;
        self.faults.0.send_if_modified(|plan| {
            fails = plan.away || plan.failing_calls > 0;
            plan.failing_calls = plan.failing_calls.saturating_sub(1);
            false // nobody waits for these
        });
        if fails { Err(broken("the call fails as planned")) } else { Ok(()) }
    }
}

impl Faults {
    /// The next `calls` calls fail, having done nothing.
    pub fn fail_next(&self, calls: u32) {
        self.0.send_modify(|plan| plan.failing_calls = calls);
    }

    /// The store is away until [`Self::heal`]: calls fail, watches are lost, presences are gone.
    pub fn go_away(&self) {
        self.0.send_modify(|plan| {
            plan.away = true;
            plan.breaks += 1;
        });
    }

    /// The next `changes` compare-and-swaps are made, and then fail as if their answer were lost.
    pub fn lose_answers(&self, changes: u32) {
        self.0.send_modify(|plan| plan.unacknowledged_changes = changes);
    }

    /// Every call takes longer by this.
    pub fn delay(&self, delay: Duration) {
        self.0.send_modify(|plan| plan.delay = delay);
    }

    /// Every watch is lost once, and comes back with a reset.
    pub fn break_watches(&self) {
        self.0.send_modify(|plan| plan.breaks += 1);
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.0.send_modify(|plan| *plan = Plan { breaks: plan.breaks, ..Plan::default() });
    }

    async fn until(&self, is_so: impl FnMut(&Plan) -> bool) {
        // An error would mean that no sender is left, and `self` is one.
        let _ = self.0.subscribe().wait_for(is_so).await;
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.borrow().fmt(f)
    }
}

impl Store for Faulty {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Versioned>, Error>> {
        async move {
            self.enter().await?;
            self.inner.get(key).await
        }
        .boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, Error>> {
        async move {
            self.enter().await?;
            self.inner.list(prefix).await
        }
        .boxed()
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a str,
        expected: Expected,
        change: Change,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        async move {
            self.enter().await?;
            let done = self.inner.compare_and_swap(key, expected, change).await;
            let mut lost = false;
            self.faults.0.send_if_modified(|plan| {
                lost = plan.unacknowledged_changes > 0;
                plan.unacknowledged_changes = plan.unacknowledged_changes.saturating_sub(1);
                false // nobody waits for these
            });
            if lost { Err(broken("the answer is lost as planned")) } else { done }
        }
        .boxed()
    }

    fn watch(&self, prefix: &str) -> Watch {
        let (inner, faults, prefix) = (self.inner.clone(), self.faults.clone(), prefix.to_owned());
        Watch::new(|events| follow(inner, faults, prefix, events))
    }

    fn present(&self, key: &str, value: Bytes, ttl: Duration, stop: CancellationToken) -> Presence {
        let (inner, faults, key) = (self.inner.clone(), self.faults.clone(), key.to_owned());
        async move {
            loop {
                tokio::select! {
                    biased; // stop before work
                    () = stop.cancelled() => return,
                    () = faults.until(|plan| !plan.away) => {}
                }
                tokio::select! {
                    () = inner.present(&key, value.clone(), ttl, stop.clone()) => return,
                    // Dropping the presence loses its lease.
                    () = faults.until(|plan| plan.away) => {}
                }
            }
        }
        .boxed()
    }
}

async fn follow(inner: Arc<dyn Store>, faults: Faults, prefix: String, events: Events) -> Infallible {
    loop {
        faults.until(|plan| !plan.away).await;
        let seen = faults.0.borrow().breaks;
        let mut watch = inner.watch(&prefix);
        let relay = async {
            loop {
                events.tell(watch.next().await).await;
            }
        };
        tokio::select! {
            biased; // a break is not to be outrun by events
            () = faults.until(|plan| plan.breaks != seen) => {}
            () = relay => {}
        }
        events.tell(WatchEvent::Lost(broken("the watch breaks as planned"))).await;
    }
}

fn broken(why: &str) -> Error {
    Error::unavailable(why)
}
