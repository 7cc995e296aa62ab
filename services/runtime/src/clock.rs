//! The process's clock, as an argument.
//!
//! Two times: [`Clock::now`] orders things within the process and only ever grows; [`Clock::corrected`] is the wall clock as
//! the coordinators see it, for expiries that others set. A node's own wall clock may be hours off.
//!
//! Once corrected, the time is counted by the monotonic clock from there, so that a wall clock that is set meanwhile changes nothing.
//! Over a restart only the wall clock lives on: the owner keeps [`Clock::offset_millis`] on disk and gives it back.

mod voices;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ferry_core::time::{Tick, UnixMillis};
use tokio::{sync::watch, time::Instant};
use tracing::warn;

pub use voices::{Voice, Voices};

/// Where the corrected time stands when nobody ever corrected it: an impossible base.
const UNCORRECTED: i64 = i64::MIN;

/// A wall clock that is off by so much is worth a line.
const FAR_OFF: Duration = Duration::from_secs(60);

/// A clock; clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
    /// The corrected Unix time, in milliseconds, of the origin of `now`.
    base: Arc<AtomicI64>,
    /// Whether the wall clock was far off when a coordinator last spoke.
    far_off: Arc<AtomicBool>,
}

/// Moves a clock by hand.
#[derive(Debug)]
pub struct Hand {
    time: watch::Sender<Manual>,
}

#[derive(Debug, Clone)]
enum Source {
    System { origin: Instant },
    Manual(watch::Receiver<Manual>),
}

#[derive(Debug, Clone, Copy)]
struct Manual {
    now: Tick,
    wall: UnixMillis,
}

impl Clock {
    /// The machine's clocks. In a test runtime with paused time, [`Self::now`] and [`Self::sleep_until`] are paused too.
    #[must_use]
    pub fn system() -> Self {
        Self::over(Source::System { origin: Instant::now() })
    }

    /// A clock that stands still until its hand moves it; both times move together.
    #[must_use]
    pub fn manual(wall: UnixMillis) -> (Self, Hand) {
        let (time, seen) = watch::channel(Manual { now: Tick::default(), wall });
        (Self::over(Source::Manual(seen)), Hand { time })
    }

    /// A clock that stands still for good.
    #[must_use]
    pub fn fixed(wall: UnixMillis) -> Self {
        Self::manual(wall).0
    }

    fn over(source: Source) -> Self {
        Self { source, base: Arc::new(AtomicI64::new(UNCORRECTED)), far_off: Arc::default() }
    }

    /// The monotonic clock.
    #[must_use]
    pub fn now(&self) -> Tick {
        match &self.source {
            Source::System { origin } => Tick::from_origin(origin.elapsed()),
            Source::Manual(time) => time.borrow().now,
        }
    }

    /// The same, where somebody looked at the time already.
    #[must_use]
    pub fn at(&self, moment: Instant) -> Tick {
        match &self.source {
            Source::System { origin } => Tick::from_origin(moment.saturating_duration_since(*origin)),
            Source::Manual(time) => time.borrow().now,
        }
    }

