//! Static files over plain HTTP/1.1: what a request costs the server.

use anyhow::Result;

use super::Bench;
use crate::{
    load::Job,
    measure::{Cost, ROUNDS, interleave},
    server::Layout,
    site::{GIB, KIB, MIB, size_name, target},
    statistics::Spread,
    table::{Bound, Line},
};

/// Size, what to reach, the floor seen, and clients: enough that the server always has work, not so many that large files
/// wait for each other.
const SIZES: [(u64, f64, &str, usize); 7] = [
    (KIB, 0.65, "0.45", 32),
    (16 * KIB, 0.75, "0.52", 32),
    (100 * KIB, 0.82, "0.74", 32),
    (MIB, 0.85, "0.74", 16),
    (10 * MIB, 0.90, "0.83", 8),
    (100 * MIB, 0.95, "0.85", 4),
    (GIB, 0.95, "0.88", 2),
];

/// The size at which nginx is also measured against itself: how far the machine lets two equal servers differ.
const AGAINST_ITSELF: u64 = 16 * KIB;

pub(super) fn measure(bench: &Bench<'_>) -> Result<()> {
    let (nginx, ferry) = (bench.ground.nginx(Layout::USUAL)?, bench.ground.ferry(Layout::USUAL)?);
    for (size, bound, floor, connections) in SIZES {
        let twice = [&nginx, &ferry, &nginx];
        let contenders = if size == AGAINST_ITSELF { &twice[..] } else { &twice[..2] };
        let costs = interleave(ROUNDS, contenders.len(), |contender| {
            let server = contenders[contender];
            let cost = Cost::of(&server.family, &Job::file(server.doors.http, &target(size), size, connections))?;
            Ok(cost.micros_per_request())
        })?;
        let (nginx, ferry) = (Spread::of(&costs[0]), Spread::of(&costs[1]));
        bench.tell(Line {
            work: format!("plain, {}", size_name(size)),
            figure: "server CPU vs nginx",
            bound: Bound::AtMost(bound),
            measured: Spread::of_ratios(&costs[1], &costs[0]),
            floor,
            detail: format!("ferry {:.1} µs, nginx {:.1} µs a request", ferry.median, nginx.median),
        });
        if let Some(again) = costs.get(2) {
            bench.tell(Line {
                work: format!("plain, {}: nginx against itself", size_name(size)),
                figure: "server CPU vs nginx",
                bound: Bound::None,
                measured: Spread::of_ratios(again, &costs[0]),
                floor: "",
                detail: "the noise of this machine".to_owned(),
            });
        }
    }
    Ok(())
}
