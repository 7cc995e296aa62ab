//! The two plots of the docs: what a gibibyte costs in files of each size, and what idle connections cost.

use anyhow::Result;

use super::{
    Bench,
    files::SIZES,
    memory::{IDLE, Idle, in_mebibytes},
};
use crate::{
    load::Job,
    measure::{Cost, THREADS},
    plot::{Axis, Scale, Series, svg},
    server::{Layout, Server},
    site::{GIB, size_name, target},
    statistics::Spread,
};

const ROUNDS: usize = 5;

/// How many connections are looked at.
const STEPS: usize = 5;

pub(super) fn measure(bench: &Bench<'_>) -> Result<()> {
    bench.keep("cost-by-size.svg", cost_by_size(bench)?);
    bench.keep("memory-by-connections.svg", memory_by_connections(bench)?);
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "sizes of files are far below 2^52")]
fn cost_by_size(bench: &Bench<'_>) -> Result<String> {
    let servers = [bench.ground.ferry(Layout::USUAL)?, bench.ground.nginx(Layout::USUAL)?];
    let mut lines = ["ferry", "nginx"].map(|name| Series { name, points: Vec::new() });
    for (size, clients) in SIZES {
        let costs = bench.interleave(ROUNDS, servers.len(), |contender| {
            let server: &Server = &servers[contender];
            let cost = Cost::of(&server.family, &Job::file(server.doors.http, &target(size), size, clients), THREADS)?;
            Ok(cost.cpu.as_secs_f64() * GIB as f64 / cost.tally.bytes as f64)
        })?;
        for (line, costs) in lines.iter_mut().zip(&costs) {
            line.points.push((size as f64, Spread::of(costs).median));
        }
    }
    let across = Axis {
        label: "size of the file",
        scale: Scale::Logarithmic,
        marks: SIZES.iter().map(|(size, _)| (*size as f64, size_name(*size))).collect(),
    };
    let costs = lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let up = Axis::over("server CPU seconds per GiB", Scale::Logarithmic, costs);
    Ok(svg("HTTP/1.1 over plain TCP: what a gibibyte costs the server", &across, &up, &lines))
}

#[allow(clippy::cast_precision_loss, reason = "numbers of connections are far below 2^52")]
fn memory_by_connections(bench: &Bench<'_>) -> Result<String> {
    let grow = |name, server: &Server| {
        let mut idle = Idle::default();
        let mut points = vec![(0.0, in_mebibytes(idle.memory_of(server)?.proportional))];
        for step in 1..=STEPS {
            let connections = IDLE / STEPS * step;
            idle.grow(server, connections)?;
            points.push((connections as f64, in_mebibytes(idle.memory_of(server)?.proportional)));
        }
        Ok::<_, anyhow::Error>(Series { name, points })
    };
    let lines =
        [grow("ferry", &bench.ground.ferry(Layout::USUAL)?)?, grow("nginx", &bench.ground.nginx(Layout::USUAL)?)?];
    let points = || lines.iter().flat_map(|line| &line.points);
    let across = Axis::over("idle connections", Scale::Linear, points().map(|point| point.0));
    let up = Axis::over("memory of all processes, MiB", Scale::Linear, points().map(|point| point.1));
    Ok(svg("Connections that are kept alive: what they cost the server", &across, &up, &lines))
}
