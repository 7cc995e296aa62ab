//! What clients cost in memory: ten thousand that are idle, a thousand that read slowly.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Bench;
use crate::{
    load::{Fleet, Job, SlowReaders},
    procfs::{Memory, tcp_memory},
    server::{Layout, Server, pause},
    site::{KIB, MIB, target},
    statistics::Spread,
    table::{Bound, Line},
};

/// Memory hardly varies; each round has new servers.
const ROUNDS: usize = 3;

pub(super) const IDLE: usize = 10_000;
/// As many at a time ask for their first file: idle clients of a real server did not all come in one moment.
const GROUP: usize = 100;

const SLOW: usize = 1_000;
/// Bytes per second.
const PACE: usize = 100 * 1024;
const READING: Duration = Duration::from_secs(4);

pub(super) fn idle(bench: &Bench<'_>) -> Result<()> {
    let taken = bench.take_turns(ROUNDS, 2, |contender| {
        let (server, mut idle) = (contender_of(bench, contender)?, Idle::default());
        idle.grow(&server, IDLE)?;
        idle.memory_of(&server)
    })?;
    tell(bench, "10,000 idle connections", (0.6, "0.40"), &taken);
    Ok(())
}

/// Connections that each had one small file and are kept alive.
#[derive(Debug, Default)]
pub(super) struct Idle(Vec<Fleet>);

impl Idle {
    /// Adds some until there are so many.
    pub(super) fn grow(&mut self, server: &Server, connections: usize) -> Result<()> {
        while self.0.len() * GROUP < connections {
            let mut fleet = Fleet::connect(&Job::file(server.doors.http, &target(KIB), KIB, GROUP))?;
            fleet.run(Duration::ZERO)?;
            self.0.push(fleet);
        }
        Ok(())
    }

    /// The server's memory with these connections.
    pub(super) fn memory_of(&self, server: &Server) -> Result<Memory> {
        pause(Duration::from_millis(500));
        server.family.memory()
    }
}

pub(super) fn slow(bench: &Bench<'_>) -> Result<()> {
    let taken = bench.take_turns(ROUNDS, 2, |contender| {
        let server = contender_of(bench, contender)?;
        let before = tcp_memory()?;
        let job = Job::file(server.doors.http, &target(100 * MIB), 100 * MIB, SLOW);
        let mut readers = SlowReaders::connect(&job, PACE)?;
        let share = readers.read(READING)?;
        ensure!(share > 0.9, "the readers got {share:.2} of what they would take: they are no slow readers");
        let (process, tcp) = (server.family.memory()?, tcp_memory()?.saturating_sub(before));
        drop((readers, server));
        settle(before)?;
        Ok((process, tcp))
    })?;
    let process: Vec<Vec<Memory>> = taken.iter().map(|turns| turns.iter().map(|turn| turn.0).collect()).collect();
    tell(bench, "1,000 readers at 100 KiB/s", (0.3, "0.15"), &process);
    let tcp = mebibytes(&taken, |turn| turn.1);
    bench.tell(Line {
        work: "1,000 readers at 100 KiB/s".to_owned(),
        figure: "kernel TCP memory vs nginx",
        bound: Bound::AtMost(0.15),
        measured: Spread::of_ratios(&tcp[1], &tcp[0]),
        floor: "0.12",
        detail: format!("ferry {:.1} MiB, nginx {:.1} MiB", Spread::of(&tcp[1]).median, Spread::of(&tcp[0]).median),
    });
    Ok(())
}

/// Tells the memory of nginx's and ferry's processes.
fn tell(bench: &Bench<'_>, work: &str, (bound, floor): (f64, &'static str), taken: &[Vec<Memory>]) {
    let resident = mebibytes(taken, |memory| memory.resident);
    let proportional = mebibytes(taken, |memory| memory.proportional);
    let (ferry, nginx) = (Spread::of(&resident[1]).median, Spread::of(&resident[0]).median);
    bench.tell(Line {
        work: work.to_owned(),
        figure: "process memory vs nginx",
        bound: Bound::AtMost(bound),
        measured: Spread::of_ratios(&resident[1], &resident[0]),
        floor,
        detail: format!(
            "ferry {ferry:.1} MiB, nginx {nginx:.1} MiB; shared pages once: {:.1}, {:.1}",
            Spread::of(&proportional[1]).median,
            Spread::of(&proportional[0]).median
        ),
    });
}

/// A new server: nginx, ferry.
fn contender_of(bench: &Bench<'_>, contender: usize) -> Result<Server> {
    if contender == 0 { bench.ground.nginx(Layout::USUAL) } else { bench.ground.ferry(Layout::USUAL) }
}

/// Waits until TCP has given back what the last connections held.
fn settle(before: u64) -> Result<()> {
    let begun = Instant::now();
    while tcp_memory()? > before + 16 * MIB {
        ensure!(begun.elapsed() < Duration::from_secs(20), "TCP keeps memory of connections that are closed");
        pause(Duration::from_millis(50));
    }
    Ok(())
}

fn mebibytes<T>(taken: &[Vec<T>], bytes: impl Fn(&T) -> u64) -> Vec<Vec<f64>> {
    taken.iter().map(|turns| turns.iter().map(|turn| in_mebibytes(bytes(turn))).collect()).collect()
}

#[allow(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
pub(super) fn in_mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}
