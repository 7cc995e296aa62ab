//! How a figure is taken: rounds that alternate between the servers, and the server's CPU time around each.

use std::{thread, time::Duration};

use anyhow::{Result, bail};

use crate::{
    load::{Fleet, Job, Rest, Tally},
    procfs::{CpuTime, Family, own_cpu_time},
    server::pause,
    statistics::percentile,
};

/// Rounds of each figure, unless its row says otherwise.
pub(crate) const ROUNDS: usize = 6;

/// Threads of clients, where both cores shall be full.
pub(crate) const THREADS: usize = 2;

/// One server's turn in a round.
const TURN: Duration = Duration::from_millis(600);

/// Work before each turn that is not measured: windows open, caches warm, branch predictors learn.
const WARM_UP: Duration = Duration::from_millis(100);

/// Work, and what it cost the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) tally: Tally,
    pub(crate) cpu: Duration,
    /// What it cost the threads that asked, where they are this program's.
    client: Duration,
}

impl Cost {
    /// Of a closed loop for one turn. With a client thread for each core both cores are always full, and what is measured is
    /// the server's work and not how often it goes to sleep; with one, the server has the other core for itself.
    pub(crate) fn of(family: &Family, job: &Job, threads: usize) -> Result<Self> {
        let mut fleets = connect(job, threads)?;
        at_once(&mut fleets, WARM_UP)?;
        let mut client = Duration::ZERO;
        let cost = Self::around(family, || {
            let (tally, used) = at_once(&mut fleets, TURN)?;
            client = used;
            Ok(tally)
        })?;
        Ok(Self { client, ..cost })
    }

    /// Of some work.
    pub(crate) fn around(family: &Family, work: impl FnOnce() -> Result<Tally>) -> Result<Self> {
        let before = settled(family)?;
        let tally = work()?;
        let cpu = settled(family)?.since(&before);
        Ok(Self { tally, cpu, client: Duration::ZERO })
    }

    /// Microseconds of server CPU per request.
    #[allow(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    pub(crate) fn micros_per_request(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.tally.requests as f64
    }

    /// Requests per second of wall-clock time.
    #[allow(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    pub(crate) fn requests_per_second(&self) -> f64 {
        self.tally.requests as f64 / self.tally.elapsed.as_secs_f64()
    }

    /// Which share of a core the server kept busy, and which the client.
    pub(crate) fn shares(&self) -> [f64; 2] {
        [self.cpu, self.client].map(|used| used.as_secs_f64() / self.tally.elapsed.as_secs_f64())
    }
}

/// The clients of a job, shared out among so many fleets.
fn connect(job: &Job, fleets: usize) -> Result<Vec<Fleet>> {
    let connections = |fleet| job.connections / fleets + usize::from(fleet < job.connections % fleets);
    (0..fleets).map(|fleet| Fleet::connect(&Job { connections: connections(fleet), ..job.clone() })).collect()
}

/// Has each fleet run on a thread of its own. What all of them did, and the CPU time that they used.
fn at_once(fleets: &mut [Fleet], duration: Duration) -> Result<(Tally, Duration)> {
    let done = on_threads(fleets, |fleet| {
        let before = own_cpu_time()?;
        let tally = fleet.run(duration)?;
        Ok((tally, own_cpu_time()?.saturating_sub(before)))
    })?;
    Ok(done
        .into_iter()
        .fold((Tally::default(), Duration::ZERO), |(sum, used), (tally, more)| (sum.and(tally), used + more)))
}

/// Has each fleet work on a thread of its own.
fn on_threads<T: Send>(fleets: &mut [Fleet], work: impl Fn(&mut Fleet) -> Result<T> + Sync) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let running: Vec<_> = fleets.iter_mut().map(|fleet| scope.spawn(|| work(fleet))).collect();
        let joined = running.into_iter().map(thread::ScopedJoinHandle::join);
        joined.map(|done| done.unwrap_or_else(|_| bail!("a client thread panicked"))).collect()
    })
}

/// Has all clients of a job ask once, at the same time. For each the nanoseconds to the first byte of its answer.
pub(crate) fn crowd(job: &Job, rest: Rest) -> Result<Vec<u64>> {
    Ok(on_threads(&mut connect(job, THREADS)?, |fleet| fleet.first_bytes(Duration::ZERO, rest))?.concat())
}

