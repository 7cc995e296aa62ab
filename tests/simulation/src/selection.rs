//! Selection against other policies: one trace for all of them, a thousand nodes, and what each policy made of it.
//!
//! ```text
//! cargo run --release -p ferry-simulation -- selection             # prints the tables
//! cargo run --release -p ferry-simulation -- selection docs        # and writes the plots there
//! ```
//!
//! What is modelled: a node's link is shared evenly by its transfers, none of which is faster than its client (exact processor sharing, [`server`]); a node's cache
//! keeps what was asked for last ([`cache`]), and what it has to fetch first costs the client nothing; nodes report once a second, and gateways know that between half a
//! second and one and a half later. What is not: ends other than the whole object, disks, processors, regions, gateways that differ. Ferry's own part is `ferry_core`'s,
//! as it runs. All is drawn from a seed.

mod cache;
mod experiment;
mod plot;
mod policy;
mod server;
mod trace;

use std::{fs, io, path::Path};

use ferry_core::selection::Rules;

pub use experiment::{Outcome, Setting, Slow, run};
pub use policy::Policy;

use self::plot::{Axes, Series, svg};

/// The second choice, from never to whenever it is less loaded at all: the frontier's steps.
const FRONTIER: [f64; 6] = [0.0, 0.5, 0.6, 0.7, 0.8, 0.9];

/// Plays all, prints the tables, and writes the plots into a folder, if one is given.
#[allow(clippy::print_stdout, reason = "a command whose product is what it prints")]
pub fn command(folder: Option<&Path>) -> io::Result<()> {
    let plots = [("policies", policies()), ("slow-node", slow_node()), ("crowd", crowd()), ("idle", idle())];
    for (name, drawing) in plots
        .iter()
        .filter_map(|(name, drawing)| folder.map(|folder| (folder.join(format!("selection-{name}.svg")), drawing)))
    {
        fs::write(&name, drawing)?;
        println!("drawn: {}", name.display());
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "a command whose product is what it prints")]
fn tell(name: &str, outcome: &Outcome) {
    let (load, fills, (median, tail)) = (outcome.load(), outcome.fills * 100.0, outcome.slowness);
    println!("{name:<36} max/mean load {load:7.2}   fills {fills:5.1} %   slowdown {median:.2}, p99 {tail:.2}");
}

/// Load and fills of every policy, and of ferry with other rules.
fn policies() -> String {
    let setting = Setting::large();
    let mut series = Vec::new();
    let mut bounds = (None, None);
    for policy in Policy::ALL {
        let outcome = run(&setting, policy);
        tell(policy.name(), &outcome);
        match policy {
            Policy::PowerOfTwo => bounds.1 = Some(outcome.load() * 1.10),
            Policy::Rendezvous => bounds.0 = Some(outcome.fills * 125.0),
            _ => {}
        }
        series.push(Series {
            name: policy.name().to_owned(),
            points: vec![(outcome.fills * 100.0, outcome.load())],
            line: false,
        });
    }
    let point = |clearly_less: f64| {
        let outcome =
            run(&Setting { rules: Rules { clearly_less, ..Rules::default() }, ..setting.clone() }, Policy::Ferry);
        tell(&format!("ferry, second choice below {clearly_less}"), &outcome);
        (outcome.fills * 100.0, outcome.load())
    };
    series.push(Series { name: "ferry's frontier".to_owned(), points: FRONTIER.map(point).to_vec(), line: true });
    let axes = Axes {
        title: "Balance and hits: the lower left is better",
        across: "requests that fill a cache, %",
        up: "maximum over mean load (above 5: at the edge)",
        highest: 5.0,
        bounds,
    };
    svg(&axes, &series)
}

fn over_time(name: &str, values: &[f64]) -> Series {
    let points = values.iter().enumerate().map(|(second, value)| (second as f64 + 1.0, *value));
    Series { name: name.to_owned(), points: points.collect(), line: true }
}

/// One node loses nine tenths of its link.
fn slow_node() -> String {
    let well = Setting::large();
    let ill = Setting { slow: Some(Slow { node: 7, share: 0.1, from: 40.0 }), ..well.clone() };
    let mut series = Vec::new();
    for policy in [Policy::Ferry, Policy::PowerOfTwo, Policy::Rendezvous] {
        let (without, with) = (run(&well, policy), run(&ill, policy));
        tell(&format!("{}, all are well", policy.name()), &without);
        tell(&format!("{}, one at 10 %", policy.name()), &with);
        series.push(over_time(policy.name(), &with.slow_share));
    }
    let axes = Axes {
        title: "A node that has a tenth of its link from 40 s on",
        across: "seconds",
        up: "its new transfers, over the mean",
        highest: 3.0,
        bounds: (Some(45.0), Some(0.15)),
    };
    svg(&axes, &series)
}

/// Everybody wants one object.
fn crowd() -> String {
    let setting = Setting { crowd: Some((40.0, 0.2)), length: 60.0, ..Setting::large() };
    let mut series = Vec::new();
    for policy in [Policy::Ferry, Policy::PowerOfTwo, Policy::Rendezvous] {
        let outcome = run(&setting, policy);
        tell(&format!("{}, a crowd", policy.name()), &outcome);
        series.push(over_time(policy.name(), &outcome.imbalance));
    }
    let axes = Axes {
        title: "From 40 s on, a crowd for one object takes a fifth of all links",
        across: "seconds",
        up: "maximum over mean load",
        highest: 6.0,
        bounds: (Some(43.0), Some(1.5)),
    };
    svg(&axes, &series)
}

/// How many nodes serve one object that somebody wants now and then, while nobody wants much.
#[allow(clippy::print_stdout, reason = "a command whose product is what it prints")]
fn idle() -> String {
    let mut series = Vec::new();
    for policy in [Policy::Ferry, Policy::PowerOfTwo, Policy::Rendezvous] {
        let outcome = run(&Setting::idle(), policy);
        println!(
            "{:<36} idle: one object is served by {} nodes",
            policy.name(),
            outcome.spread.last().copied().unwrap_or(0.0)
        );
        series.push(over_time(policy.name(), &outcome.spread));
    }
    let axes = Axes {
        title: "An idle cluster: nodes that served one object so far",
        across: "seconds",
        up: "nodes",
        highest: 20.0,
        bounds: (None, None),
    };
    svg(&axes, &series)
}
