//! What docs/selection.md shows: which runs it takes, its tables, its plots.
#![allow(clippy::print_stdout, reason = "the product of a command")]

use ferry_core::selection::Rules;

use super::{
    Outcome, Policy, Setting, Slow,
    plot::{Axes, Series, svg},
    runs::Runs,
};

/// The frontier's steps: the bound of long transfers, from all that balances to what disturbs caches least.
const FRONTIER: [f64; 5] = [1.1, 1.2, 1.4, 1.6, 2.0];
/// The one on which the rules were chosen, and three that were not looked at until they stood.
const SEEDS: [u64; 4] = [1, 5, 6, 7];
/// Who is compared where there is no room for all.
const THREE: [Policy; 3] = [Policy::PowerOfTwo, Policy::Rendezvous, Policy::Ferry];

/// The numbers that design.md gives, in the same code: one bound for all, second choices, and copies of hot keys only.
fn by_the_design() -> Setting {
    let rules =
        Rules { bound: 1.25, bound_of_long: 1.25, busy: 0.3, clearly_less: 0.75, hot: 0.3, warm: f64::INFINITY };
    Setting { rules, ..Setting::large() }
}

fn with_bound(bound_of_long: f64) -> Setting {
    let rules = Rules { bound_of_long, ..Rules::default() };
    Setting { rules, ..Setting::large() }
}

fn with_a_slow_node() -> Setting {
    Setting { slow: Some(Slow { node: 7, share: 0.1, from: 40.0 }), ..Setting::large() }
}

fn with_a_crowd() -> Setting {
    Setting { crowd: Some((40.0, 0.2)), length: 60.0, ..Setting::large() }
}

fn with_seed(seed: u64) -> Setting {
    Setting { seed, ..Setting::large() }
}

