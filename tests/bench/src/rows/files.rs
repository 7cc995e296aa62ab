//! Files of several sizes: what a request costs the server. The rows for plain HTTP/1.1 and for TLS differ in their numbers.

use anyhow::Result;

use super::Bench;
use crate::{
    load::Job,
    measure::{Cost, ROUNDS, THREADS},
    server::{Layout, Server},
    site::{GIB, KIB, MIB, size_name, target},
    statistics::Spread,
    table::{Bound, Line},
};

/// Sizes, and clients for each: enough that the server always has work, not so many that large files wait for each other.
pub(super) const SIZES: [(u64, usize); 7] =
    [(KIB, 64), (16 * KIB, 64), (100 * KIB, 64), (MIB, 16), (10 * MIB, 8), (100 * MIB, 4), (GIB, 2)];

/// For each of those sizes what to reach, and the floor seen.
const PLAIN: [(f64, &str); 7] =
    [(0.65, "0.45"), (0.75, "0.52"), (0.82, "0.74"), (0.85, "0.74"), (0.90, "0.83"), (0.95, "0.85"), (0.95, "0.88")];

/// Size, clients, what to reach, and the floor seen.
const TLS: [(u64, usize, f64, &str); 3] =
    [(KIB, 64, 0.65, "0.59"), (100 * KIB, 64, 0.55, "0.39"), (10 * MIB, 8, 0.62, "0.48")];

/// The size at which nginx is also measured against itself: how far the machine lets two equal servers differ.
const AGAINST_ITSELF: u64 = 16 * KIB;

pub(super) fn plain(bench: &Bench<'_>) -> Result<()> {
    let (nginx, ferry) = (bench.ground.nginx(Layout::USUAL)?, bench.ground.ferry(Layout::USUAL)?);
    for ((size, clients), (bound, floor)) in SIZES.into_iter().zip(PLAIN) {
        let micros = |server: &Server| {
            let job = Job::file(server.doors.http, &target(size), size, clients);
            Ok(Cost::of(&server.family, &job, THREADS)?.micros_per_request())
        };
        compare(bench, [&nginx, &ferry], &format!("plain, {}", size_name(size)), (bound, floor), micros)?;
        if size == AGAINST_ITSELF {
            let costs = bench.interleave(ROUNDS, 2, |_| micros(&nginx))?;
            bench.tell(Line {
                work: format!("plain, {}: nginx against itself", size_name(size)),
                figure: "server CPU vs nginx",
                bound: Bound::None,
                measured: Spread::of_ratios(&costs[1], &costs[0]),
                floor: "",
                detail: "the noise of this machine".to_owned(),
            });
        }
    }
    Ok(())
}

pub(super) fn tls(bench: &Bench<'_>) -> Result<()> {
    let (nginx, ferry) = (bench.ground.nginx(Layout::USUAL)?, bench.ground.ferry(Layout::USUAL)?);
    for (size, clients, bound, floor) in TLS {
        let micros = |server: &Server| {
            let job = Job::file(server.doors.https, &target(size), size, clients).over_tls();
            Ok(Cost::of(&server.family, &job, THREADS)?.micros_per_request())
        };
        compare(bench, [&nginx, &ferry], &format!("TLS 1.3, {}", size_name(size)), (bound, floor), micros)?;
    }
    Ok(())
}

/// Has nginx and ferry do the same in turns and tells the ratio of what it cost them.
pub(super) fn compare(
    bench: &Bench<'_>,
    servers: [&Server; 2],
    work: &str,
    (bound, floor): (f64, &'static str),
    micros: impl Fn(&Server) -> Result<f64>,
) -> Result<()> {
    let costs = bench.interleave(ROUNDS, servers.len(), |contender| micros(servers[contender]))?;
    let (nginx, ferry) = (Spread::of(&costs[0]), Spread::of(&costs[1]));
    bench.tell(Line {
        work: work.to_owned(),
        figure: "server CPU vs nginx",
        bound: Bound::AtMost(bound),
        measured: Spread::of_ratios(&costs[1], &costs[0]),
        floor,
        detail: format!("ferry {:.1} µs, nginx {:.1} µs a request", ferry.median, nginx.median),
    });
    Ok(())
}
