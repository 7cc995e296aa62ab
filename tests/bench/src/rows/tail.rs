//! The 99th percentile of latency under a moderate load: open loop, a third of what nginx could do.
//!
//! The bound is nginx's spread against itself: the factor by which its two turns of a round differ, the median of the rounds.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use crate::{
    load::Job,
    measure::{Cost, ROUNDS, THREADS, p99_micros},
    server::{Layout, Server},
    site::{KIB, MIB, size_name, target},
    statistics::Spread,
    table::{Bound, Line},
};

/// Size, and how long a turn takes: above 10 MiB a percentile would take minutes.
const SIZES: [(u64, Duration); 5] = [
    (KIB, Duration::from_millis(800)),
    (16 * KIB, Duration::from_millis(800)),
    (100 * KIB, Duration::from_millis(800)),
    (MIB, Duration::from_millis(1000)),
    (10 * MIB, Duration::from_millis(2000)),
];
const CLIENTS: usize = 64;
const MODERATE: f64 = 0.3;

pub(super) fn measure(bench: &Bench<'_>) -> Result<()> {
    let servers = (bench.ground.nginx(Layout::USUAL)?, bench.ground.ferry(Layout::USUAL)?);
    for (size, turn) in SIZES {
        let job = |server: &Server| Job::file(server.doors.http, &target(size), size, CLIENTS);
        compare(bench, [&servers.0, &servers.1], &format!("plain, {}", size_name(size)), turn, job)?;
    }
    Ok(())
}

/// The line for some work: nginx's, then ferry's latencies under the same load.
pub(super) fn compare(
    bench: &Bench<'_>,
    [nginx, ferry]: [&Server; 2],
    work: &str,
    turn: Duration,
    job: impl Fn(&Server) -> Job,
) -> Result<()> {
    let rate = Cost::of(&nginx.family, &job(nginx), THREADS)?.requests_per_second() * MODERATE;
    // nginx at both ends of a round: its two turns are as far apart as any turns of it and of ferry.
    let contenders = [nginx, ferry, nginx];
    let p99 =
        bench.interleave(ROUNDS, contenders.len(), |contender| p99_micros(&job(contenders[contender]), rate, turn))?;
    let itself: Vec<f64> = p99[0].iter().zip(&p99[2]).map(|(one, other)| (one / other).max(other / one)).collect();
    let itself = Spread::of(&itself).median;
    bench.tell(Line {
        work: format!("{work}, {rate:.0} requests/s"),
        figure: "p99 vs nginx",
        bound: Bound::AtMost(itself),
        measured: Spread::of_ratios(&p99[1], &p99[0]),
        floor: "",
        detail: format!(
            "ferry {:.0} µs, nginx {:.0} µs; two turns of nginx differ by {itself:.2}",
            Spread::of(&p99[1]).median,
            Spread::of(&p99[0]).median
        ),
    });
    Ok(())
}