/// The 99th percentile of the latencies of an open loop, in microseconds.
#[allow(clippy::cast_precision_loss, reason = "latencies are far below 2^52 ns")]
pub(crate) fn p99_micros(job: &Job, rate: f64, duration: Duration) -> Result<f64> {
    let mut fleet = Fleet::connect(job)?;
    fleet.run(Duration::ZERO)?;
    let mut latencies = fleet.open_loop(rate, duration)?;
    Ok(percentile(&mut latencies, 0.99) as f64 / 1e3)
}

/// The CPU time, once the server has gone to sleep after its last answer.
fn settled(family: &Family) -> Result<CpuTime> {
    pause(Duration::from_millis(3));
    family.cpu_time()
}

/// What the turns of some rounds gave, by contender, and how busy others were meanwhile.
#[derive(Debug, PartialEq)]
pub(crate) struct Rounds<T> {
    pub(crate) taken: Vec<Vec<T>>,
    /// Cores that others kept busy in the worst of these rounds.
    pub(crate) others: f64,
}

/// Gives each of `contenders` its turn in each round, in an order that turns around from round to round (A B, B A, …), so that
/// a machine that gets slower or faster favours nobody. A round in which others kept more than `quiet` cores busy is taken
/// again, as far as half as many again go; the quietest ones count.
pub(crate) fn interleave<T>(
    (rounds, contenders): (usize, usize),
    quiet: f64,
    mut turn: impl FnMut(usize) -> Result<T>,
    mut others: impl FnMut() -> Result<f64>,
) -> Result<Rounds<T>> {
    let mut all: Vec<(f64, Vec<T>)> = Vec::new();
    let mut undisturbed = 0;
    others()?; // from here on
    while undisturbed < rounds && all.len() < rounds + rounds / 2 {
        let mut places: Vec<usize> = (0..contenders).collect();
        if all.len() % 2 == 1 {
            places.reverse();
        }
        let mut turns = Vec::with_capacity(contenders);
        for contender in places {
            turns.push(turn(contender)?);
        }
        if all.len() % 2 == 1 {
            turns.reverse();
        }
        let busy = others()?;
        undisturbed += usize::from(busy <= quiet);
        all.push((busy, turns));
    }
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    all.truncate(rounds);
    let worst = all.last().map_or(0.0, |(busy, _)| *busy);
    let mut taken: Vec<Vec<T>> = (0..contenders).map(|_| Vec::with_capacity(rounds)).collect();
    for (_, turns) in all {
        for (turns_of, turn) in taken.iter_mut().zip(turns) {
            turns_of.push(turn);
        }
    }
    Ok(Rounds { taken, others: worst })
}

#[cfg(test)]
mod tests {
    use super::{Rounds, interleave};

    /// Two contenders, three rounds; what they give is when they were called. Others are as busy as `busy` says, by rounds.
    fn three_rounds(busy: &[f64]) -> (Rounds<usize>, Vec<usize>) {
        let (mut order, mut round) = (Vec::new(), 0);
        let rounds = interleave(
            (3, 2),
            0.1,
            |contender| {
                order.push(contender);
                Ok(order.len())
            },
            || {
                round += 1;
                Ok(if round == 1 { 9.0 } else { busy[round - 2] })
            },
        );
        (rounds.expect("no turn fails"), order)
    }

    #[test]
    fn rounds_turn_around_and_give_each_its_turn() {
        let (rounds, order) = three_rounds(&[0.0; 3]);
        assert_eq!(order, [0, 1, 1, 0, 0, 1]);
        assert_eq!(rounds, Rounds { taken: vec![vec![1, 4, 5], vec![2, 3, 6]], others: 0.0 });
    }

    #[test]
    fn a_disturbed_round_is_taken_again_and_does_not_count() {
        let (rounds, order) = three_rounds(&[0.0, 1.0, 0.05, 0.0]);
        assert_eq!(order.len(), 8);
        assert_eq!(rounds, Rounds { taken: vec![vec![1, 8, 5], vec![2, 7, 6]], others: 0.05 });
    }

    #[test]
    fn where_it_never_gets_quiet_the_quietest_rounds_count_and_say_so() {
        let (rounds, order) = three_rounds(&[0.5, 2.0, 0.4, 0.3]);
        assert_eq!(order.len(), 8, "half as many again, rounded down");
        assert_eq!(rounds, Rounds { taken: vec![vec![8, 5, 1], vec![7, 6, 2]], others: 0.5 });
    }
}
