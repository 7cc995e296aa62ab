//! Open loop: requests fall due at moments of their own, whether or not the server keeps up, as those of many clients do.
//! Latency counts from the moment a request was due, so a stall is felt by all that fell due during it.

use std::{
    collections::VecDeque,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::Result;
use rustix::{
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime},
};

use super::closed::{EVENTS, Fleet, wait};

/// Names the timer among the connections' numbers.
const TIMER: u64 = u64::MAX;

/// Moments at random, so many a second on average: the gaps of a Poisson process, the same in every run.
#[derive(Debug)]
struct Arrivals {
    next: Duration,
    rate: f64,
    end: Duration,
    state: u64,
}

impl Arrivals {
    fn new(rate: f64, end: Duration) -> Self {
        Self { next: Duration::ZERO, rate, end, state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// The next moment, if it is before the end.
    fn next(&self) -> Option<Duration> {
        (self.next < self.end).then_some(self.next)
    }

    #[allow(clippy::cast_precision_loss, reason = "53 bits are random enough")]
    fn advance(&mut self) {
        // xorshift64 (Marsaglia 2003); -ln(u) is exponentially distributed, u in (0, 1].
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let uniform = ((self.state >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        self.next += Duration::from_secs_f64(-uniform.ln() / self.rate);
    }
}

impl Fleet {
    /// Asks `rate` times a second for `duration`, each time on the connection that has been idle for longest. The latencies,
    /// in nanoseconds; a request waits (and that counts) where no connection is idle.
    pub(crate) fn open_loop(&mut self, rate: f64, duration: Duration) -> Result<Vec<u64>> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        epoll::add(&self.epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        let mut arrivals = Arrivals::new(rate, duration);
        let mut idle: VecDeque<usize> = (0..self.connections.len()).collect();
        let mut waiting = VecDeque::new();
        let mut due = vec![Duration::ZERO; self.connections.len()];
        let (mut latencies, mut armed) = (Vec::new(), None);
        let mut events = [MaybeUninit::uninit(); EVENTS];
        let begun = Instant::now();
        loop {
            while let Some(moment) = arrivals.next().filter(|moment| *moment <= begun.elapsed()) {
                waiting.push_back(moment);
                arrivals.advance();
            }
            while !waiting.is_empty()
                && let Some(number) = idle.pop_front()
                && let Some(moment) = waiting.pop_front()
            {
                due[number] = moment;
                self.ask(number)?;
            }
            let next = arrivals.next();
            if next.is_none() && idle.len() == self.connections.len() {
                break;
            }
            if next != armed {
                arm(&timer, next.map(|moment| moment.saturating_sub(begun.elapsed())))?;
                armed = next;
            }
            for event in wait(&self.epoll, &mut events)? {
                if event.data.u64() == TIMER {
                    clear(&timer)?;
                    continue;
                }
                let number = usize::try_from(event.data.u64())?;
                if self.connections[number].receive(&mut self.scratch)?.is_some() {
                    let latency = begun.elapsed().saturating_sub(due[number]);
                    latencies.push(u64::try_from(latency.as_nanos())?);
                    idle.push_back(number);
                }
            }
        }
        epoll::delete(&self.epoll, &timer)?;
        Ok(latencies)
    }
}

/// Has the timer go off after `delay`, or not at all.
fn arm(timer: &OwnedFd, delay: Option<Duration>) -> Result<()> {
    // timerfd_settime(2): zero would disarm it.
    let delay = delay.map_or(Duration::ZERO, |delay| delay.max(Duration::from_nanos(1)));
    let none = Timespec { tv_sec: 0, tv_nsec: 0 };
    let once = Itimerspec { it_interval: none, it_value: Timespec::try_from(delay)? };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
    Ok(())
}

/// Reads how often the timer went off, so that it is not heard again.
fn clear(timer: &OwnedFd) -> Result<()> {
    match rustix::io::read(timer, &mut [0_u8; 8]) {
        Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Arrivals;

    #[test]
    fn as_many_requests_fall_due_as_were_asked_for_and_always_at_the_same_moments() {
        let moments = || {
            let mut arrivals = Arrivals::new(1000.0, Duration::from_secs(20));
            let mut moments = Vec::new();
            while let Some(moment) = arrivals.next() {
                moments.push(moment);
                arrivals.advance();
            }
            moments
        };
        let first = moments();
        // 20,000 on average, with a standard deviation of 141.
        assert!((19_500..20_500).contains(&first.len()), "{}", first.len());
        assert!(first.is_sorted());
        assert_eq!(first, moments());
    }
}
