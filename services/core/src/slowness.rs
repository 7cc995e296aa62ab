//! Whether a disk has become slow, against what is usual for itself: disks differ by a thousand times, and none is slow by nature.

use std::time::Duration;

/// A disk that takes so many times its own median, and so long at all, is slow.
const SLOWER: u32 = 8;
const SLOW: Duration = Duration::from_millis(50);

/// Measurements over which the median is taken, and those it takes at least.
const MEDIAN_OF: usize = 60;
const MEDIAN_FROM: usize = 10;

/// How long its calls took lately, on average over each of the last measurements that saw any.
#[derive(Debug, Default)]
pub struct Slowness {
    /// A ring. Nothing is allocated before there is one.
    waits: Vec<Duration>,
    next: usize,
}

impl Slowness {
    /// Whether that is slow for this disk. Never before its median is known.
    #[must_use]
    pub fn is_slow(&self, wait: Duration) -> bool {
        wait >= SLOW && self.median().is_some_and(|median| wait >= median * SLOWER)
    }

    /// Takes a measurement for usual; one of no time is none. What is held against the disk is not to be passed in: it would become usual.
    pub fn remember(&mut self, wait: Duration) {
        if wait.is_zero() {
            return;
        }
        if self.waits.len() < MEDIAN_OF {
            self.waits.push(wait);
        } else {
            self.waits[self.next] = wait;
            self.next = (self.next + 1) % MEDIAN_OF;
        }
    }

    fn median(&self) -> Option<Duration> {
        let mut waits = self.waits.clone();
        let middle = waits.len() / 2;
        (waits.len() >= MEDIAN_FROM).then(|| *waits.select_nth_unstable(middle).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_what_takes_many_times_the_median_and_long_at_all() {
        const MILLI: Duration = Duration::from_millis(1);
        let mut disk = Slowness::default();
        for measured in 0..MEDIAN_FROM {
            assert!(!disk.is_slow(1000 * MILLI), "{measured} are no median");
            disk.remember(10 * MILLI);
            disk.remember(Duration::ZERO);
        }
        assert!(disk.is_slow(80 * MILLI));
        assert!(!disk.is_slow(79 * MILLI), "not against its own median");
        let mut quick = Slowness::default();
        (0..MEDIAN_FROM).for_each(|_| quick.remember(MILLI));
        assert!(!quick.is_slow(49 * MILLI), "not at all");
        (0..MEDIAN_OF).for_each(|_| disk.remember(30 * MILLI));
        assert!(!disk.is_slow(80 * MILLI), "what is usual changes");
    }
}
