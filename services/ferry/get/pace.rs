//! A limit on the rate of a download, for those who share a line with others.

use std::{num::NonZeroU64, time::Duration};

use tokio::time::{Instant, sleep_until};

/// What was not used for so long is not made up for.
const MEMORY: Duration = Duration::from_secs(1);

/// So many bytes a second, and no more.
#[derive(Debug)]
pub(super) struct Pace {
    rate: NonZeroU64,
    /// When what came so far would have come at that rate.
    due: Option<Instant>,
}

impl Pace {
    /// In bytes a second.
    pub(super) const fn new(rate: NonZeroU64) -> Self {
        Self { rate, due: None }
    }

    /// So many bytes came: waits until the next ones may.
    pub(super) async fn passed(&mut self, bytes: u64) {
        let now = Instant::now();
        let from = self.due.unwrap_or(now).max(now.checked_sub(MEMORY).unwrap_or(now));
        let micros = bytes.saturating_mul(1_000_000) / self.rate;
        let due = from + Duration::from_micros(micros);
        self.due = Some(due);
        sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_come_at_the_rate_and_a_pause_is_not_made_up_for() {
        let mut pace = Pace::new(NonZeroU64::new(1000).expect("positive"));
        let began = Instant::now();
        for _ in 0..10 {
            pace.passed(500).await;
        }
        assert_eq!(began.elapsed().as_secs(), 5);
        tokio::time::advance(Duration::from_secs(60)).await;
        let resumed = Instant::now();
        for _ in 0..10 {
            pace.passed(500).await;
        }
        assert!((4..=5).contains(&resumed.elapsed().as_secs()), "{:?}", resumed.elapsed());
    }
}
