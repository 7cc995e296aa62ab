//! A second core: whether two workers get as much work out of a second of CPU as one.

use anyhow::Result;

use super::Bench;
use crate::{
    load::Job,
    measure::{Cost, ROUNDS, THREADS},
    server::{Layout, Server},
    site::{KIB, MIB, size_name, target},
    statistics::Spread,
    table::{Bound, Line},
};

/// Size and clients.
const SIZES: [(u64, usize); 2] = [(16 * KIB, 64), (MIB, 16)];

pub(super) fn measure(bench: &Bench<'_>) -> Result<()> {
    let one = Layout { workers: 1, core: None };
    let ground = &bench.ground;
    let servers = [ground.ferry(one)?, ground.ferry(Layout::USUAL)?, ground.nginx(one)?, ground.nginx(Layout::USUAL)?];
    for (size, clients) in SIZES {
        let work = |server: &Server| {
            let job = Job::file(server.doors.http, &target(size), size, clients);
            Ok(Cost::of(&server.family, &job, THREADS)?.micros_per_request().recip())
        };
        let rates = bench.interleave(ROUNDS, servers.len(), |contender| work(&servers[contender]))?;
        bench.tell(Line {
            work: format!("a second core, {}", size_name(size)),
            figure: "work per server CPU, 2 workers vs 1",
            bound: Bound::AtLeast(0.95),
            measured: Spread::of_ratios(&rates[1], &rates[0]),
            floor: "",
            detail: format!("nginx {}", Spread::of_ratios(&rates[3], &rates[2])),
        });
    }
    Ok(())
}
