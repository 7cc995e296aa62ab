//! One worker on one core, the client on another: how many requests a second a full server answers.

use anyhow::Result;

use super::Bench;
use crate::{
    cores,
    load::Job,
    measure::{Cost, ROUNDS},
    server::Layout,
    site::{KIB, size_name, target},
    statistics::Spread,
    table::{Bound, Line},
};

const SERVERS_CORE: usize = 0;
const CLIENTS_CORE: usize = 1;

/// Size, and the best that was seen.
const SIZES: [(u64, &str); 3] = [(KIB, "1.85"), (16 * KIB, "1.7"), (100 * KIB, "1.5")];
const CLIENTS: usize = 64;

pub(super) fn measure(bench: &Bench<'_>) -> Result<()> {
    let layout = Layout { workers: 1, core: Some(SERVERS_CORE) };
    let servers = [bench.ground.nginx(layout)?, bench.ground.ferry(layout)?];
    for (size, floor) in SIZES {
        let costs = bench.interleave(ROUNDS, servers.len(), |contender| {
            let server = &servers[contender];
            let job = Job::file(server.doors.http, &target(size), size, CLIENTS);
            cores::on(Some(CLIENTS_CORE), || Cost::of(&server.family, &job, 1))?
        })?;
        let [nginx, ferry] = [0, 1].map(|contender: usize| {
            let rates: Vec<f64> = costs[contender].iter().map(Cost::requests_per_second).collect();
            let [server, client] = [0, 1].map(|who: usize| {
                let shares: Vec<f64> = costs[contender].iter().map(|cost| cost.shares()[who]).collect();
                Spread::of(&shares).median
            });
            let rate = Spread::of(&rates).median;
            (rates, format!("{rate:.0}/s (server at {server:.2}, client at {client:.2})"))
        });
        bench.tell(Line {
            work: format!("plain, {}, one worker on one core", size_name(size)),
            figure: "requests/s vs nginx",
            bound: Bound::AtLeast(1.3),
            measured: Spread::of_ratios(&ferry.0, &nginx.0),
            floor,
            detail: format!("ferry {}, nginx {}", ferry.1, nginx.1),
        });
    }
    Ok(())
}
