//! Whether an address of an origin is asked at all.
//!
//! Pure: the caller supplies `now`, and tells what became of each request that was let through.
//!
//! A breaker shuts out all objects of an address, so that what opens it must speak of the address, and not of one object. A connection that does
//! not come about does, whoever wanted it. An answer that is late, is an error or breaks off may be that of one bad file, which an impatient client,
//! or a cache, asks for again and again; so one target counts twice at most, and it takes three of them to open a breaker. What one
//! exchange tries again at the same address counts once: that is one piece of evidence, however often it is looked at. An origin that accepts
//! connections and answers nobody is found out by the fifth request for the third object. Where clients want a single object of it, it is
//! not, and need not be: nobody else would be spared a wait.
//!
//! Invariant B1: an open breaker lets nothing through before its time, and then one probe at a time, until one of them succeeds.

use std::{collections::VecDeque, time::Duration};

use ferry_core::time::Tick;

/// So many failures in a row open it.
const IN_A_ROW: usize = 5;

/// So many failures of one target count, in a row and within [`WINDOW`]: one that fails twice is no worse than one that fails for ever.
const OF_ONE_TARGET: usize = 2;

/// How many of the failures within [`WINDOW`] are remembered by name. With more than that, many targets fail.
const REMEMBERED: usize = 32;

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
    /// The failures since the last success that count.
    row: Vec<Failure>,
    last_failure: Option<Tick>,
}

/// Who asked for what: by that, the same evidence is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Witness {
    /// One request of a client or of the cache, with all that is done again for it.
    pub(super) exchange: u64,
    /// A hash of what it asks for.
    pub(super) target: u64,
}

/// A request that came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// There was no connection.
    Unreached(Witness),
    /// The answer was late, an error, or broke off.
    Unanswered(Witness),
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
struct Recent {
    seconds: [Second; WINDOW as usize],
    /// The last failures that count, with their seconds.
    failures: VecDeque<(u64, Failure)>,
}

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
        Self { state: State::Closed, recent: Recent::default(), row: Vec::new(), last_failure: None }
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
                self.row.clear();
                self.recent.succeeded(now);
            }
            (State::Open { .. }, Pass::Probe) => *self = Self::new(),
            // It began before the breaker opened: it says nothing about now.
            (State::Open { .. }, Pass::Ordinary) => {}
        }
    }

    /// A request that was let through came to nothing.
    pub(super) fn failed(&mut self, now: Tick, pass: Pass, failure: Failure) {
        self.last_failure = Some(now);
        match (self.state, pass) {
            (State::Closed, _) => {
                if failure.is_news(self.row.iter()) {
                    self.row.push(failure);
                }
                self.recent.failed(now, failure);
                if self.row.len() >= IN_A_ROW || self.recent.is_bad(now) {
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
        !self.row.is_empty() && self.last_failure.is_some_and(lately)
    }

    fn open(&mut self, now: Tick, wait: Duration) {
        self.state = State::Open { until: now + wait, wait, probing: false };
    }
}

impl Failure {
    const fn witness(self) -> Witness {
        match self {
            Self::Unreached(witness) | Self::Unanswered(witness) => witness,
        }
    }

    /// Whether it says more than what failed before.
    fn is_news<'a>(self, before: impl Iterator<Item = &'a Self>) -> bool {
        let Witness { exchange, target } = self.witness();
        let mut of_target = 0;
        for failure in before {
            if failure.witness().exchange == exchange {
                return false;
            }
            of_target += usize::from(failure.witness().target == target);
        }
        matches!(self, Self::Unreached(_)) || of_target < OF_ONE_TARGET
    }
}

impl Recent {
    fn succeeded(&mut self, now: Tick) {
        self.second(now).results += 1;
    }

    /// A failure that says nothing new is no result at all.
    fn failed(&mut self, now: Tick, failure: Failure) {
        let second = now.since_origin().as_secs();
        self.failures.retain(|(when, _)| second.saturating_sub(*when) < WINDOW);
        if !failure.is_news(self.failures.iter().map(|(_, failure)| failure)) {
            return;
        }
        if self.failures.len() == REMEMBERED {
            self.failures.pop_front();
        }
        self.failures.push_back((second, failure));
        let place = self.second(now);
        place.results += 1;
        place.failures += 1;
    }

    fn second(&mut self, now: Tick) -> &mut Second {
        let second = now.since_origin().as_secs();
        // The remainder is below ten on any machine.
        let place = &mut self.seconds[(second % WINDOW) as usize];
        if place.second != second {
            *place = Second { second, ..Second::default() };
        }
        place
    }

    fn is_bad(&self, now: Tick) -> bool {
        let now = now.since_origin().as_secs();
        let lately = self.seconds.iter().filter(|place| now - place.second.min(now) < WINDOW);
        let (results, failures) =
            lately.fold((0, 0), |(results, failures), at| (results + at.results, failures + at.failures));
        results >= ENOUGH && failures * 2 >= results
    }
}

#[cfg(test)]
mod tests;
