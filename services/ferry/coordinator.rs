//! `ferry coordinator`.

use std::process::ExitCode;

use clap::ArgMatches;
use ferry_coordinator::{Announce, Coordinator, read};
use tracing::info;

use crate::{cli::COORDINATOR, output, process};

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let config = read(&process::sources(&COORDINATOR, matches))?;
    let common = config.common.clone();
    process::run(COORDINATOR.name, &common, async |process| {
        let announce = Announce::new(|key| {
            output::say(&format!("The user ring's first key (kid u1, base64), shown this once: {key}"));
        });
        let coordinator =
            Coordinator::bind(config, process.clock.clone(), &process.metrics, &process.tasks, Some(announce)).await?;
        info!(listen = %coordinator.local_addr(), url = coordinator.url(), "coordinator");
        coordinator.start()?;
        Ok(std::future::ready(()))
    })
}
