//! `ferry check-config ROLE`: every fault of a configuration, and nothing else.

use std::process::ExitCode;

use clap::ArgMatches;

use crate::{cli, output, process};

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let role = match matches.subcommand() {
        Some(("coordinator", matches)) => {
            ferry_coordinator::read(&process::sources(&cli::COORDINATOR, matches))?;
            cli::COORDINATOR
        }
        Some(("gateway", matches)) => {
            ferry_gateway::read(&process::sources(&cli::GATEWAY, matches))?;
            cli::GATEWAY
        }
        Some(("node", matches)) => {
            ferry_node::read(&process::sources(&cli::NODE, matches))?;
            cli::NODE
        }
        _ => unreachable!("clap wants one of the roles"),
    };
    output::say(&format!("ferry {}: configuration accepted", role.name));
    Ok(ExitCode::SUCCESS)
}
