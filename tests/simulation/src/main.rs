//! `ferry-simulation`: runs seeds one after the other, and says of each what came of it.

use std::{env, path::Path, process::ExitCode, time::Duration};

use ferry_simulation::{Settings, Sizes, run};

const USAGE: &str =
    "ferry-simulation [--nodes N] [--coordinators N] [--gateways N] [--minutes N] [--seed N] [--seeds N]
ferry-simulation selection [FOLDER]";

/// What was asked for.
struct Asked {
    sizes: Sizes,
    minutes: u64,
    seed: u64,
    seeds: u64,
}

fn parse(arguments: impl IntoIterator<Item = String>) -> Option<Asked> {
    let sizes = Sizes { coordinators: 5, gateways: 20, nodes: 1000 };
    let mut asked = Asked { sizes, minutes: 5, seed: 1, seeds: 1 };
    let mut arguments = arguments.into_iter();
    while let Some(name) = arguments.next() {
        let value: u64 = arguments.next()?.parse().ok()?;
        match name.as_str() {
            "--nodes" => asked.sizes.nodes = usize::try_from(value).ok().filter(|count| *count > 0)?,
            "--coordinators" => asked.sizes.coordinators = usize::try_from(value).ok().filter(|count| *count > 0)?,
            "--gateways" => asked.sizes.gateways = usize::try_from(value).ok().filter(|count| *count > 0)?,
            "--minutes" => asked.minutes = value,
            "--seed" => asked.seed = value,
            "--seeds" => asked.seeds = value,
            _ => return None,
        }
    }
    Some(asked)
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a command whose product is what it prints")]
fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("selection") {
        return match ferry_simulation::selection::command(env::args().nth(2).as_deref().map(Path::new)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("ferry-simulation: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let Some(asked) = parse(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let length = Duration::from_secs(asked.minutes * 60);
    let mut failed = false;
    for seed in asked.seed..asked.seed.saturating_add(asked.seeds) {
        let report = run(Settings { seed, sizes: asked.sizes, length, clocks_jump: true });
        println!(
            "seed {seed}: {} events, {} faults, {} choices weighed; slowest {:?}; {:?}",
            report.events, report.faults, report.tested, report.slowest, report.digest
        );
        if let Some(violation) = report.violation {
            println!("{}FAILED {violation}\n", report.history);
            failed = true;
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
