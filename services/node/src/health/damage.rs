//! What happened to the cache: how often, and how long that is held against the node. Pure.
//!
//! Blocks were not what was written, or its directory was gone and was made anew: it is over when it is known, and an operator is to hear of it all the same. A block that fails is fetched anew, and nobody was given its bytes; but a disk that gives back other bytes than it took will do so again.

use std::time::Duration;

use ferry_core::time::Tick;

/// For how long it is worth a look at the disk.
const WITHIN: Duration = Duration::from_secs(3600);

/// What was seen of a count that only grows.
#[derive(Debug, Default)]
pub(super) struct Damage {
    seen: u64,
    /// When the last one was seen, and how many have been since the one before was forgotten.
    last: Option<(Tick, u64)>,
}

/// Damage that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recent {
    /// How often it happened.
    pub(super) count: u64,
    /// How long ago the last of them was seen.
    pub(super) ago: Duration,
}

impl Damage {
    /// Takes note of the count, and says what of it is recent.
    pub(super) fn look(&mut self, count: u64, now: Tick) -> Option<Recent> {
        let before = self.last.filter(|(at, _)| now.since(*at) < WITHIN);
        self.last = match count.saturating_sub(self.seen) {
            0 => before,
            more => Some((now, before.map_or(0, |(_, count)| count) + more)),
        };
        self.seen = self.seen.max(count);
        self.last.map(|(at, count)| Recent { count, ago: now.since(at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_counts_for_an_hour_after_the_last_of_it() {
        let at = |seconds| Tick::from_origin(Duration::from_secs(seconds));
        let mut damage = Damage::default();
        let recent = |count, ago| Some(Recent { count, ago: Duration::from_secs(ago) });
        for (now, count, expected) in [
            (0, 0, None),
            (10, 2, recent(2, 0)),
            (20, 2, recent(2, 10)),
            (3609, 3, recent(3, 0)),
            (7208, 3, recent(3, 3599)),
            (7209, 3, None),
            (9000, 3, None),
            (9001, 4, recent(1, 0)),
        ] {
            assert_eq!(damage.look(count, at(now)), expected, "{count} after {now} s");
        }
    }
}
