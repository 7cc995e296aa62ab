//! Who may talk to an origin now: a bounded number, a bounded queue behind it, and a bounded wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

/// The gate of one origin.
#[derive(Debug)]
pub(super) struct Admission {
    own: Arc<Semaphore>,
    total: Arc<Semaphore>,
    limit: usize,
    waiting: Arc<AtomicUsize>,
    most_waiting: usize,
    patience: Duration,
}

/// A slot of the origin and one of the total, held until the last byte of the body.
#[derive(Debug)]
pub(super) struct Turn {
    _own: OwnedSemaphorePermit,
    _total: OwnedSemaphorePermit,
}

/// A place in the queue; given up when dropped.
struct Place(Arc<AtomicUsize>);

impl Admission {
    pub(super) fn new(limit: usize, total: &Arc<Semaphore>, most_waiting: usize, patience: Duration) -> Self {
        Self {
            own: Arc::new(Semaphore::new(limit)),
            total: Arc::clone(total),
            limit,
            waiting: Arc::default(),
            most_waiting,
            patience,
        }
    }

    /// Waits for a turn; `None` when the queue is full or the wait was too long.
    pub(super) async fn enter(&self) -> Option<Turn> {
        let _place = Place::take(&self.waiting, self.most_waiting)?;
        let both = async {
            // Its own slot first: who waits for a stalled origin must not hold a slot that another origin could use.
            let own = Arc::clone(&self.own).acquire_owned().await.ok()?;
            let total = Arc::clone(&self.total).acquire_owned().await.ok()?;
            Some(Turn { _own: own, _total: total })
        };
        time::timeout(self.patience, both).await.ok().flatten()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.limit.saturating_sub(self.own.available_permits())
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }
}

impl Place {
    fn take(waiting: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let more = |now: usize| (now < most).then_some(now + 1);
        waiting.fetch_update(Relaxed, Relaxed, more).ok().map(|_| Self(Arc::clone(waiting)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::poll;

    use super::*;

    fn gate(limit: usize, total: &Arc<Semaphore>, most_waiting: usize) -> Admission {
        Admission::new(limit, total, most_waiting, Duration::from_secs(5))
    }

    #[tokio::test]
    async fn a_turn_ends_with_its_drop_and_lets_the_next_in() {
        let total = Arc::new(Semaphore::new(10));
        let gate = gate(1, &total, 1);
        let first = gate.enter().await.expect("the first turn");
        let mut second = Box::pin(gate.enter());
        assert!(poll!(&mut second).is_pending());
        assert_eq!((gate.in_flight(), gate.waiting()), (1, 1));
        assert!(matches!(poll!(Box::pin(gate.enter())), Poll::Ready(None)), "the queue is full: refused at once");
        drop(first);
        assert!(matches!(poll!(&mut second), Poll::Ready(Some(_))));
        drop(second);
        assert_eq!((gate.in_flight(), gate.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn who_waits_for_one_origin_holds_back_no_other() {
        let total = Arc::new(Semaphore::new(2));
        let (stalled, healthy) = (gate(1, &total, 9), gate(1, &total, 9));
        let _held = stalled.enter().await.expect("a turn");
        let mut queued = Box::pin(stalled.enter());
        assert!(poll!(&mut queued).is_pending());
        assert!(healthy.enter().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let total = Arc::new(Semaphore::new(0));
        assert!(gate(1, &total, 1).enter().await.is_none());
    }
}
