//! Pauses between attempts: growing, limited, and different for everybody.

use std::time::Duration;

use crate::error::Error;

const FIRST: Duration = Duration::from_millis(100);
/// Long enough that a returning etcd is not trampled, short enough that nobody waits for it.
const LONGEST: Duration = Duration::from_secs(3);
/// Between attempts that only an operator's hand can help.
const REFUSED: Duration = Duration::from_secs(10);

/// Exponential, from 100 ms to a ceiling, each pause drawn from the upper half of its span so that many who lost the same
/// store do not return in step.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    ceiling: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self::below(LONGEST)
    }

    /// As [`Self::new`], never pausing longer than `ceiling` for what may pass.
    pub(crate) fn below(ceiling: Duration) -> Self {
        Self { next: FIRST.min(ceiling), ceiling: ceiling.min(LONGEST) }
    }

    /// The last attempt succeeded: the next pause is a short one.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST.min(self.ceiling);
    }

    /// How long to wait after `error`.
    pub(crate) fn after(&mut self, error: &Error) -> Duration {
        if !error.is_passing() {
            return jittered(REFUSED);
        }
        let pause = self.next;
        self.next = (pause * 2).min(self.ceiling);
        jittered(pause)
    }
}

fn jittered(span: Duration) -> Duration {
    span.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_ceiling_and_start_over_after_a_success() {
        let mut backoff = Backoff::new();
        let passing = Error::unavailable("test");
        for _ in 0..20 {
            assert!(backoff.after(&passing) <= LONGEST);
        }
        assert!(backoff.after(&passing) >= LONGEST / 2);
        backoff.reset();
        assert!(backoff.after(&passing) <= FIRST);
    }

    #[test]
    fn what_an_operator_must_mend_is_tried_rarely() {
        assert!(Backoff::new().after(&Error::refused("test")) >= REFUSED / 2);
    }
}
