//! A role as a process: configuration, runtime, telemetry, signals, and an orderly end.

use std::{num::NonZeroUsize, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use clap::ArgMatches;
use ferry_runtime::{
    Clock, Tasks, Workers,
    config::{Common, EXIT_CONFIG, Environment, Refusal, Sources},
    descriptors,
    metrics::Metrics,
    signals::{Signals, Stop},
    telemetry::{Sampler, Telemetry, TelemetryConfig},
};
use tracing::{debug, info, warn};

use crate::{cli::Role, output};

/// After a graceful stop: the last answers, the last words to the coordinators, the last spans.
const GRACE: Duration = Duration::from_secs(5);
/// After Ctrl-C: nobody waits for anything.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Threads for everything but clients. One that exports spans must not be the only one.
const CONTROL: usize = 2;

/// What a role runs in.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: Tasks,
    pub(crate) sampler: Sampler,
    workers: Option<NonZeroUsize>,
}

impl Process {
    /// The threads that serve clients, for all roles of this process; roles without clients have none.
    pub(crate) fn workers(&self) -> anyhow::Result<Workers> {
        Workers::start(self.workers).context("could not start the workers")
    }
}

/// Gathers what a role was told.
pub(crate) fn sources(role: &Role, matches: &ArgMatches) -> Sources {
    Sources::gather(role.name, role.tables, role.sections, matches, &Environment::of_process())
}

/// Runs a role until it is asked to stop. `start` starts it and returns what a graceful stop has to wait for.
pub(crate) fn run<D>(
    role: &'static str,
    common: &Common,
    start: impl AsyncFnOnce(&Process) -> anyhow::Result<D>,
) -> anyhow::Result<ExitCode>
where
    D: Future<Output = ()>,
{
    let descriptors = descriptors::raise();
    // Clients have threads of their own: what keeps the cluster together is a few messages per second.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().worker_threads(CONTROL).build().context("could not start the runtime")?;
    let telemetry = Telemetry::start(&TelemetryConfig {
        role,
        instance: format!("{role}-{}", std::process::id()),
        filter: common.log.clone(),
        format: common.log_format,
        otlp_endpoint: common.otlp_endpoint.clone(),
        trace_sample: common.trace_sample,
    })?;
    debug!(descriptors, "the most that may be open");
    let process = Process {
        clock: Clock::system(),
        metrics: Metrics::new(),
        tasks: Tasks::new(),
        sampler: telemetry.sampler().clone(),
        workers: common.workers,
    };
    let outcome = runtime.block_on(live(process, start));
    // A blocking call that hangs (a dead mount) must not keep the process.
    runtime.shutdown_timeout(AT_ONCE);
    telemetry.finish();
    outcome
}

async fn live<D: Future<Output = ()>>(
    process: Process,
    start: impl AsyncFnOnce(&Process) -> anyhow::Result<D>,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("could not listen for signals")?;
    let drain = tokio::select! {
        biased;
        started = start(&process) => started?,
        // A start that waits for something can be interrupted too.
        _ = signals.next() => return Ok(ExitCode::SUCCESS),
    };
    let asked = tokio::select! {
        biased;
        asked = signals.next() => asked,
        task = process.tasks.failure() => bail!("{task} ended unasked; the log says why"),
    };
    let grace = match asked {
        Stop::AtOnce => AT_ONCE,
        Stop::Graceful => {
            info!("stopping: finishing what was begun; a second signal ends it at once");
            tokio::select! {
                biased;
                _ = signals.next() => {
                    warn!("asked a second time: stopping at once");
                    AT_ONCE
                }
                () = drain => GRACE,
            }
        }
    };
    let finished = tokio::select! {
        biased;
        finished = process.tasks.finish(grace) => finished,
        // The last words are not waited for either. What is left ends with the runtime.
        _ = signals.next(), if grace == GRACE => {
            warn!("asked a second time: stopping at once");
            return Ok(ExitCode::SUCCESS);
        }
    };
    if let Err(exceeded) = finished
        && grace == GRACE
    {
        warn!(%exceeded, "some work was cut off");
    }
    Ok(ExitCode::SUCCESS)
}

/// A command line that clap could not judge.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Says what went wrong: 64 for a configuration or a command line, 1 for the rest.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        output::complain(&refusal.to_string());
        return ExitCode::from(EXIT_CONFIG);
    }
    output::complain(&format!("ferry: {error:#}"));
    if error.is::<Usage>() { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
}
