//! Spans on their way to a collector, which is a real gRPC server here.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use ferry_core::trace::TraceContext;
use ferry_runtime::{
    Tasks,
    admin::AdminServer,
    config::{BaseUrl, FromSetting},
    telemetry::{Filter, Format, TRACED, Telemetry, TelemetryConfig, context_of, set_parent},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use tokio::{runtime::Runtime, sync::mpsc};
use tonic::{Request, Response, Status};
use tracing::{Dispatch, dispatcher::with_default, info, info_span};

const LIMIT: Duration = Duration::from_secs(10);

/// Hands what it is sent to the test.
struct Collector(mpsc::Sender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send(request.into_inner()).await.expect("the test listens");
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector on a runtime of its own, as if in another process, and what it was sent.
struct Collecting {
    address: SocketAddr,
    arrived: mpsc::Receiver<ExportTraceServiceRequest>,
    runtime: Option<Runtime>,
}

impl Collecting {
    fn start() -> Self {
        let (send, arrived) = mpsc::channel(16);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("threads can be started");
        let listen = AdminServer::bind("127.0.0.1:0".parse().expect("valid"));
        let server = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(listen)).join());
        let server = server.expect("no panic").expect("a free port");
        let address = server.local_addr();
        let _within = runtime.enter();
        server
            .service(TraceServiceServer::new(Collector(send)))
            .start(&Tasks::new())
            .expect("no descriptors of its own");
        Self { address, arrived, runtime: Some(runtime) }
    }

    /// The next batch's spans, and its resource.
    async fn spans(&mut self) -> (String, Vec<Span>) {
        let batch = tokio::time::timeout(LIMIT, self.arrived.recv()).await.expect("in time").expect("a batch");
        let resource = format!("{:?}", batch.resource_spans.iter().map(|part| &part.resource).collect::<Vec<_>>());
        let scopes = batch.resource_spans.into_iter().flat_map(|part| part.scope_spans);
        (resource, scopes.flat_map(|scope| scope.spans).collect())
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Log lines, kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
    }
}

fn start(collector: Option<SocketAddr>, format: Format) -> (Telemetry, Dispatch, Lines) {
    let config = TelemetryConfig {
        role: "gateway",
        instance: "g1".to_owned(),
        filter: Filter::parse("info").expect("a level"),
        format,
        otlp_endpoint: collector.map(|at| BaseUrl::parse(&format!("http://{at}")).expect("a URL")),
        trace_sample: 1.0,
    };
    let lines = Lines::default();
    let writer = lines.clone();
    let (telemetry, dispatch) = Telemetry::build(&config, move || writer.clone()).expect("it starts");
    (telemetry, dispatch, lines)
}

const CLIENT: TraceContext = TraceContext { trace_id: [7; 16], span_id: [9; 8], sampled: true };

#[tokio::test]
async fn spans_reach_the_collector_in_the_clients_trace() {
    let mut collector = Collecting::start();
    let (telemetry, dispatch, _) = start(Some(collector.address), Format::Text);
    let handed_on = with_default(&dispatch, || {
        // A span of another target around it, as every task has one, is no part of the trace.
        let _task = info_span!("task").entered();
        let redirect = info_span!(target: TRACED, "redirect", otel.kind = "server", path = "/a");
        set_parent(&redirect, &CLIENT);
        let handed_on = context_of(&redirect).expect("it is exported");
        redirect.in_scope(|| info_span!(target: TRACED, "select").in_scope(|| info!("a log line, not an event")));
        handed_on
    });
    assert_eq!((handed_on.trace_id, handed_on.sampled), (CLIENT.trace_id, true));
    assert_ne!(handed_on.span_id, CLIENT.span_id);

    let (resource, spans) = collector.spans().await;
    assert!(resource.contains("ferry-gateway") && resource.contains("g1"), "{resource}");
    assert_eq!(spans.len(), 2, "{spans:?}");
    let named = |name: &str| spans.iter().find(|span| span.name == name).expect("both spans");
    assert_eq!(named("redirect").trace_id, CLIENT.trace_id);
    assert_eq!(named("redirect").parent_span_id, CLIENT.span_id);
    assert_eq!(named("redirect").span_id, handed_on.span_id);
    assert_eq!(named("select").parent_span_id, handed_on.span_id);
    assert!(named("select").events.is_empty(), "log lines are not exported");
    telemetry.finish();
}

#[tokio::test]
async fn a_span_within_a_task_begins_a_trace_of_its_own() {
    let mut collector = Collecting::start();
    let (telemetry, dispatch, _) = start(Some(collector.address), Format::Text);
    with_default(&dispatch, || {
        let _task = info_span!("task").entered();
        for _ in 0..2 {
            drop(info_span!(target: TRACED, "redirect").entered());
        }
    });
    // This runtime has one thread, which now waits for the last spans to be sent: not for itself, up to
    // the limit of two seconds.
    let began = Instant::now();
    telemetry.finish();
    assert!(began.elapsed() < Duration::from_millis(1900), "the flush ran into its limit");
    let (_, spans) = collector.spans().await;
    let [one, other] = spans.as_slice() else { panic!("two spans, not {spans:?}") };
    assert!(one.parent_span_id.is_empty() && other.parent_span_id.is_empty());
    assert_ne!(one.trace_id, other.trace_id);
}

#[test]
fn a_collector_that_is_away_costs_only_the_spans() {
    // A port that was free a moment ago, and that nobody listens on.
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let (telemetry, dispatch, lines) = start(Some(free), Format::Text);
    let began = Instant::now();
    with_default(&dispatch, || {
        for _ in 0..20_000 {
            drop(info_span!(target: TRACED, "redirect").entered());
        }
    });
    assert!(began.elapsed() < Duration::from_secs(2), "making spans waited for the collector: {:?}", began.elapsed());
    let began = Instant::now();
    telemetry.finish();
    assert!(began.elapsed() < Duration::from_secs(4), "the end waited for the collector: {:?}", began.elapsed());
    assert!(!lines.text().contains("ERROR"), "{}", lines.text());
}

#[test]
fn without_an_endpoint_nothing_is_traced() {
    let (telemetry, dispatch, _) = start(None, Format::Text);
    assert!(!telemetry.sampler().decide(Some(&CLIENT)));
    with_default(&dispatch, || {
        let span = info_span!(target: TRACED, "redirect");
        set_parent(&span, &CLIENT);
        assert_eq!(context_of(&span), None);
    });
    assert_eq!(context_of(&tracing::Span::none()), None);
}

#[test]
fn log_lines_are_json_when_asked() {
    let (_telemetry, dispatch, lines) = start(None, Format::Json);
    with_default(&dispatch, || {
        info!(node = "n1", "joined");
        tracing::debug!("below the level");
    });
    let text = lines.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in ["\"level\":\"INFO\"", "\"message\":\"joined\"", "\"node\":\"n1\"", "\"target\":\"telemetry\""] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}
