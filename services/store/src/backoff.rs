//! Pauses between attempts: growing, limited, and different for everybody.

use std::time::Duration;

use ferry_core::backoff::Backoff;
use rand::RngExt as _;

use crate::error::Error;

const FIRST: Duration = Duration::from_millis(100);
/// Long enough that a returning etcd is not trampled, short enough that nobody waits for it.
const LONGEST: Duration = Duration::from_secs(3);
/// So that a store that fails at once is not asked in a circle.
const SHORTEST: Duration = Duration::from_millis(20);

/// Between attempts that only an operator's hand can help: etcd computes a slow hash for each wrong password.
const REFUSED_FIRST: Duration = Duration::from_secs(2);
const REFUSED_LONGEST: Duration = Duration::from_secs(10);
const REFUSED_SHORTEST: Duration = Duration::from_secs(1);

/// What stood for so long was no accident, and the next attempt comes soon. A watch that etcd begins and ends at once must not be
/// begun ten times a second for ever, with a listing of everything each time.
const STOOD: Duration = Duration::from_secs(5);

/// The pauses of one who asks until there is an answer.
#[derive(Debug)]
pub(crate) struct Pauses {
    passing: Backoff,
    refused: Backoff,
}

impl Pauses {
    pub(crate) fn new() -> Self {
        Self::below(LONGEST)
    }

    /// As [`Self::new`], never pausing longer than `ceiling` for what may pass.
    pub(crate) fn below(ceiling: Duration) -> Self {
        Self {
            passing: Backoff::new(FIRST, LONGEST.min(ceiling)).at_least(SHORTEST),
            refused: Backoff::new(REFUSED_FIRST, REFUSED_LONGEST).at_least(REFUSED_SHORTEST),
        }
    }

    /// The last attempt succeeded: the next pause is a short one.
    pub(crate) const fn reset(&mut self) {
        self.passing.reset();
        self.refused.reset();
    }

    /// What was begun has stood for so long by now: after long enough, the same as a success.
    pub(crate) fn stands_for(&mut self, stood: Duration) {
        if stood >= STOOD {
            self.reset();
        }
    }

    /// How long to wait after `error`.
    pub(crate) fn after(&mut self, error: &Error) -> Duration {
        let bounds = if error.is_passing() { self.passing.next_wait() } else { self.refused.next_wait() };
        rand::rng().random_range(bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_must_mend_is_tried_more_rarely_than_what_passes() {
        let (passing, refused) = (Error::unavailable("test"), Error::refused("test"));
        let mut pauses = Pauses::new();
        for _ in 0..50 {
            assert!((SHORTEST..=LONGEST).contains(&pauses.after(&passing)));
            assert!((REFUSED_SHORTEST..=REFUSED_LONGEST).contains(&pauses.after(&refused)));
        }
        pauses.reset();
        assert!(pauses.after(&passing) <= FIRST && pauses.after(&refused) <= REFUSED_FIRST);
    }

    #[test]
    fn many_who_lost_the_same_store_do_not_return_in_step() {
        let error = Error::unavailable("test");
        let drawn = |_| {
            let mut pauses = Pauses::new();
            (0..8).map(|_| pauses.after(&error)).last().expect("eight were drawn")
        };
        let pauses: Vec<_> = (0..200).map(drawn).collect();
        let within = |from: f64, to: f64| {
            pauses.iter().filter(|pause| (LONGEST.mul_f64(from)..=LONGEST.mul_f64(to)).contains(pause)).count()
        };
        // 50 of 200 are expected in each quarter; fewer than 10 would happen once in 10^13 runs.
        for quarter in [0.0, 0.25, 0.5, 0.75] {
            assert!(within(quarter, quarter + 0.25) > 10, "{pauses:?}");
        }
    }

    #[test]
    fn what_begins_and_ends_at_once_is_no_success() {
        let mut pauses = Pauses::new();
        for _ in 0..8 {
            let _ = pauses.after(&Error::unavailable("test"));
            pauses.stands_for(Duration::from_millis(300));
        }
        assert_eq!(pauses.passing.attempts(), 8);
        pauses.stands_for(STOOD);
        assert_eq!(pauses.passing.attempts(), 0);
    }

    #[test]
    fn a_ceiling_holds_for_what_passes() {
        let mut pauses = Pauses::below(Duration::from_millis(50));
        assert!((0..20).all(|_| pauses.after(&Error::unavailable("test")) <= Duration::from_millis(50)));
    }
}
