//! The way to the collector.

use std::{
    fmt, io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use opentelemetry_otlp::{ExporterBuildError, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};
use tokio::{runtime::Runtime, time::Instant};
use tracing::warn;

use crate::config::BaseUrl;

/// How long one batch may take.
const BATCH_LIMIT: Duration = Duration::from_secs(5);

/// How often at most the log mentions lost spans.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// A runtime for the exporter's connection alone.
pub(super) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("ferry-telemetry").enable_all().build()
}

/// An exporter that connects when it has something to send. Must be made within [`runtime`].
pub(super) fn otlp(endpoint: &BaseUrl) -> Result<impl SpanExporter + use<>, ExporterBuildError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.to_string())
        .with_timeout(BATCH_LIMIT)
        .build()?;
    Ok(Patient { exporter, endpoint: endpoint.to_string(), losses: Mutex::default() })
}

/// Loses spans quietly: an exporter whose failures are one log line a minute.
struct Patient<E> {
    exporter: E,
    endpoint: String,
    losses: Mutex<Losses>,
}

#[derive(Debug, Default)]
struct Losses {
    spans: usize,
    complained: Option<Instant>,
}

impl Losses {
    /// Counts, and says how many to complain about now, if it is time.
    fn add(&mut self, spans: usize, now: Instant) -> Option<usize> {
        self.spans += spans;
        if self.complained.is_some_and(|last| now.saturating_duration_since(last) < COMPLAIN_EVERY) {
            return None;
        }
        self.complained = Some(now);
        Some(std::mem::take(&mut self.spans))
    }
}

impl<E: SpanExporter> SpanExporter for Patient<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let sent = self.exporter.export(batch).await;
        if let Err(error) = &sent {
            let lost = self.losses.lock().unwrap_or_else(PoisonError::into_inner).add(spans, Instant::now());
            if let Some(lost) = lost {
                warn!(endpoint = self.endpoint, spans = lost, %error, "the trace collector did not take spans; they are lost");
            }
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E> fmt::Debug for Patient<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patient").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_spans_are_mentioned_once_a_minute() {
        let mut losses = Losses::default();
        let start = Instant::now();
        assert_eq!(losses.add(3, start), Some(3));
        assert_eq!(losses.add(4, start + Duration::from_secs(59)), None);
        assert_eq!(losses.add(5, start + Duration::from_secs(60)), Some(9));
    }
}
