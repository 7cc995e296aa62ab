//! `ferry node`.

use std::process::ExitCode;

use clap::ArgMatches;
use ferry_node::{Node, read};
use tracing::info;

use crate::{cli::NODE, process};

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let config = read(&process::sources(&NODE, matches))?;
    let common = config.common.clone();
    process::run(NODE.name, &common, async |process| {
        let node = Node::bind(config, process.clock.clone(), &process.metrics, &process.tasks, process.sampler.clone())
            .await?;
        info!(node = %node.id(), listen = %node.local_addr(), admin = %node.admin_addr(), "node");
        let running = node.start(&process.workers()?)?;
        Ok(async move { running.drain().await })
    })
}