    /// The machine's own wall clock; before 1970 it is 1970.
    #[must_use]
    pub fn wall(&self) -> UnixMillis {
        match &self.source {
            Source::System { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Source::Manual(time) => time.borrow().wall,
        }
    }

    /// The wall clock as the coordinators see it; the machine's own as long as none has spoken.
    #[must_use]
    pub fn corrected(&self) -> UnixMillis {
        self.corrected_at(self.now())
    }

    /// The same, where it is that moment by [`Self::now`].
    #[must_use]
    pub fn corrected_at(&self, now: Tick) -> UnixMillis {
        match self.base.load(Ordering::Relaxed) {
            UNCORRECTED => self.wall(),
            base => UnixMillis(u64::try_from(base.saturating_add(millis(now))).unwrap_or(0)),
        }
    }

    /// Sets the corrected time: a coordinator says that it is `theirs` now. Where several speak, [`Voices`] decides between them.
    pub fn correct(&self, theirs: UnixMillis) {
        self.go_by(self.reading(theirs));
    }

    /// When the origin of `now` was, by a clock that shows `theirs`.
    fn reading(&self, theirs: UnixMillis) -> i64 {
        i64::try_from(theirs.0).unwrap_or(i64::MAX).saturating_sub(self.uptime_millis())
    }

    fn go_by(&self, reading: i64) {
        self.base.store(reading, Ordering::Relaxed);
    }

    /// Says that the wall clock is far off, once for as long as it is, however many coordinators speak how often.
    fn say_if_far_off(&self) {
        let offset = self.offset_millis();
        let far_off = u128::from(offset.unsigned_abs()) > FAR_OFF.as_millis();
        if !self.far_off.swap(far_off, Ordering::Relaxed) && far_off {
            warn!(
                offset_seconds = offset / 1000,
                "this machine's clock is far off: tokens are judged by the coordinators'"
            );
        }
    }

    /// How far the corrected time is ahead of the wall clock, in milliseconds: what a restart must not forget.
    #[must_use]
    pub fn offset_millis(&self) -> i64 {
        i64::try_from(i128::from(self.corrected().0) - i128::from(self.wall().0)).unwrap_or(0)
    }

    /// Takes up the offset of an earlier life, until a coordinator speaks.
    pub fn restore_offset(&self, millis: i64) {
        self.correct(UnixMillis(self.wall().0.saturating_add_signed(millis)));
    }

    /// Waits until `deadline`; forever if there is none. Cancelling the wait loses nothing.
    pub async fn sleep_until(&self, deadline: Option<Tick>) {
        let Some(deadline) = deadline else { return std::future::pending().await };
        match &self.source {
            Source::System { origin } => match origin.checked_add(deadline.since_origin()) {
                Some(instant) => tokio::time::sleep_until(instant).await,
                // Further away than the operating system can count.
                None => std::future::pending().await,
            },
            Source::Manual(time) => {
                // With the hand gone, nobody will ever move the clock again.
                if time.clone().wait_for(|time| time.now >= deadline).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Waits until `span` after this call (not after the first poll).
    pub fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send {
        self.sleep_until(Some(self.now() + span))
    }

    fn uptime_millis(&self) -> i64 {
        millis(self.now())
    }
}

fn millis(uptime: Tick) -> i64 {
    i64::try_from(uptime.since_origin().as_millis()).unwrap_or(i64::MAX)
}

impl Hand {
    /// Moves both times on.
    pub fn advance(&self, span: Duration) {
        self.time.send_modify(|time| {
            time.now = time.now + span;
            time.wall = time.wall + span;
        });
    }

    /// Sets the wall clock alone, as an administrator or NTP does.
    pub fn set_wall(&self, wall: UnixMillis) {
        self.time.send_modify(|time| time.wall = wall);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixMillis = UnixMillis(1_700_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn the_system_clock_follows_paused_time() {
        let clock = Clock::system();
        let start = clock.now();
        clock.sleep(HOUR).await;
        assert_eq!(clock.now().since(start), HOUR);
    }

    #[tokio::test(start_paused = true)]
    async fn no_deadline_means_forever() {
        let clock = Clock::system();
        let waited = tokio::time::timeout(HOUR, clock.sleep_until(None)).await;
        assert!(waited.is_err(), "it woke up");
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_when_its_hand_passes_their_deadline() {
        let (clock, hand) = Clock::manual(NOON);
        let sleeper = clock.sleep(HOUR);
        tokio::pin!(sleeper);
        hand.advance(HOUR - Duration::from_millis(1));
        assert!(futures_util::poll!(&mut sleeper).is_pending());
        hand.advance(Duration::from_millis(1));
        sleeper.await;
    }

    #[test]
    fn an_uncorrected_clock_is_the_wall_clock() {
        let (clock, hand) = Clock::manual(NOON);
        hand.advance(HOUR);
        assert_eq!(clock.corrected(), NOON + HOUR);
        assert_eq!(clock.offset_millis(), 0);
    }

    #[test]
    fn a_corrected_clock_does_not_follow_a_wall_clock_that_is_set() {
        let (clock, hand) = Clock::manual(NOON);
        clock.correct(NOON + HOUR);
        hand.set_wall(UnixMillis(0));
        hand.advance(HOUR);
        assert_eq!(clock.corrected(), NOON + HOUR + HOUR);
    }

    #[test]
    fn the_offset_survives_a_restart() {
        let (before, _) = Clock::manual(NOON);
        before.correct(UnixMillis(NOON.0 - 7_200_000));
        let kept = before.offset_millis();
        assert_eq!(kept, -7_200_000);
        let (after, _) = Clock::manual(NOON + HOUR);
        after.restore_offset(kept);
        assert_eq!(after.corrected(), UnixMillis(NOON.0 - 3_600_000));
    }
}
