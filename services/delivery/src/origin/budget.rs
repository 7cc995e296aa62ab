//! How many requests are sent again: a share of those that are sent at all.
//!
//! Pure: the caller supplies `now`. Without a budget, an origin in trouble would get several times its usual load, just then.

use ferry_core::time::Tick;

/// What one retry costs. All else is counted in parts of it.
const RETRY: u64 = 1000;

/// What every request earns: one retry for five requests.
const EARNED: u64 = RETRY / 5;

/// What every millisecond earns: one retry per second, or little traffic would never have any.
const PER_MILLISECOND: u64 = 1;

/// What can be saved up.
const MOST: u64 = 10 * RETRY;

/// The retries that are left.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
    seen: Tick,
}

impl Budget {
    /// A full one.
    pub(super) const fn new(now: Tick) -> Self {
        Self { left: MOST, seen: now }
    }

    /// A request was sent for the first time.
    pub(super) fn earn(&mut self, now: Tick) {
        self.pass(now);
        self.add(EARNED);
    }

    /// Takes one retry, if there is one.
    pub(super) fn spend(&mut self, now: Tick) -> bool {
        self.pass(now);
        let rest = self.left.checked_sub(RETRY);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    fn pass(&mut self, now: Tick) {
        let millis = u64::try_from(now.since(self.seen).as_millis()).unwrap_or(u64::MAX);
        self.seen = self.seen.max(now);
        self.add(millis.saturating_mul(PER_MILLISECOND));
    }

    fn add(&mut self, more: u64) {
        self.left = self.left.saturating_add(more).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Tick {
        Tick::from_origin(Duration::from_millis(millis))
    }

    /// How many retries it gives at that moment.
    fn drain(budget: &mut Budget, now: Tick) -> usize {
        (0..1000).take_while(|_| budget.spend(now)).count()
    }

    #[test]
    fn ten_are_saved_up_and_no_more() {
        let mut budget = Budget::new(at(0));
        for _ in 0..1000 {
            budget.earn(at(3_600_000));
        }
        assert_eq!(drain(&mut budget, at(3_600_000)), 10);
    }

    #[test]
    fn five_requests_earn_one_retry() {
        let mut budget = Budget::new(at(0));
        drain(&mut budget, at(0));
        let retries = (0..100).filter(|_| {
            budget.earn(at(0));
            budget.spend(at(0))
        });
        assert_eq!(retries.count(), 20);
    }

    #[test]
    fn a_second_earns_one_retry() {
        let mut budget = Budget::new(at(0));
        drain(&mut budget, at(0));
        assert!(!budget.spend(at(999)) && budget.spend(at(1000)));
        assert_eq!(drain(&mut budget, at(500)), 0, "a clock that is read out of order earns nothing");
    }
}
