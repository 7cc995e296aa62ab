//! How often somebody may do something: so many times at once, then one each `every`.
//!
//! The generic cell rate algorithm (ITU-T I.371): one moment is remembered, however much is allowed.

use std::time::Duration;

use crate::time::Tick;

/// A pace, and how far somebody is ahead of it.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    every: Duration,
    /// How far ahead of it anybody may be.
    ahead: Duration,
    /// When the pace would have come to what was done so far.
    due: Tick,
}

impl Pace {
    /// `burst` times at once, and then every `every`.
    #[must_use]
    pub fn new(burst: u32, every: Duration) -> Self {
        Self { every, ahead: every * burst.saturating_sub(1), due: Tick::default() }
    }

    /// Whether it may be done now; if so, it counts as done.
    #[must_use]
    pub fn allows(&mut self, now: Tick) -> bool {
        let due = self.due.max(now);
        let allowed = due.since(now) <= self.ahead;
        if allowed {
            self.due = due + self.every;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Tick {
        Tick::from_origin(SECOND * u32::try_from(seconds).expect("small"))
    }

    #[test]
    fn a_burst_is_allowed_and_then_the_pace() {
        let mut pace = Pace::new(3, SECOND);
        let mut allowed = |now| (0..10).filter(|_| pace.allows(at(now))).count();
        assert_eq!(allowed(100), 3);
        assert_eq!(allowed(100), 0);
        assert_eq!(allowed(101), 1);
        assert_eq!(allowed(103), 2);
        assert_eq!(allowed(1000), 3, "who was quiet for long has no more than a burst");
    }
}
