//! The clocks of several coordinators, of which one may be wrong.
//!
//! Each coordinator whose stream stands has a voice. The corrected time is that of the one in the middle ([`ferry_core::time::middle`]); a voice that
//! leaves is no longer counted, and when none is left the time goes on as it was. That they disagree is said once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ferry_core::time::{UnixMillis, middle};
use tracing::{info, warn};

use super::Clock;

/// Clocks that NTP keeps are milliseconds apart, and a word may be on its way for some more. By so much, somebody is wrong.
const APART: Duration = Duration::from_secs(5);

/// Of so many, most are right if one is wrong.
const MAJORITY: usize = 3;

/// All voices, and the clock that they correct; clones are the same.
#[derive(Debug, Clone)]
pub struct Voices {
    clock: Clock,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Debug)]
struct Heard {
    /// What decides between two: what most of three or more agreed on last or, as long as there were never so many, what was believed before
    /// anybody spoke.
    believed: i64,
    /// What each says that the Unix time was at the origin of our monotonic clock, in milliseconds.
    readings: BTreeMap<u64, i64>,
    next: u64,
    /// Whether they are far apart, and that was said.
    apart: bool,
}

/// One coordinator, for as long as its stream stands.
#[derive(Debug)]
pub struct Voice {
    voices: Voices,
    number: u64,
}

impl Voices {
    /// Nobody has spoken: the clock is as it is, by its own wall clock or by what an earlier life knew.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let believed = clock.reading(clock.corrected());
        let heard = Heard { believed, readings: BTreeMap::new(), next: 0, apart: false };
        Self { clock, heard: Arc::new(Mutex::new(heard)) }
    }

    /// A coordinator, which has said nothing yet.
    #[must_use]
    pub fn join(&self) -> Voice {
        let mut number = 0;
        self.settle(|heard| {
            number = heard.next;
            heard.next += 1;
        });
        Voice { voices: self.clone(), number }
    }

    fn settle(&self, change: impl FnOnce(&mut Heard)) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut heard);
        let readings = || heard.readings.values().copied();
        let Some(agreed) = middle(readings(), heard.believed) else { return };
        let majority = readings().count() >= MAJORITY;
        self.clock.go_by(agreed);
        self.clock.say_if_far_off();
        let spread = readings().max().zip(readings().min()).map_or(0, |(most, least)| most.abs_diff(least));
        let apart = u128::from(spread) > APART.as_millis();
        if majority {
            heard.believed = agreed;
        }
        if std::mem::replace(&mut heard.apart, apart) != apart {
            match apart {
                true => warn!(
                    apart_seconds = spread / 1000,
                    "the coordinators' clocks differ: tokens are judged by the one in the middle"
                ),
                false => info!("the coordinators' clocks agree again"),
            }
        }
    }
}

impl Voice {
    /// It is `now` by the coordinator's clock.
    pub fn says(&self, now: UnixMillis) {
        let reading = self.voices.clock.reading(now);
        self.voices.settle(|heard| {
            heard.readings.insert(self.number, reading);
        });
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.voices.settle(|heard| {
            heard.readings.remove(&self.number);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixMillis = UnixMillis(1_700_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn one_coordinator_with_a_wrong_clock_turns_no_time_whenever_it_comes() {
        for wrong_at in 0..3 {
            let (clock, hand) = Clock::manual(UnixMillis(0));
            let voices = Voices::new(clock.clone());
            let all: Vec<_> = (0..3).map(|_| voices.join()).collect();
            for (number, voice) in all.iter().enumerate() {
                voice.says(if number == wrong_at { UnixMillis(NOON.0 + 9_000_000_000) } else { NOON });
            }
            assert_eq!(clock.corrected(), NOON, "the wrong one came as number {wrong_at}");
            hand.advance(HOUR);
            hand.set_wall(UnixMillis(5));
            assert_eq!(clock.corrected(), NOON + HOUR, "it goes on by our own");
        }
    }

    /// As in a rolling restart of the coordinators.
    #[test]
    fn what_most_agreed_on_decides_between_the_two_that_are_left() {
        let wrong = NOON + HOUR;
        let (clock, _hand) = Clock::manual(wrong);
        let voices = Voices::new(clock.clone());
        let [one, other, astray] = [NOON, NOON, wrong].map(|says| {
            let voice = voices.join();
            voice.says(says);
            voice
        });
        drop(one);
        assert_eq!(clock.corrected(), NOON, "our own start-up belief is not what the three agreed on");
        drop((other, astray));
        assert_eq!(clock.corrected(), wrong, "the last one is believed, however far off");
    }

    #[test]
    fn the_time_is_that_of_those_who_are_there_and_goes_on_when_nobody_is() {
        let (clock, _hand) = Clock::manual(NOON);
        clock.restore_offset(-1000);
        let voices = Voices::new(clock.clone());
        let silent = voices.join();
        assert_eq!(clock.offset_millis(), -1000, "who says nothing turns nothing");
        let (wrong, right) = (voices.join(), voices.join());
        right.says(NOON);
        wrong.says(NOON + HOUR);
        assert_eq!(clock.corrected(), NOON, "of two, the one nearer to what an earlier life knew");
        drop(right);
        let right = voices.join();
        right.says(NOON);
        assert_eq!(clock.corrected(), NOON, "whichever came first");
        drop((silent, right));
        assert_eq!(clock.corrected(), NOON + HOUR, "it is the only one");
        drop(wrong);
        assert_eq!(clock.corrected(), NOON + HOUR);
    }
}
