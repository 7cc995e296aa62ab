//! A watch: the whole, then its changes, and the whole again whenever a change may have been missed.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{
    Stream, StreamExt,
    future::{BoxFuture, FutureExt},
};
use tokio::sync::mpsc;

use crate::{
    contract::{Listing, Versioned},
    error::Error,
};

/// Events that wait for the consumer inside a watch; behind them waits the store.
const BUFFERED: usize = 16;

/// What a watch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// Everything there is: replaces all that was told before. Comes before any change, and again after
    /// every gap.
    Reset(Listing),
    /// The key was put.
    Put(String, Versioned),
    /// The key was removed, at this revision.
    Delete(String, u64),
    /// The store is out of sight: what was told may be out of date until the next `Reset`. Told once per attempt to
    /// come back.
    Lost(Error),
}

/// Follows a prefix through failures: after `Lost` it lists and watches again by itself, with pauses that grow to a few
/// seconds. Changes are told in the order of their revisions.
///
/// It does its work while it is polled and has no task of its own: dropping it ends it, and a consumer that
/// does not poll costs a few events of memory. One that stays away too long gets a `Reset` in place of what it missed.
pub struct Watch {
    events: mpsc::Receiver<WatchEvent>,
    pump: BoxFuture<'static, Infallible>,
}

/// Where a watch's pump puts what it saw.
#[derive(Debug, Clone)]
pub(crate) struct Events(mpsc::Sender<WatchEvent>);

impl Watch {
    /// A watch whose events come from `pump`, which runs while the watch is polled.
    pub(crate) fn new<F>(pump: impl FnOnce(Events) -> F) -> Self
    where
        F: Future<Output = Infallible> + Send + 'static,
    {
        let (sender, events) = mpsc::channel(BUFFERED);
        Self { events, pump: pump(Events(sender)).boxed() }
    }

    /// The next event. Nothing is lost when this is cancelled.
    pub async fn next(&mut self) -> WatchEvent {
        StreamExt::next(self).await.expect("a watch has no end: its pump returns Infallible and holds the sender")
    }
}

impl Stream for Watch {
    type Item = WatchEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        if let ready @ Poll::Ready(_) = self.events.poll_recv(context) {
            return ready;
        }
        match self.pump.as_mut().poll(context) {
            Poll::Ready(never) => match never {},
            Poll::Pending => self.events.poll_recv(context),
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Events {
    /// Waits until the consumer has room.
    pub(crate) async fn tell(&self, event: WatchEvent) {
        // The receiver lives in the same `Watch` as the pump that calls this: it cannot be gone.
        let _ = self.0.send(event).await;
    }
}
