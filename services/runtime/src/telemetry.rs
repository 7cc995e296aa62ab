//! Logs and traces of one process.
//!
//! Logs go to stderr, as text or JSON. Traces go to a collector over OTLP when an endpoint is set. A collector that is away costs
//! nothing but the spans: the queue is bounded, what does not fit is dropped, and the log says so once a minute at most.
//!
//! Cost decides the design: only spans with the target [`TRACED`] are exported, and whoever makes them asks the [`Sampler`] first;
//! a request that is not sampled has no span at all ([`tracing::Span::none`]).
//!
//! Exporting runs on a thread and a small runtime of its own: OpenTelemetry's flush blocks, and on the runtime that
//! carries the exporter's connection it would wait for itself (opentelemetry-rust issues 2583 and 2715).

mod exporter;
mod log;
mod sampler;
mod span;

use std::{io, time::Duration};

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};
use tokio::runtime::Runtime;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::filter_fn,
    fmt::{MakeWriter, writer::BoxMakeWriter},
    layer::SubscriberExt,
    registry::LookupSpan,
};

pub use self::{
    log::{Filter, Format},
    sampler::Sampler,
    span::{TRACED, context_of, set_parent},
};
use crate::config::BaseUrl;

/// Spans that wait for the exporter; more are dropped.
const QUEUE: usize = 2048;

/// How often waiting spans go out: soon enough that whoever looks at a trace finds it.
const EVERY: Duration = Duration::from_secs(1);

/// How long the end of the process waits for the last spans.
const FLUSH: Duration = Duration::from_secs(2);

/// What telemetry needs to know.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// The role: `node` makes the service name `ferry-node`. Roles that share a process (`up`) say theirs in span fields.
    pub role: &'static str,
    /// Which of several processes with this role.
    pub instance: String,
    /// What is logged.
    pub filter: Filter,
    /// How it is logged.
    pub format: Format,
    /// Where traces go; nowhere if not set.
    pub otlp_endpoint: Option<BaseUrl>,
    /// Share of the requests without a parent that are traced, 0 to 1.
    pub trace_sample: f64,
}

/// Why there is no telemetry.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter's thread or runtime could not be started.
    #[error("could not start the runtime of the trace exporter")]
    Runtime(#[source] io::Error),
    /// The endpoint is none.
    #[error("could not make a trace exporter for {endpoint}")]
    Exporter {
        /// The configured endpoint.
        endpoint: String,
        /// What OpenTelemetry says.
        #[source]
        cause: opentelemetry_otlp::ExporterBuildError,
    },
    /// Somebody else already logs for this process.
    #[error("the process has telemetry already")]
    Twice,
}

/// The process's telemetry. Dropping it flushes, like [`Telemetry::finish`].
#[derive(Debug)]
pub struct Telemetry {
    sampler: Sampler,
    export: Option<Export>,
}

#[derive(Debug)]
struct Export {
    provider: SdkTracerProvider,
    runtime: Runtime,
}

impl Telemetry {
    /// Starts logging to stderr and exporting, for the whole process; once per process.
    pub fn start(config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        let (telemetry, dispatch) = Self::build(config, BoxMakeWriter::new(io::stderr))?;
        tracing::dispatcher::set_global_default(dispatch).map_err(|_| TelemetryError::Twice)?;
        Ok(telemetry)
    }

    /// The same without taking over the process: for tests, and for several processes simulated in one.
    pub fn build(
        config: &TelemetryConfig,
        logs: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
    ) -> Result<(Self, Dispatch), TelemetryError> {
        let export = config.otlp_endpoint.as_ref().map(|endpoint| Export::to(endpoint, config)).transpose()?;
        let sampler = if export.is_some() { Sampler::new(config.trace_sample) } else { Sampler::off() };
        let traces = export.as_ref().map(Export::layer);
        let logs = log::layer(&config.filter, config.format, logs);
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(traces).with(logs));
        Ok((Self { sampler, export }, dispatch))
    }

    /// Decides which requests get a span.
    #[must_use]
    pub const fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Sends the last spans, waiting for at most two seconds. It blocks its thread, but no runtime that it needs itself: call it
    /// last, in `main`.
    pub fn finish(self) {
        drop(self);
    }
}

impl Export {
    fn to(endpoint: &BaseUrl, config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        let runtime = exporter::runtime().map_err(TelemetryError::Runtime)?;
        let exporter = {
            let _within = runtime.enter();
            exporter::otlp(endpoint)
                .map_err(|cause| TelemetryError::Exporter { endpoint: endpoint.to_string(), cause })?
        };
        let batches = BatchConfigBuilder::default().with_max_queue_size(QUEUE).with_scheduled_delay(EVERY).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            // Whoever makes a span has asked the sampler: what arrives here is wanted.
            .with_sampler(opentelemetry_sdk::trace::Sampler::AlwaysOn)
            .with_resource(resource(config))
            .build();
        Ok(Self { provider, runtime })
    }

    fn flush(self) {
        // A collector that is away was logged when it refused a batch; there is nobody to tell now.
        let _lost = self.provider.shutdown_with_timeout(FLUSH);
        // Dropping a runtime waits for it, which is forbidden inside another one.
        self.runtime.shutdown_background();
    }

    fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("ferry"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(filter_fn(|callsite| callsite.is_span() && callsite.target() == TRACED))
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(export) = self.export.take() {
            export.flush();
        }
    }
}

fn resource(config: &TelemetryConfig) -> Resource {
    Resource::builder_empty()
        .with_service_name(format!("ferry-{}", config.role))
        .with_attribute(KeyValue::new("service.instance.id", config.instance.clone()))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}
