//! What the log hears of an etcd that fails: the first failure at once, then a line a minute while it lasts, and its end.
//!
//! Requests, watches and presences fail together and try again for as long as it takes; all of them report here, so that an
//! outage is one line and not one per attempt.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{info, warn};

use crate::error::Error;

/// Between two lines about the same trouble.
const SAID_EVERY: Duration = Duration::from_secs(60);
/// A failure sooner than this after the last one is the same trouble, though something was answered in between: an endpoint that
/// fails every other time must not be two lines each time.
const ONE_TROUBLE: Duration = Duration::from_secs(10);

/// Whether etcd is in sight, and what was said of it.
#[derive(Debug, Default)]
pub(super) struct Sight(Mutex<Trouble>);

#[derive(Debug, Default)]
struct Trouble {
    /// Since when, and until when at least.
    spell: Option<(Instant, Instant)>,
    failures: u64,
    /// Whether the log believes that etcd is away.
    said_away: bool,
    passing: Option<Instant>,
    refused: Option<Instant>,
}

/// What a line says beside the error.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    failures: u64,
    lasts: Duration,
}

impl Sight {
    pub(super) fn failed(&self, error: &Error, now: Instant) {
        let Some(Line { failures, lasts }) = self.trouble().failed(error.is_passing(), now) else { return };
        let seconds = lasts.as_secs();
        if error.is_passing() {
            warn!(%error, failures, seconds, "etcd is out of sight; going on with what is known, and trying again");
        } else {
            warn!(%error, failures, seconds, "etcd refuses us until somebody mends that; trying again now and then");
        }
    }

    pub(super) fn answered(&self, now: Instant) {
        if let Some(lasted) = self.trouble().answered(now) {
            info!(seconds = lasted.as_secs(), "etcd answers again");
        }
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Trouble> {
        // Counters and times: none of them can be half-made.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trouble {
    /// Whether this failure is worth a line, and what is to be in it.
    fn failed(&mut self, passing: bool, now: Instant) -> Option<Line> {
        match &mut self.spell {
            Some((_, last)) if self.said_away || now.duration_since(*last) < ONE_TROUBLE => *last = now,
            _ => *self = Self { spell: Some((now, now)), ..Self::default() },
        }
        self.failures += 1;
        let said = if passing { &mut self.passing } else { &mut self.refused };
        if said.is_some_and(|said| now.duration_since(said) < SAID_EVERY) {
            return None;
        }
        *said = Some(now);
        self.said_away = true;
        let since = self.spell.map_or(now, |(since, _)| since);
        Some(Line { failures: self.failures, lasts: now.duration_since(since) })
    }

    /// How long it was away, if the log believes that it still is.
    fn answered(&mut self, now: Instant) -> Option<Duration> {
        let (since, _) = self.spell?;
        std::mem::take(&mut self.said_away).then(|| now.duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the failures, at these seconds, are said.
    fn said(trouble: &mut Trouble, begun: Instant, seconds: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let at = |second: &u64| trouble.failed(true, begun + Duration::from_secs(*second)).is_some();
        seconds.into_iter().filter(at).collect()
    }

    #[test]
    fn the_first_failure_is_said_at_once_and_the_next_after_a_minute() {
        let (mut trouble, begun) = (Trouble::default(), Instant::now());
        assert_eq!(said(&mut trouble, begun, 0..=150), [0, 60, 120]);
    }

    #[test]
    fn a_refusal_is_said_though_a_silence_was_just_before() {
        let (mut trouble, begun) = (Trouble::default(), Instant::now());
        assert!(trouble.failed(true, begun).is_some());
        let line = trouble.failed(false, begun + Duration::from_secs(2)).expect("another kind of trouble");
        assert_eq!(line, Line { failures: 2, lasts: Duration::from_secs(2) });
        assert!(trouble.failed(false, begun + Duration::from_secs(4)).is_none());
    }

    #[test]
    fn its_end_is_said_once_and_only_where_its_beginning_was() {
        let (mut trouble, begun) = (Trouble::default(), Instant::now());
        assert_eq!(trouble.answered(begun), None);
        assert!(trouble.failed(true, begun).is_some());
        let end = begun + Duration::from_secs(5);
        assert_eq!((trouble.answered(end), trouble.answered(end)), (Some(Duration::from_secs(5)), None));
    }

    #[test]
    fn an_etcd_that_fails_now_and_then_is_said_once_a_minute() {
        let (mut trouble, begun) = (Trouble::default(), Instant::now());
        let mut lines = 0;
        for second in (0..180).step_by(2) {
            lines += usize::from(trouble.failed(true, begun + Duration::from_secs(second)).is_some());
            lines += usize::from(trouble.answered(begun + Duration::from_secs(second + 1)).is_some());
        }
        assert_eq!(lines, 6, "three minutes, a beginning and an end each");
    }

    #[test]
    fn a_new_trouble_is_said_at_once() {
        let (mut trouble, begun) = (Trouble::default(), Instant::now());
        assert_eq!(said(&mut trouble, begun, [0]), [0]);
        trouble.answered(begun + Duration::from_secs(1));
        assert_eq!(said(&mut trouble, begun, [15, 16]), [15]);
    }

    /// Attempts with long pauses between them are one trouble for as long as nothing was answered.
    #[test]
    fn a_trouble_lasts_until_something_is_answered() {
        let (mut trouble, begun) = (Trouble::default(), Instant::now());
        assert_eq!(said(&mut trouble, begun, [0, 15, 30, 45, 60]), [0, 60]);
    }
}