/// One thing at a time is different from [`Setting::large`].
fn others() -> [(&'static str, Setting); 5] {
    let large = Setting::large;
    [
        ("caches four times as large", Setting { cache: 4 * large().cache, ..large() }),
        ("Zipf's exponent 0.7", Setting { exponent: 0.7, ..large() }),
        ("Zipf's exponent 1.1", Setting { exponent: 1.1, ..large() }),
        ("100 nodes, 3 gateways, 10,000 files", Setting { nodes: 100, gateways: 3, objects: 10_000, ..large() }),
        ("clients with 5 Mbit", Setting { client_rate: large().client_rate / 4.0, ..large() }),
    ]
}

/// All that the tables and plots need.
pub(super) fn wanted() -> Vec<(Setting, Policy)> {
    let of_three = |setting: Setting| THREE.map(|policy| (setting.clone(), policy));
    let mut wanted = vec![(by_the_design(), Policy::Ferry)];
    wanted.extend(Policy::ALL.map(|policy| (Setting::large(), policy)));
    wanted.extend(FRONTIER.map(|bound| (with_bound(bound), Policy::Ferry)));
    wanted.extend(SEEDS.into_iter().flat_map(|seed| of_three(with_seed(seed))));
    wanted.extend(others().into_iter().flat_map(|(_, setting)| of_three(setting)));
    wanted.extend([with_a_slow_node(), with_a_crowd(), Setting::idle()].into_iter().flat_map(of_three));
    wanted.push((with_a_crowd(), Policy::Oracle));
    wanted
}

fn tell(name: &str, outcome: &Outcome) {
    let (load, fills, (median, tail)) = (outcome.load(), outcome.fills * 100.0, outcome.slowness);
    println!("{name:<36} max/mean load {load:7.2}   fills {fills:5.1} %   slowdown {median:.2}, p99 {tail:.2}");
}

/// Two choices, plain rendezvous and ferry under one setting, and how ferry stands to either.
fn compare(name: &str, runs: &Runs, setting: &Setting) -> (f64, f64) {
    let [choices, rendezvous, ferry] = THREE.map(|policy| runs.of(setting, policy));
    let (load, fills) = (ferry.load() / choices.load(), ferry.fills / rendezvous.fills);
    println!(
        "{name:<36} two choices {:5.2}, {:4.1} %   rendezvous {:6.2}, {:4.1} %   ferry {:5.2}, {:4.1} %   = {load:.2} x, {fills:.2} x",
        choices.load(),
        choices.fills * 100.0,
        rendezvous.load(),
        rendezvous.fills * 100.0,
        ferry.load(),
        ferry.fills * 100.0,
    );
    (load, fills)
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    f64::midpoint(of[(of.len() - 1) / 2], of[of.len() / 2])
}

/// Load and fills of the three on other seeds.
pub(super) fn print_seeds(runs: &Runs) {
    let ratios = SEEDS.map(|seed| compare(&format!("seed {seed}"), runs, &with_seed(seed)));
    let (load, fills) = ratios.into_iter().unzip();
    println!(
        "median over the seeds: {:.2} x the load of two choices, {:.2} x the fills of rendezvous",
        median(load),
        median(fills)
    );
}

/// The same where one thing is different.
pub(super) fn print_others(runs: &Runs) {
    for (name, setting) in others() {
        compare(name, runs, &setting);
    }
}

/// Load and fills of every policy, and of ferry with other rules.
pub(super) fn policies(runs: &Runs) -> String {
    let setting = Setting::large();
    let mut series = Vec::new();
    let mut add = |name: &str, outcomes: &[&Outcome]| {
        let points = outcomes.iter().map(|outcome| (outcome.fills * 100.0, outcome.load())).collect();
        series.push(Series { name: name.to_owned(), points, line: outcomes.len() > 1 });
    };
    let design = runs.of(&by_the_design(), Policy::Ferry);
    tell("design.md", design);
    for policy in Policy::ALL {
        tell(policy.name(), runs.of(&setting, policy));
        add(policy.name(), &[runs.of(&setting, policy)]);
    }
    add("design.md", &[design]);
    let frontier = FRONTIER.map(|bound| runs.of(&with_bound(bound), Policy::Ferry));
    for (bound, outcome) in FRONTIER.iter().zip(frontier) {
        tell(&format!("ferry, bound of long transfers {bound}"), outcome);
    }
    add("ferry's frontier", &frontier);
    let axes = Axes {
        title: "Balance and hits: the lower left is better",
        across: "requests that fill a cache, %",
        up: "maximum over mean load (above 5: at the edge)",
        highest: 5.0,
        bounds: (
            Some(runs.of(&setting, Policy::Rendezvous).fills * 125.0),
            Some(runs.of(&setting, Policy::PowerOfTwo).load() * 1.10),
        ),
    };
    svg(&axes, &series)
}

fn over_time(name: &str, values: &[f64]) -> Series {
    let points = values.iter().enumerate().map(|(second, value)| (second as f64 + 1.0, *value));
    Series { name: name.to_owned(), points: points.collect(), line: true }
}

/// One node loses nine tenths of its link.
pub(super) fn slow_node(runs: &Runs) -> String {
    let mut series = Vec::new();
    for policy in THREE {
        let (without, with) = (runs.of(&Setting::large(), policy), runs.of(&with_a_slow_node(), policy));
        tell(&format!("{}, all are well", policy.name()), without);
        tell(&format!("{}, one at 10 %", policy.name()), with);
        let after = &with.slow_share[45..];
        println!("    its share after 5 s: {:.2}", after.iter().sum::<f64>() / after.len() as f64);
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
pub(super) fn crowd(runs: &Runs) -> String {
    let mut series = Vec::new();
    for policy in THREE.into_iter().chain([Policy::Oracle]) {
        let outcome = runs.of(&with_a_crowd(), policy);
        tell(&format!("{}, a crowd", policy.name()), outcome);
        println!("    busiest node over the mean, second by second: {:.2?}", &outcome.imbalance[40..]);
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
pub(super) fn idle(runs: &Runs) -> String {
    let mut series = Vec::new();
    for policy in THREE {
        let spread = &runs.of(&Setting::idle(), policy).spread;
        println!("{:<36} idle: one object is served by {} nodes", policy.name(), spread.last().copied().unwrap_or(0.0));
        series.push(over_time(policy.name(), spread));
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
