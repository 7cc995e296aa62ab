//! Whether a node has more to do than it does well, by its own beats: how full it is, how slow its disk is against its own median, and how much it
//! fails. A state is entered and left after three beats in a row that say so, at thresholds that lie apart.

use crate::{load::Load, node::NodeFacts, slowness::Slowness};

/// Beats in a row that change the verdict.
const BEATS: u8 = 3;

/// Fuller than this is too full, and emptier than that is well again.
const FULL: f64 = 0.95;
const ROOM: f64 = 0.85;

/// A share of failed requests that is too much, and how many they are at least within one beat.
const FAILING: f64 = 0.1;
const FEWEST: u32 = 5;

/// What the last beats said.
#[derive(Debug, Default)]
pub(super) struct Strain {
    strained: bool,
    /// Beats in a row that speak against the verdict.
    against: u8,
    disk: Slowness,
}

impl Strain {
    pub(super) const fn is_strained(&self) -> bool {
        self.strained
    }

    /// Takes a beat into account.
    pub(super) fn beat(&mut self, load: &Load, facts: &NodeFacts) {
        let against = if self.strained { !self.is_hard(load, facts, ROOM) } else { self.is_hard(load, facts, FULL) };
        self.against = if against { self.against + 1 } else { 0 };
        if self.against >= BEATS {
            (self.strained, self.against) = (!self.strained, 0);
        }
        // A disk that has become slow must not become what is normal while it is held against the node.
        if !self.strained {
            self.disk.remember(load.disk_wait);
        }
    }

    fn is_hard(&self, load: &Load, facts: &NodeFacts, full: f64) -> bool {
        utilisation(load, facts) >= full || self.disk.is_slow(load.disk_wait) || is_failing(load)
    }
}

/// The worst of the shares of what a node has that are in use.
fn utilisation(load: &Load, facts: &NodeFacts) -> f64 {
    let share = |of: Option<u64>, is: u64| of.map_or(0.0, |of| is as f64 / of as f64);
    let sent = share(facts.capacity.map(std::num::NonZero::get), load.bytes_per_second);
    let transfers = share(facts.max_transfers.map(|most| most.get().into()), load.transfers.into());
    let own = load.cpu.get().max(load.disk.get()).max(load.fullness.get());
    sent.max(transfers).max(own.into())
}

fn is_failing(load: &Load) -> bool {
    load.failures >= FEWEST && f64::from(load.failures) >= FAILING * f64::from(load.requests)
}

#[cfg(test)]
mod tests {
    use std::{
        num::{NonZeroU32, NonZeroU64},
        time::Duration,
    };

    use super::*;
    use crate::load::Share;

    fn facts() -> NodeFacts {
        NodeFacts {
            capacity: NonZeroU64::new(1000),
            max_transfers: NonZeroU32::new(100),
            ..NodeFacts::named("n".parse().expect("valid"))
        }
    }

    /// The verdict after each of these beats.
    fn verdicts(strain: &mut Strain, beats: &[Load]) -> Vec<bool> {
        let mut told = |load| {
            strain.beat(load, &facts());
            strain.is_strained()
        };
        beats.iter().map(&mut told).collect()
    }

    #[test]
    fn three_beats_in_a_row_make_and_unmake_it() {
        let with = |transfers| Load { transfers, ..Load::default() };
        let told = verdicts(&mut Strain::default(), &[96, 96, 80, 96, 96, 96, 90, 90, 90, 80, 80, 80].map(with));
        let expected = [false, false, false, false, false, true, true, true, true, true, true, false];
        assert_eq!(told, expected, "between the thresholds nothing changes");
    }

    #[test]
    fn each_share_counts_by_itself() {
        for load in [
            Load { bytes_per_second: 950, ..Load::default() },
            Load { cpu: Share::clamped(1.0), ..Load::default() },
            Load { disk: Share::clamped(1.0), ..Load::default() },
            Load { fullness: Share::clamped(1.0), ..Load::default() },
            Load { requests: 50, failures: 5, ..Load::default() },
        ] {
            assert_eq!(verdicts(&mut Strain::default(), &[load; 3]), [false, false, true], "{load:?}");
        }
        let few = Load { requests: 4, failures: 4, ..Load::default() };
        assert_eq!(verdicts(&mut Strain::default(), &[few; 3]), [false; 3], "too few to say anything");
    }

    #[test]
    fn a_disk_is_slow_against_its_own_median_only() {
        let with = |millis| Load { disk_wait: Duration::from_millis(millis), ..Load::default() };
        let mut slow_by_nature = Strain::default();
        assert_eq!(verdicts(&mut slow_by_nature, &[with(60); 20]), [false; 20], "it was never any better");
        let mut quick = Strain::default();
        let _ = verdicts(&mut quick, &[with(2); 20]);
        assert_eq!(verdicts(&mut quick, &[with(40); 3]), [false; 3], "slower, and not slow");
        let mut quick = Strain::default();
        let _ = verdicts(&mut quick, &[with(2); 20]);
        assert!(verdicts(&mut quick, &[with(200); 100])[99], "also when it has long been so");
        assert_eq!(verdicts(&mut quick, &[with(2); 3]), [true, true, false]);
    }
}
