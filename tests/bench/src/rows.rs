//! The rows of the table, each measured by a function of its own.

mod cache_crowd;
mod cache_hit;
mod cache_miss;
mod control_scale;
mod failover;
mod files;
mod h2;
mod memory;
mod neighbours;
mod one_core;
mod plots;
mod redirect;
mod second_core;
mod storm;
mod tail;

use std::cell::{Cell, RefCell};

use anyhow::Result;

use crate::{ground::Ground, machine::Watch, measure::interleave, table::Line};

/// Cores that others may keep busy before a figure is in doubt.
const QUIET: f64 = 0.1;

/// What a row needs to be measured, and where its lines go.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) ground: Ground<'a>,
    lines: RefCell<Vec<Line>>,
    /// Drawings, by the names of their files.
    plots: RefCell<Vec<(&'static str, String)>>,
    watch: RefCell<Watch>,
    /// Cores that others kept busy in the worst of the last rounds.
    others: Cell<f64>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(ground: Ground<'a>) -> Result<Self> {
        Ok(Self {
            ground,
            lines: RefCell::default(),
            plots: RefCell::default(),
            watch: RefCell::new(Watch::start()?),
            others: Cell::new(0.0),
        })
    }

    /// Gives each of `contenders` its turn in each round, on a quiet machine. For each contender, what its turns gave.
    pub(crate) fn interleave<T>(
        &self,
        rounds: usize,
        contenders: usize,
        turn: impl FnMut(usize) -> Result<T>,
    ) -> Result<Vec<Vec<T>>> {
        let rounds = interleave((rounds, contenders), QUIET, turn, || self.watch.borrow_mut().others())?;
        self.others.set(rounds.others);
        Ok(rounds.taken)
    }

    /// The same for what does not depend on who else is busy, such as memory.
    pub(crate) fn take_turns<T>(
        &self,
        rounds: usize,
        contenders: usize,
        turn: impl FnMut(usize) -> Result<T>,
    ) -> Result<Vec<Vec<T>>> {
        self.others.set(0.0);
        Ok(interleave((rounds, contenders), QUIET, turn, || Ok(0.0))?.taken)
    }

    /// Shows a figure from the last rounds, and keeps it for the table. Says so where others kept the machine busy.
    #[allow(clippy::print_stdout, reason = "what this program is for")]
    pub(crate) fn tell(&self, line: Line) {
        println!("{line}");
        let others = self.others.get();
        if others > QUIET {
            println!("    (not to be trusted: others kept up to {others:.2} cores busy meanwhile)");
        }
        self.lines.borrow_mut().push(line);
    }

    /// Keeps a drawing.
    pub(crate) fn keep(&self, file: &'static str, drawing: String) {
        self.plots.borrow_mut().push((file, drawing));
    }

    /// All figures and all drawings.
    pub(crate) fn results(self) -> (Vec<Line>, Vec<(&'static str, String)>) {
        (self.lines.into_inner(), self.plots.into_inner())
    }
}

/// A row that can be asked for by name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) measure: fn(&Bench<'_>) -> Result<()>,
}

/// In the order in which they are measured.
pub(crate) const ROWS: [Row; 18] = [
    Row { name: "plain", about: "files over HTTP/1.1: server CPU", measure: files::plain },
    Row { name: "tls", about: "files over TLS 1.3: server CPU", measure: files::tls },
    Row { name: "h2", about: "files over HTTP/2 and TLS 1.3: server CPU", measure: h2::measure },
    Row { name: "one-core", about: "one worker on one core: requests per second", measure: one_core::measure },
    Row { name: "tail", about: "moderate open-loop load: p99", measure: tail::measure },
    Row { name: "idle", about: "10,000 idle connections: memory", measure: memory::idle },
    Row { name: "slow", about: "1,000 slow readers: memory", measure: memory::slow },
    Row { name: "second-core", about: "two workers against one: work per CPU", measure: second_core::measure },
    Row { name: "cold", about: "100 readers of files on the disk: p99 of small ones", measure: neighbours::cold },
    Row { name: "beside", about: "a transfer of 1 GiB: p99 of small ones", measure: neighbours::large },
    Row { name: "redirect", about: "the gateway's redirect: server CPU, p99", measure: redirect::measure },
    Row { name: "cache-hit", about: "what a cache has: server CPU", measure: cache_hit::measure },
    Row { name: "cache-miss", about: "what a cache fetches: server CPU, first byte", measure: cache_miss::measure },
    Row {
        name: "cache-crowd",
        about: "100 clients, one miss: origin, first byte, memory",
        measure: cache_crowd::measure,
    },
    Row { name: "control-scale", about: "10,000 nodes at one coordinator", measure: control_scale::measure },
    Row { name: "failover", about: "a node is gone: the last redirect that names it", measure: failover::measure },
    Row { name: "storm", about: "200 clients while nodes are killed: what fails", measure: storm::measure },
    Row { name: "plots", about: "the two plots: cost by size, memory by connections", measure: plots::measure },
];

/// Not among those that run unless they are asked for by name.
pub(crate) const LONG: [Row; 1] =
    [Row { name: "storm-long", about: "the same with 50 kills, for ten minutes", measure: storm::measure_long }];
