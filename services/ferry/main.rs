//! The `ferry` command: one binary, every role.

mod caches;
mod check_config;
mod cli;
mod control;
mod coordinator;
mod explain;
mod gateway;
mod get;
mod node;
mod nodes;
mod output;
mod process;
mod purge;
mod sign;
mod up;
mod warm;

use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = match cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(refusal) => return cli::refuse(&refusal),
    };
    let outcome = match matches.subcommand() {
        Some(("up", matches)) => up::run(matches),
        Some(("coordinator", matches)) => coordinator::run(matches),
        Some(("gateway", matches)) => gateway::run(matches),
        Some(("node", matches)) => node::run(matches),
        Some(("nodes", matches)) => nodes::run(matches),
        Some(("explain", matches)) => explain::run(matches),
        Some(("get", matches)) => get::run(matches),
        Some(("sign", matches)) => sign::run(matches),
        Some(("purge", matches)) => purge::run(matches),
        Some(("warm", matches)) => warm::run(matches),
        Some(("check-config", matches)) => check_config::run(matches),
        _ => unreachable!("clap wants one of the subcommands"),
    };
    outcome.unwrap_or_else(|error| process::report(&error))
}
