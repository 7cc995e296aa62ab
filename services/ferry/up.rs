//! `ferry up [DIR]`: a whole cluster in one process, talking real gRPC and HTTP to itself.

mod folder;
mod plan;
mod welcome;

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command};
use ferry_coordinator::Coordinator;
use ferry_gateway::Gateway;
use ferry_node::{Node, Running};
use ferry_runtime::config::{COMMON, Common, Environment, Setting, Sources, command as role};
use ferry_runtime::metrics::Metrics;
use futures_util::future::{join, join_all};
use tracing::warn;

use self::{folder::State, plan::Plan};
use crate::{output, process};

/// What `up` can be told besides the common settings.
const SETTINGS: &[Setting] = &[
    Setting::text("listen", "ADDRESS:PORT", "Where clients connect").default("127.0.0.1:8080"),
    Setting::text("nodes", "N", "How many nodes").default("2"),
    Setting::text("origin", "URL", "The HTTP server to stand in front of"),
    Setting::text(
        "cache",
        "DIR",
        "Where the nodes keep what the origin sends, each in a folder of its own; in the state where there is DIR too, nowhere if \"off\"",
    ),
    Setting::text("cache-size", "SIZE", "How much of that each node keeps"),
    Setting::text("state", "DIR", "Keeps what must last; a temporary folder if not set"),
];

/// How long the nodes may take to be known to the gateway; it takes a fraction of a second.
const READY_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(crate) fn command() -> Command {
    role("up", "Runs a whole cluster in one process", &[COMMON, SETTINGS])
        .arg(Arg::new("dir").value_name("DIR").help("The files to serve"))
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let sources = Sources::gather("up", &[COMMON, SETTINGS], &[], matches, &Environment::of_process());
    let mut reader = sources.reader();
    let common = Common::read(&mut reader);
    let plan = Plan::read(&mut reader, matches.get_one::<String>("dir").map(String::as_str));
    let (common, plan) = reader.conclude(|| Some((common?, plan?)))?;
    let state = State::open(plan.state.as_deref())?;
    let cluster = common.clone();
    process::run("up", &common, async |process| start(process, &cluster, &plan, state).await)
}

/// Starts the roles in the order in which they need each other, and says what is where once the gateway knows every node.
async fn start(
    process: &process::Process,
    common: &Common,
    plan: &Plan,
    state: State,
) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let (clock, tasks) = (&process.clock, &process.tasks);
    // Each role answers `/metrics` for itself, as it would alone.
    let metrics = Metrics::new;
    let workers = process.workers()?;
    let coordinator = ferry_coordinator::read(&plan.coordinator(&state))?;
    let coordinator = Coordinator::bind(coordinator, clock.clone(), &metrics(), tasks, None).await?;
    let url = coordinator.url().to_owned();
    let mut ready = welcome::Ready { coordinator: url.clone(), ..welcome::Ready::default() };
    coordinator.start()?;

    let mut nodes = Vec::new();
    for number in 1..=plan.nodes {
        let config = ferry_node::read(&plan.node(&state, number, &url)).context(format!("node {number}"))?;
        let node = Node::bind(config, clock.clone(), &metrics(), tasks, process.sampler.clone()).await?;
        ready.nodes.push((node.id().to_string(), node.local_addr(), node.admin_addr()));
        nodes.push(node.start(&workers)?);
    }
    let gateway = ferry_gateway::read(&plan.gateway(&state, common, &url))?;
    let gateway = Gateway::bind(gateway, clock.clone(), &metrics(), tasks, process.sampler.clone()).await?;
    ready.gateway = Some((gateway.local_addr(), gateway.admin_addr()));
    let gateway = gateway.start(&workers)?;

    let began = clock.now();
    while gateway.selectable_nodes() < plan.nodes {
        if clock.now().since(began) > READY_WITHIN {
            warn!(nodes = gateway.selectable_nodes(), wanted = plan.nodes, "not every node is known yet");
            break;
        }
        clock.sleep(LOOK_EVERY).await;
    }
    output::say(&ready.text(plan));
    Ok(async move {
        join(join_all(nodes.iter().map(Running::drain)), gateway.drain()).await;
        drop(state);
    })
}
