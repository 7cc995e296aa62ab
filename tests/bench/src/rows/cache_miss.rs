//! What nobody has asked for before: what it costs the cache that fetches and keeps it, and how long its client waits.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Bench;
use crate::{
    cached::Cached,
    get::compare,
    load::{Fleet, Job, Rest},
    measure::{Cost, THREADS},
    origin::{Names, Origin},
    site::{MIB, size_name, target},
    statistics::{Spread, percentile},
    table::{Bound, Line},
};

/// Each turn has a new server, which takes as long as the turn itself.
const ROUNDS: usize = 5;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Misses {
    size: u64,
    /// Where CPU is measured.
    clients: usize,
    /// How long one client asks by itself afterwards: what it waits for is the cache and the origin, and nobody else.
    alone: Duration,
    /// The best first byte seen.
    floor: &'static str,
}

const MISSES: [Misses; 2] = [
    Misses { size: MIB, clients: 16, alone: Duration::from_millis(400), floor: "" },
    Misses { size: 100 * MIB, clients: 4, alone: Duration::from_millis(800), floor: "0.65" },
];

/// Both in microseconds.
#[derive(Debug)]
struct Turn {
    /// Of the server, for each request.
    cpu: f64,
    /// The median.
    first_byte: f64,
}

pub(super) fn measure(bench: &Bench<'_>) -> Result<()> {
    let (origin, names) = (bench.ground.origin()?, Names::default());
    for misses in MISSES {
        let (target, file) = (target(misses.size), bench.ground.site.file(misses.size));
        compare(origin.address(), &target, &file).context("asking the origin")?;
        let taken = bench.interleave(ROUNDS, 2, |contender| {
            let cache = Cached::contender(&bench.ground, &origin, contender)?;
            turn(bench, (&origin, &names), &cache, misses)
        })?;
        let line = |figure, bound, floor, of: fn(&Turn) -> f64| {
            let [nginx, ferry] = [0, 1].map(|contender: usize| taken[contender].iter().map(of).collect::<Vec<_>>());
            bench.tell(Line {
                work: format!("cache miss, {}", size_name(misses.size)),
                figure,
                bound: Bound::AtMost(bound),
                measured: Spread::of_ratios(&ferry, &nginx),
                floor,
                detail: format!("ferry {:.1} µs, nginx {:.1} µs", Spread::of(&ferry).median, Spread::of(&nginx).median),
            });
        };
        line("server CPU vs nginx", 0.75, "0.60", |turn| turn.cpu);
        line("median first byte vs nginx", 1.0, misses.floor, |turn| turn.first_byte);
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "waits are far below 2^52 ns")]
fn turn(bench: &Bench<'_>, (origin, names): (&Origin, &Names), cache: &Cached, misses: Misses) -> Result<Turn> {
    let before = origin.sent()?;
    let job = Job { names: Some(names.clone()), ..cache.job(&bench.ground, misses.size, misses.clients)? };
    let cost = Cost::of(&cache.server.family, &job, THREADS)?;
    let mut alone = Fleet::connect(&Job { connections: 1, ..job })?;
    let mut waits = alone.first_bytes(misses.alone, Rest::Taken)?;
    // Besides those that are counted, there were some to warm up.
    let (sent, counted) = (origin.sent()? - before, cost.tally.requests + waits.len() as u64);
    let fetched = sent.requests >= counted && sent.bytes >= counted * misses.size;
    ensure!(fetched, "what was measured were no misses: {counted} were answered, and the origin sent {sent:?}");
    // What was fetched was also kept: else this would be a proxy.
    let last = names.last(&target(misses.size));
    cache.keep(origin, &last, &bench.ground.site.file(misses.size))?;
    Ok(Turn { cpu: cost.micros_per_request(), first_byte: percentile(&mut waits, 0.5) as f64 / 1e3 })
}
