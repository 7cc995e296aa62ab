//! What a cache has already: what a request costs the server.

use anyhow::{Result, ensure};

use super::{Bench, files::compare};
use crate::{
    cached::Cached,
    load::Job,
    measure::{Cost, THREADS},
    server::Server,
    site::{MIB, size_name, target},
};

/// Size, clients, what to reach, and the floor seen.
const SIZES: [(u64, usize, f64, &str); 2] = [(MIB, 16, 0.82, "0.66"), (100 * MIB, 4, 0.90, "0.85")];

pub(super) fn measure(bench: &Bench<'_>) -> Result<()> {
    let ground = &bench.ground;
    let origin = ground.origin()?;
    for (size, clients, bound, floor) in SIZES {
        let caches = [Cached::contender(ground, &origin, 0)?, Cached::contender(ground, &origin, 1)?];
        for cache in &caches {
            cache.keep(&origin, &target(size), &ground.site.file(size))?;
        }
        let job = caches[0].job(ground, size, clients)?;
        let micros = |server: &Server| {
            let job = Job { address: server.doors.http, ..job.clone() };
            Ok(Cost::of(&server.family, &job, THREADS)?.micros_per_request())
        };
        let before = origin.sent()?;
        let servers = [&caches[0].server, &caches[1].server];
        compare(bench, servers, &format!("cache hit, {}", size_name(size)), (bound, floor), micros)?;
        ensure!(origin.sent()? == before, "what was measured were no hits: the origin was asked");
    }
    Ok(())
}
