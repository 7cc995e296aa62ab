//! What clients cost in memory: ten thousand that are idle, a thousand that read slowly.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Bench;
use crate::{
    load::{Fleet, Job, SlowReaders},
    procfs::tcp_memory,
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
    let memory = bench.interleave(ROUNDS, 2, |contender| {
        let (server, mut idle) = (contender_of(bench, contender)?, Idle::default());
        idle.grow(&server, IDLE)?;
        idle.memory_of(&server)
    })?;
    bench.tell(Line {
        work: "10,000 idle connections".to_owned(),
        figure: "process memory vs nginx",
        bound: Bound::AtMost(0.6),
        measured: Spread::of_ratios(&memory[1], &memory[0]),
        floor: "0.40",
        detail: mebibytes(&memory),
    });
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

    /// The server's memory in MiB with these connections.
    pub(super) fn memory_of(&self, server: &Server) -> Result<f64> {
        pause(Duration::from_millis(500));
        Ok(in_mebibytes(server.family.memory()?))
    }
}

pub(super) fn slow(bench: &Bench<'_>) -> Result<()> {
    let taken = bench.interleave(ROUNDS, 2, |contender| {
        let server = contender_of(bench, contender)?;
        let before = tcp_memory()?;
        let job = Job::file(server.doors.http, &target(100 * MIB), 100 * MIB, SLOW);
        let mut readers = SlowReaders::connect(&job, PACE)?;
        let share = readers.read(READING)?;
        ensure!(share > 0.9, "the readers got {share:.2} of what they would take: they are no slow readers");
        let (process, tcp) = (server.family.memory()?, tcp_memory()?.saturating_sub(before));
        drop((readers, server));
        settle(before)?;
        Ok((in_mebibytes(process), in_mebibytes(tcp)))
    })?;
    let process: Vec<Vec<f64>> = taken.iter().map(|turns| turns.iter().map(|turn| turn.0).collect()).collect();
    let tcp: Vec<Vec<f64>> = taken.iter().map(|turns| turns.iter().map(|turn| turn.1).collect()).collect();
    for (figure, memory, bound, floor) in
        [("process memory vs nginx", process, 0.3, "0.15"), ("kernel TCP memory vs nginx", tcp, 0.15, "0.12")]
    {
        bench.tell(Line {
            work: "1,000 readers at 100 KiB/s".to_owned(),
            figure,
            bound: Bound::AtMost(bound),
            measured: Spread::of_ratios(&memory[1], &memory[0]),
            floor,
            detail: mebibytes(&memory),
        });
    }
    Ok(())
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

fn mebibytes(memory: &[Vec<f64>]) -> String {
    format!("ferry {:.1} MiB, nginx {:.1} MiB", Spread::of(&memory[1]).median, Spread::of(&memory[0]).median)
}

#[allow(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
fn in_mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}
