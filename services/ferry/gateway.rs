//! `ferry gateway`.

use std::process::ExitCode;

use clap::ArgMatches;
use ferry_gateway::{Gateway, read};
use tracing::info;

use crate::{cli::GATEWAY, process};

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let config = read(&process::sources(&GATEWAY, matches))?;
    let common = config.common.clone();
    process::run(GATEWAY.name, &common, async |process| {
        let gateway =
            Gateway::bind(config, process.clock.clone(), &process.metrics, &process.tasks, process.sampler.clone())
                .await?;
        info!(listen = %gateway.local_addr(), admin = %gateway.admin_addr(), "gateway");
        let running = gateway.start(&process.workers()?)?;
        Ok(async move { running.drain().await })
    })
}
