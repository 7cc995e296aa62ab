//! How much of the strength with which a node registered may be counted on: less while it is new, and less once it was seen not to have it.

use std::time::Duration;

use super::table::TELLING_TRANSFERS;
use crate::{load::Load, time::Tick};

/// A node that joined gets its full share after this time.
const RAMP: Duration = Duration::from_secs(60);
/// By how many times longer that takes while all that it serves has to be fetched first.
const COLD_RAMPS: f64 = 4.0;
/// What it gets at once, as a part of its share: with nothing to do, it would never be warm.
const FIRST_SHARE: f64 = 0.1;
/// Nodes that a table meets so soon after it began are not new: the gateway is.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// A node whose transfers get less than this part of what others' get holds them back itself.
const MUCH_SLOWER: f64 = 1.0 / 3.0;
/// A ceiling is never taken to be lower than this part of what was registered: a way back must stay open.
const LOWEST_CEILING: f64 = 0.02;
/// By how much a ceiling rises each second: it is gone within two minutes, or met again.
const RISE_PER_SECOND: f64 = 0.02;

/// What was learned of one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strength {
    /// `None` if it was there before anybody looked.
    joined: Option<Tick>,
    /// The part of the registered capacity beyond which transfers were seen to suffer.
    ceiling: f64,
    /// When the last word came, and what it said.
    heard: Tick,
    load: Load,
    /// How many transfers there were in the word before.
    transfers_before: u32,
}

impl Strength {
    /// Of a node that a table meets at `now`, having begun at `begun`.
    pub(super) fn of_newcomer(load: Load, begun: Tick, now: Tick) -> Self {
        Self {
            joined: (now.since(begun) > INTRODUCTION).then_some(now),
            ceiling: 1.0,
            heard: now,
            load,
            transfers_before: 0,
        }
    }

    /// Of the same node in a new life.
    pub(super) fn reborn(load: Load, now: Tick) -> Self {
        Self { joined: Some(now), ceiling: 1.0, heard: now, load, transfers_before: 0 }
    }

    /// Takes its next word. `typical` is what a transfer gets at nodes nearby, in bytes per second.
    pub(super) fn hear(&mut self, load: Load, capacity: f64, typical: Option<f64>, now: Tick) {
        let passed = now.since(self.heard).as_secs_f64();
        (self.heard, self.transfers_before, self.load) = (now, self.load.transfers, load);
        if self.rate().zip(typical).is_some_and(|(rate, typical)| rate < MUCH_SLOWER * typical) {
            let seen = load.bytes_per_second as f64 / capacity;
            self.ceiling = seen.clamp(LOWEST_CEILING, self.ceiling.max(LOWEST_CEILING));
        } else if self.ceiling < 1.0 {
            self.ceiling = (self.ceiling * (1.0 + RISE_PER_SECOND).powf(passed)).min(1.0);
        }
    }

    /// The part of its registered capacity that it has.
    pub(super) const fn ceiling(&self) -> f64 {
        self.ceiling
    }

    /// The part of its weight that counts now.
    pub(super) fn share(&self) -> f64 {
        let Some(joined) = self.joined else { return self.ceiling };
        let ramp = RAMP.as_secs_f64() * (1.0 + COLD_RAMPS * f64::from(self.load.cold.get()));
        let ramped = (self.heard.since(joined).as_secs_f64() / ramp).clamp(FIRST_SHARE, 1.0);
        self.ceiling.min(ramped)
    }

    /// What a transfer got between the last two words, in bytes per second; `None` if there were too few to tell. Those that just began are no
    /// sign that the others are slow.
    pub(super) fn rate(&self) -> Option<f64> {
        let transfers = self.transfers_before.min(self.load.transfers);
        (transfers >= TELLING_TRANSFERS).then(|| self.load.bytes_per_second.max(1) as f64 / f64::from(transfers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Share;

    const CAPACITY: f64 = 125e6;
    const TYPICAL: Option<f64> = Some(2.5e6);

    fn at(seconds: u64) -> Tick {
        Tick::from_origin(Duration::from_secs(1_000 + seconds))
    }

    fn load(transfers: u32, bytes_per_second: u64) -> Load {
        Load { bytes_per_second, transfers, ..Load::default() }
    }

    fn after(mut strength: Strength, load: Load, seconds: std::ops::Range<u64>) -> Strength {
        seconds.for_each(|second| strength.hear(load, CAPACITY, TYPICAL, at(second)));
        strength
    }

    #[test]
    fn a_node_that_joins_gets_its_share_within_a_minute_and_a_cold_one_later() {
        let joined = Strength::of_newcomer(Load::default(), at(0), at(20));
        assert_eq!(joined.share(), FIRST_SHARE);
        assert_eq!(after(joined, load(0, 0), 21..51).share(), 0.5);
        assert_eq!(after(joined, load(0, 0), 21..90).share(), 1.0);
        let cold = Load { cold: Share::clamped(1.0), ..Load::default() };
        assert_eq!(after(joined, cold, 21..171).share(), 0.5);
        assert_eq!(Strength::reborn(Load::default(), at(30)).share(), FIRST_SHARE);
        assert_eq!(Strength::of_newcomer(Load::default(), at(0), at(5)).share(), 1.0, "it is the gateway that is new");
    }

    #[test]
    fn a_node_that_holds_its_transfers_back_has_what_it_was_seen_to_send_and_gets_the_rest_back_slowly() {
        let old = Strength::of_newcomer(Load::default(), at(0), at(0));
        let well = after(old, load(25, 62_500_000), 1..5);
        assert_eq!(well.share(), 1.0);
        let slow = after(well, load(25, 12_500_000), 5..6);
        assert_eq!((slow.share(), slow.ceiling()), (0.1, 0.1));
        let later = after(slow, load(4, 10_000_000), 6..16);
        assert!((0.11..0.13).contains(&later.share()), "{}", later.share());
        assert_eq!(after(slow, load(4, 10_000_000), 6..130).share(), 1.0);
    }

    #[test]
    fn transfers_that_just_began_and_too_few_of_them_tell_nothing() {
        let old = Strength::of_newcomer(Load::default(), at(0), at(0));
        assert_eq!(after(old, load(50, 1_000_000), 1..2).share(), 1.0, "they were not there a second ago");
        assert_eq!(after(old, load(7, 1_000), 1..9).share(), 1.0);
        let mut alone = old;
        (1..9).for_each(|second| alone.hear(load(50, 1_000), CAPACITY, None, at(second)));
        assert_eq!(alone.share(), 1.0, "nobody to compare it with");
    }
}
