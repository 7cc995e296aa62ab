//! How a figure is taken: rounds that alternate between the servers, and the server's CPU time around each.

use std::time::Duration;

use anyhow::Result;

use crate::{
    load::{Fleet, Job, Tally},
    procfs::{CpuTime, Family},
    server::pause,
    statistics::percentile,
};

/// Rounds of each figure, unless its row says otherwise.
pub(crate) const ROUNDS: usize = 6;

/// One server's turn in a round.
const TURN: Duration = Duration::from_millis(600);

/// Work before each turn that is not measured: windows open, caches warm, branch predictors learn.
const WARM_UP: Duration = Duration::from_millis(100);

/// Work, and what it cost the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) tally: Tally,
    pub(crate) cpu: Duration,
}

impl Cost {
    /// Of a closed loop for one turn.
    pub(crate) fn of(family: &Family, job: &Job) -> Result<Self> {
        let mut fleet = Fleet::connect(job)?;
        fleet.run(WARM_UP)?;
        Self::around(family, || fleet.run(TURN))
    }

    /// Of some work.
    pub(crate) fn around(family: &Family, work: impl FnOnce() -> Result<Tally>) -> Result<Self> {
        let before = settled(family)?;
        let tally = work()?;
        let cpu = settled(family)?.since(&before);
        Ok(Self { tally, cpu })
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

    /// How many cores the server kept busy.
    pub(crate) fn cores(&self) -> f64 {
        self.cpu.as_secs_f64() / self.tally.elapsed.as_secs_f64()
    }
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

/// Gives each of `contenders` its turn in each round, in an order that turns around from round to round (A B, B A, …), so that
/// a machine that gets slower or faster favours nobody. For each contender, what its turns gave.
pub(crate) fn interleave<T>(
    rounds: usize,
    contenders: usize,
    mut turn: impl FnMut(usize) -> Result<T>,
) -> Result<Vec<Vec<T>>> {
    let mut taken: Vec<Vec<T>> = (0..contenders).map(|_| Vec::with_capacity(rounds)).collect();
    for round in 0..rounds {
        for place in 0..contenders {
            let contender = if round % 2 == 0 { place } else { contenders - 1 - place };
            taken[contender].push(turn(contender)?);
        }
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::interleave;

    #[test]
    fn rounds_turn_around_and_give_each_its_turn() {
        let mut order = Vec::new();
        let taken = interleave(3, 3, |contender| {
            order.push(contender);
            Ok(order.len())
        });
        assert_eq!(order, [0, 1, 2, 2, 1, 0, 0, 1, 2]);
        assert_eq!(taken.expect("no turn fails"), [[1, 6, 7], [2, 5, 8], [3, 4, 9]]);
    }
}
