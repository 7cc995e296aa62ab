//! Whether an address of an origin is asked at all.
//!
//! Pure: the caller supplies `now`, and tells what became of each request that was let through.
//!
//! Invariant B1: an open breaker lets nothing through before its time, and then one probe at a time, until one of them succeeds.

use std::time::Duration;

use ferry_core::time::Tick;

/// So many failures in a row open it.
const IN_A_ROW: u32 = 5;

/// Of at least so many results within [`WINDOW`], a half that failed opens it too: an origin that answers now and then.
const ENOUGH: u32 = 20;

/// How far back results count, in seconds.
const WINDOW: u64 = 10;

/// How long it stays open at first; twice as long after each probe that failed.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// It never stays open for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What a breaker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// All is well: requests pass.
    Closed,
    /// Nothing passes yet.
    Open,
    /// The wait is over: one request at a time passes, and decides.
    HalfOpen,
}

/// The state of one address.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    recent: Recent,
    in_a_row: u32,
    last_failure: Option<Tick>,
}

/// Leave to send one request; its outcome is given back with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// One of many.
    Ordinary,
    /// The one that decides whether the breaker closes.
    Probe,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    /// Nobody passes before `until`; then a probe at a time.
    Open {
        until: Tick,
        wait: Duration,
        probing: bool,
    },
}

/// Results by the second.
#[derive(Debug, Default)]
struct Recent([Second; WINDOW as usize]);

#[derive(Debug, Clone, Copy, Default)]
struct Second {
    second: u64,
    results: u32,
    failures: u32,
}

impl BreakerState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self { state: State::Closed, recent: Recent::default(), in_a_row: 0, last_failure: None }
    }

    /// Leave to send a request now, or how long there is none. Where a probe is under way already, nobody knows how long that
    /// takes: the answer is then the first wait.
    pub(super) fn admit(&mut self, now: Tick) -> Result<Pass, Duration> {
        match &mut self.state {
            State::Closed => Ok(Pass::Ordinary),
            State::Open { until, .. } if now < *until => Err(until.since(now)),
            State::Open { probing: true, .. } => Err(FIRST_WAIT),
            State::Open { probing, .. } => {
                *probing = true;
                Ok(Pass::Probe)
            }
        }
    }

    /// A request that was let through was answered.
    pub(super) fn succeeded(&mut self, now: Tick, pass: Pass) {
        match (self.state, pass) {
            (State::Closed, _) => {
                self.in_a_row = 0;
                self.recent.note(now, false);
            }
            (State::Open { .. }, Pass::Probe) => *self = Self::new(),
            // It began before the breaker opened: it says nothing about now.
            (State::Open { .. }, Pass::Ordinary) => {}
        }
    }

    /// A request that was let through came to nothing.
    pub(super) fn failed(&mut self, now: Tick, pass: Pass) {
        self.last_failure = Some(now);
        match (self.state, pass) {
            (State::Closed, _) => {
                self.in_a_row += 1;
                self.recent.note(now, true);
                if self.in_a_row >= IN_A_ROW || self.recent.is_bad(now) {
                    self.open(now, FIRST_WAIT);
                }
            }
            (State::Open { wait, .. }, Pass::Probe) => self.open(now, wait.saturating_mul(2).min(LONGEST_WAIT)),
            (State::Open { .. }, Pass::Ordinary) => {}
        }
    }

    /// Whoever sent the request left before there was an outcome: another may probe.
    pub(super) fn abandoned(&mut self, pass: Pass) {
        if let (State::Open { probing, .. }, Pass::Probe) = (&mut self.state, pass) {
            *probing = false;
        }
    }

    /// How long nothing passes, if it is open.
    pub(super) fn shut(&self, now: Tick) -> Option<Duration> {
        match self.state {
            State::Open { until, .. } if now < until => Some(until.since(now)),
            State::Open { .. } | State::Closed => None,
        }
    }

    pub(super) fn state(&self, now: Tick) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { until, .. } if now < until => BreakerState::Open,
            State::Open { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether it failed a short while ago without having opened: addresses that did not are asked before it.
    pub(super) fn is_suspect(&self, now: Tick) -> bool {
        let lately = |failure| now.since(failure) < Duration::from_secs(WINDOW);
        self.in_a_row > 0 && self.last_failure.is_some_and(lately)
    }

    fn open(&mut self, now: Tick, wait: Duration) {
        self.state = State::Open { until: now + wait, wait, probing: false };
    }
}

impl Recent {
    fn note(&mut self, now: Tick, failed: bool) {
        let second = now.since_origin().as_secs();
        // The remainder is below ten on any machine.
        let place = &mut self.0[(second % WINDOW) as usize];
        if place.second != second {
            *place = Second { second, ..Second::default() };
        }
        place.results += 1;
        place.failures += u32::from(failed);
    }

    fn is_bad(&self, now: Tick) -> bool {
        let now = now.since_origin().as_secs();
        let lately = self.0.iter().filter(|place| now - place.second.min(now) < WINDOW);
        let (results, failures) =
            lately.fold((0, 0), |(results, failures), at| (results + at.results, failures + at.failures));
        results >= ENOUGH && failures * 2 >= results
    }
}

#[cfg(test)]
mod tests;
