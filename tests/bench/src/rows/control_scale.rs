//! What a coordinator costs with many nodes: one real process, with simulated nodes and gateways.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};

use super::Bench;
use crate::{
    control::{Crowd, Seen},
    ground::{Ground, free_address},
    server::{Doors, Layout, Server},
    statistics::Spread,
    table::{Bound, Line},
};

const SIZES: [usize; 3] = [100, 1_000, 10_000];
const GATEWAYS: usize = 20;
/// Of a thousand nodes one changes its state each second.
const CHANGES: f64 = 0.001;
/// After all have joined, until what they brought with them has settled.
const SETTLE: Duration = Duration::from_secs(3);
const WATCH: Duration = Duration::from_secs(20);
const KIB: f64 = 1024.0;

pub(super) fn measure(bench: &Bench<'_>) -> Result<()> {
    let taken = bench.take_turns(1, SIZES.len(), |size| at(&bench.ground, SIZES[size]))?;
    let taken: Vec<Taken> = taken.into_iter().flatten().collect();
    let costs: Vec<String> = taken.iter().map(Taken::costs).collect();
    for pair in taken.windows(2) {
        bench.tell(Line {
            work: format!("{} nodes, {GATEWAYS} gateways", pair[1].nodes),
            figure: "CPU per node, vs a tenth of the nodes",
            bound: Bound::AtMost(1.0),
            measured: Spread::of(&[pair[1].cpu_per_node() / pair[0].cpu_per_node()]),
            floor: "",
            detail: costs.join("; "),
        });
    }
    if let Some(largest) = taken.last() {
        largest.tell(bench);
    }
    Ok(())
}

/// What was measured at one size.
#[derive(Debug)]
struct Taken {
    nodes: usize,
    connections: usize,
    /// Cores that the coordinator kept busy.
    cores: f64,
    /// By how much its memory grew, in bytes.
    memory: f64,
    /// From the first registration until all were welcomed, and until every gateway had all.
    joined: (Duration, Duration),
    /// Whether the store's file was written while nothing but beats and changes of state came.
    stored: bool,
    seen: Seen,
}

#[allow(clippy::cast_precision_loss, reason = "counts of nodes and bytes are far below 2^52")]
impl Taken {
    fn cpu_per_node(&self) -> f64 {
        self.cores * 1e6 / self.nodes as f64
    }

    fn memory_per_node(&self) -> f64 {
        self.memory / KIB / self.nodes as f64
    }

    fn costs(&self) -> String {
        format!("at {}: {:.0} µs/s, {:.1} KiB a node", self.nodes, self.cpu_per_node(), self.memory_per_node())
    }

    fn tell(&self, bench: &Bench<'_>) {
        let line = |figure, bound, measured, detail| {
            let work = format!("{} nodes, {GATEWAYS} gateways", self.nodes);
            bench.tell(Line { work, figure, bound, measured: Spread::of(&[measured]), floor: "", detail });
        };
        let connections = format!("{} connections", self.connections);
        line("coordinator's CPU, cores", Bound::AtMost(1.0), self.cores, connections);
        line("coordinator's memory, KiB a node", Bound::AtMost(40.0), self.memory_per_node(), String::new());
        let (half, most) = (self.seen.delay_millis(0.5), self.seen.delay_millis(1.0));
        let (changes, pause) = (self.seen.changes, self.seen.pause.as_millis());
        let missed = changes.saturating_sub(self.seen.delays.len());
        let detail = format!(
            "median {half:.0} ms, longest {most:.0} ms; {changes} changes, {missed} of them overtaken by the next; the bench's own longest pause {pause} ms"
        );
        line(
            "a change at the last of all gateways, p99, ms",
            Bound::AtMost(250.0),
            self.seen.delay_millis(0.99),
            detail,
        );
        let age = self.seen.age.as_secs_f64();
        line("age of a load at a gateway, p99, s", Bound::AtMost(2.0), age, String::new());
        line("whether the store was written to", Bound::AtMost(0.0), f64::from(u8::from(self.stored)), String::new());
        let alarms = self.seen.false_alarms as f64;
        let lost = format!("at all gateways together; {} streams of nodes lost", self.seen.lost);
        line("living nodes called SUSPECT or DOWN", Bound::AtMost(0.0), alarms, lost);
        let (welcomed, known) = (self.joined.0.as_secs_f64(), self.joined.1.as_secs_f64());
        let detail = format!("at every gateway after {known:.1} s; all at once, each stored");
        line("until all nodes are welcomed, s", Bound::None, welcomed, detail);
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of nodes and bytes are far below 2^52")]
fn at(ground: &Ground<'_>, nodes: usize) -> Result<Taken> {
    let folder = ground.folder("control")?;
    let (store, address) = (folder.join("store.redb"), free_address()?);
    let mut command = ground.role("coordinator");
    command.args(["--listen", &address.to_string(), "--store"]).arg(format!("embedded:{}", store.display()));
    let coordinator = Server::start("ferry", command, Doors::only(address), &folder, Layout::USUAL)?;
    let runtime = |threads| tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let (runtime, listening) = (runtime(2)?, runtime(1)?);
    let taken = runtime.block_on(async {
        let mut crowd = Crowd::gather(address, nodes, GATEWAYS, listening.handle().clone()).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = coordinator.family.memory()?.resident;
        let joined = crowd.join().await?;
        tokio::time::sleep(SETTLE).await;
        let (written, used) = (changed(&store)?, coordinator.family.cpu_time()?);
        let begun = std::time::Instant::now();
        let seen = crowd.watch(nodes as f64 * CHANGES, WATCH).await?;
        let cpu = coordinator.family.cpu_time()?.since(&used);
        let cores = cpu.as_secs_f64() / begun.elapsed().as_secs_f64();
        let memory = coordinator.family.memory()?.resident.saturating_sub(before) as f64;
        crowd.all_seen().await?;
        let stored = changed(&store)? != written;
        Ok(Taken { nodes, connections: crowd.connections, cores, memory, joined, stored, seen })
    });
    runtime.shutdown_background();
    listening.shutdown_background();
    taken
}

/// When the file was last written to.
fn changed(store: &Path) -> Result<std::time::SystemTime> {
    fs::metadata(store)?.modified().context("the file system keeps the time of the last write")
}
