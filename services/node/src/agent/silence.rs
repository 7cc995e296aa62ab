//! Whether a coordinator still speaks: one that a node does not hear any more must be told so while it may still hear the node.
//!
//! Pings would end the connection after four seconds, and leave no time for a word.

use std::time::Duration;

use tokio::time::Instant;

/// A stream on which nothing came for so long is given up: two marks are lost, and a third is late.
const SILENT_FOR: Duration = Duration::from_secs(3);

/// Who looks so much later than it meant to was away itself: what came meanwhile has yet to be read.
const LATE: Duration = Duration::from_millis(250);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// When one coordinator is given up; never, if it is one that sends no marks.
#[derive(Debug, Default)]
pub(super) struct Silence {
    over_at: Option<Instant>,
}

impl Silence {
    /// Something came.
    pub(super) fn hear(&mut self, now: Instant, is_mark: bool) {
        if is_mark || self.over_at.is_some() {
            self.over_at = Some(now + SILENT_FOR);
        }
    }

    /// When [`Self::is_over`] is to be asked next.
    pub(super) const fn next_look(&self) -> Option<Instant> {
        self.over_at
    }

    /// Whether the stream is to be given up.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        let Some(at) = self.over_at else { return false };
        if now > at + LATE {
            self.over_at = Some(now + LOOK_AGAIN);
            return false;
        }
        now >= at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinator_is_given_up_three_seconds_after_its_last_word_if_it_ever_sent_a_mark() {
        let (mut silence, begin) = (Silence::default(), Instant::now());
        let at = |millis| begin + Duration::from_millis(millis);
        silence.hear(at(0), false);
        assert_eq!(silence.next_look(), None, "one of before the marks is not missed");
        silence.hear(at(1000), true);
        silence.hear(at(1500), false);
        assert_eq!(silence.next_look(), Some(at(4500)));
        assert!(!silence.is_over(at(4499)) && silence.is_over(at(4500)));
    }

    #[test]
    fn who_was_away_itself_listens_first() {
        let (mut silence, begin) = (Silence::default(), Instant::now());
        let at = |millis| begin + Duration::from_millis(millis);
        silence.hear(at(0), true);
        assert!(!silence.is_over(at(10_000)), "it was stopped for seconds");
        assert_eq!(silence.next_look(), Some(at(11_000)));
        assert!(silence.is_over(at(11_000)), "and nothing came");
    }
}
