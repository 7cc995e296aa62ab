//! What a connection is doing, and for how long its client has done nothing about it.
//!
//! Pure but for its atomics: `now` comes in as the time since the connection began.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use super::Limits;

/// Says that no request's head is being read.
const NEVER: u64 = u64::MAX;

/// Written by the socket's wrapper and by bodies, read by the connection's clock.
#[derive(Debug)]
pub(super) struct Activity {
    /// Requests whose answer has not ended.
    requests: AtomicUsize,
    /// When the bytes of a head began to come.
    head_since: AtomicU64,
    /// When the last answer ended.
    idle_since: AtomicU64,
    /// When the client last took bytes, or last had reason to begin.
    progress: AtomicU64,
    /// Whether the socket takes no more.
    blocked: AtomicBool,
    /// Bodies that handed over bytes and were not asked for more.
    owed: AtomicUsize,
    /// Whether this is HTTP/2, where bytes come without a request too.
    multiplexed: AtomicBool,
}

/// Why a client has lost its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The head of its request did not come to an end.
    Head,
    /// It asked for nothing.
    Idle,
    /// It took nothing of what it was sent.
    Stalled,
}

impl Activity {
    /// A connection that just began: its first head is due.
    pub(super) const fn new() -> Self {
        Self {
            requests: AtomicUsize::new(0),
            head_since: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            owed: AtomicUsize::new(0),
            multiplexed: AtomicBool::new(false),
        }
    }

    pub(super) fn received(&self, now: Duration) {
        if self.requests.load(Relaxed) == 0 && !self.multiplexed.load(Relaxed) {
            // Only the first bytes count: a head that trickles in does not get more time.
            let _ = self.head_since.compare_exchange(NEVER, millis(now), Relaxed, Relaxed);
        }
    }

    pub(super) fn sent(&self, now: Duration) {
        self.blocked.store(false, Relaxed);
        self.progress.store(millis(now), Relaxed);
    }

    pub(super) fn blocked(&self, now: Duration) {
        if !self.blocked.swap(true, Relaxed) {
            self.progress.store(millis(now), Relaxed);
        }
    }

    pub(super) fn begin(&self, multiplexed: bool) {
        self.requests.fetch_add(1, Relaxed);
        self.multiplexed.store(multiplexed, Relaxed);
        self.head_since.store(NEVER, Relaxed);
    }

    pub(super) fn end(&self, now: Duration) {
        if self.requests.fetch_sub(1, Relaxed) == 1 {
            self.idle_since.store(millis(now), Relaxed);
        }
    }

    pub(super) fn owes(&self, now: Duration) {
        self.owed.fetch_add(1, Relaxed);
        self.progress.store(millis(now), Relaxed);
    }

    pub(super) fn owes_no_more(&self) {
        self.owed.fetch_sub(1, Relaxed);
    }

    /// Whether no request runs and the client is owed nothing.
    pub(super) fn is_quiet(&self) -> bool {
        let owed = self.blocked.load(Relaxed) || self.owed.load(Relaxed) > 0;
        !owed && self.requests.load(Relaxed) == 0
    }

    /// Whether the client has had its time.
    pub(super) fn overdue(&self, now: Duration, limits: &Limits) -> Option<Overdue> {
        let past =
            |since: &AtomicU64, limit: Duration| millis(now).saturating_sub(since.load(Relaxed)) >= millis(limit);
        if self.blocked.load(Relaxed) || self.owed.load(Relaxed) > 0 {
            return past(&self.progress, limits.stall).then_some(Overdue::Stalled);
        }
        if self.requests.load(Relaxed) > 0 {
            // The handler, the disk or the origin is at work; each has limits of its own.
            return None;
        }
        if self.head_since.load(Relaxed) == NEVER {
            return past(&self.idle_since, limits.keep_alive).then_some(Overdue::Idle);
        }
        past(&self.head_since, limits.head).then_some(Overdue::Head)
    }
}

fn millis(span: Duration) -> u64 {
    // NEVER is kept free; nothing lasts that long.
    u64::try_from(span.as_millis()).unwrap_or(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn limits() -> Limits {
        Limits { head: at(10), keep_alive: at(75), stall: at(60), ..Limits::default() }
    }

    #[test]
    fn a_first_head_is_due_from_the_begin() {
        let activity = Activity::new();
        activity.received(at(9));
        assert_eq!(activity.overdue(at(9), &limits()), None);
        assert_eq!(activity.overdue(at(10), &limits()), Some(Overdue::Head));
    }

    #[test]
    fn a_later_head_is_due_from_its_first_byte() {
        let activity = Activity::new();
        activity.begin(false);
        activity.end(at(5));
        assert_eq!(activity.overdue(at(79), &limits()), None);
        assert_eq!(activity.overdue(at(80), &limits()), Some(Overdue::Idle));
        activity.received(at(70));
        activity.received(at(79));
        assert_eq!(activity.overdue(at(79), &limits()), None);
        assert_eq!(activity.overdue(at(80), &limits()), Some(Overdue::Head));
    }

    #[test]
    fn while_the_handler_works_the_client_is_not_to_blame() {
        let activity = Activity::new();
        activity.begin(false);
        assert_eq!(activity.overdue(at(100_000), &limits()), None);
    }

    #[test]
    fn a_client_that_takes_nothing_is_stalled_from_when_it_could_have() {
        let activity = Activity::new();
        activity.begin(false);
        activity.owes(at(1000));
        activity.blocked(at(1000));
        assert_eq!(activity.overdue(at(1059), &limits()), None);
        activity.sent(at(1059));
        activity.blocked(at(1059));
        activity.blocked(at(1100));
        assert_eq!(activity.overdue(at(1118), &limits()), None);
        assert_eq!(activity.overdue(at(1119), &limits()), Some(Overdue::Stalled));
        activity.owes_no_more();
        activity.sent(at(1119));
        assert_eq!(activity.overdue(at(100_000), &limits()), None, "the source is waited for");
    }

    #[test]
    fn the_tail_of_an_answer_that_ended_is_still_owed() {
        let activity = Activity::new();
        activity.begin(false);
        activity.blocked(at(10));
        activity.end(at(10));
        assert_eq!(activity.overdue(at(70), &limits()), Some(Overdue::Stalled));
    }

    #[test]
    fn in_http_2_bytes_between_requests_are_no_head() {
        let activity = Activity::new();
        activity.begin(true);
        activity.end(at(0));
        activity.received(at(1));
        assert_eq!(activity.overdue(at(74), &limits()), None);
        assert_eq!(activity.overdue(at(75), &limits()), Some(Overdue::Idle));
    }
}
