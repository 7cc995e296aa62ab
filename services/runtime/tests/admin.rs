//! The admin listener, asked over real sockets by a real gRPC client and by plain HTTP.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use ferry_runtime::{
    Tasks,
    admin::{ALPN, AdminServer, AdminToken},
    metrics::Metrics,
    tls,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_stream::StreamExt;
use tonic::{
    Code, Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};

const TOKEN: &str = "correct-horse-battery";
const LIMIT: Duration = Duration::from_secs(10);

/// A listener on a free port of loopback.
struct Served {
    address: SocketAddr,
    tasks: Tasks,
}

impl Served {
    async fn start(configure: impl FnOnce(AdminServer) -> AdminServer) -> Self {
        let server = AdminServer::bind("127.0.0.1:0".parse().expect("valid")).await.expect("a free port");
        let address = server.local_addr();
        let tasks = Tasks::new();
        let routes =
            Router::new().route("/health", get(|| async { "well" })).route("/debug/pool", get(|| async { "1" }));
        configure(server.metrics(Metrics::new()).http(routes)).start(&tasks).expect("good descriptors");
        Self { address, tasks }
    }

    async fn channel(&self) -> Channel {
        let endpoint = Endpoint::try_from(format!("http://{}", self.address)).expect("a URL");
        endpoint.timeout(LIMIT).connect().await.expect("it listens")
    }

    /// The status and the whole answer to a GET over HTTP/1.1.
    async fn get(&self, path: &str, headers: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer))
            .await
            .expect("an answer in time")
            .expect("text");
        let status = answer.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, answer)
    }
}

async fn health(channel: Channel, service: &str) -> Result<ServingStatus, Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    Ok(HealthClient::new(channel).check(request).await?.into_inner().status())
}

fn question() -> v1::ServerReflectionRequest {
    let ask = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    v1::ServerReflectionRequest { host: String::new(), message_request: Some(ask) }
}

async fn services(channel: Channel) -> Result<Vec<String>, Status> {
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(tokio_stream::once(question())).await?.into_inner();
    let answer = answers.next().await.expect("an answer")?.message_response.expect("something in it");
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(list) = answer else {
        panic!("another answer than was asked for: {answer:?}");
    };
    Ok(list.service.into_iter().map(|service| service.name).collect())
}

#[tokio::test]
async fn grpc_and_http_share_the_port() {
    let served = Served::start(|server| server).await;
    assert_eq!(health(served.channel().await, "").await.expect("healthy"), ServingStatus::Serving);
    let (status, answer) = served.get("/metrics", "").await;
    assert_eq!(status, 200);
    assert!(
        answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("# EOF\n"), "{answer}");
    assert!(served.get("/debug/pool", "").await.1.ends_with("\r\n\r\n1"));
}

#[tokio::test]
async fn reflection_lists_services_in_both_versions() {
    let served = Served::start(|server| server).await;
    let names = services(served.channel().await).await.expect("reflection answers");
    assert!(names.iter().any(|name| name == "grpc.health.v1.Health"), "{names:?}");

    let ask =
        v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol("grpc.health.v1.Health".to_owned());
    let request = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(served.channel().await);
    let mut answers =
        client.server_reflection_info(tokio_stream::once(request)).await.expect("v1alpha answers").into_inner();
    let answer = answers.next().await.expect("an answer").expect("no error").message_response;
    assert!(
        matches!(answer, Some(v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(_))),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_service_that_was_added_is_serving_until_the_stop() {
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    };
    struct Deaf;
    #[tonic::async_trait]
    impl TraceService for Deaf {
        async fn export(
            &self,
            _spans: Request<ExportTraceServiceRequest>,
        ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
            Err(Status::internal("deaf"))
        }
    }
    let served = Served::start(|server| server.service(TraceServiceServer::new(Deaf))).await;
    let name = "opentelemetry.proto.collector.trace.v1.TraceService";
    assert_eq!(health(served.channel().await, name).await.expect("known"), ServingStatus::Serving);
    assert_eq!(health(served.channel().await, "no.such.Service").await.expect_err("unknown").code(), Code::NotFound);

    let mut watch = HealthClient::new(served.channel().await)
        .watch(HealthCheckRequest { service: name.to_owned() })
        .await
        .expect("it can be watched")
        .into_inner();
    served.tasks.stop();
    let mut last = None;
    while let Ok(Some(Ok(word))) = tokio::time::timeout(LIMIT, watch.next()).await {
        last = Some(word.status());
        if last == Some(ServingStatus::NotServing) {
            break;
        }
    }
    assert_eq!(last, Some(ServingStatus::NotServing), "a load balancer must hear of the stop");
}

#[tokio::test]
async fn what_is_unknown_is_said_to_be_in_the_askers_words() {
    let served = Served::start(|server| server).await;
    let mut grpc = tonic::client::Grpc::new(served.channel().await);
    grpc.ready().await.expect("connected");
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckRequest>::default();
    let path = "/ferry.v1.NoService/NoMethod".parse().expect("a path");
    let refused =
        grpc.unary(Request::new(HealthCheckRequest::default()), path, codec).await.expect_err("no such service");
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(served.get("/nothing", "").await.0, 404);
}

#[tokio::test]
async fn a_token_guards_all_but_health() {
    let served = Served::start(|server| server.token(AdminToken::new(TOKEN))).await;
    for wrong in ["", "Authorization: Bearer wrong-horse-battery\r\n"] {
        let (status, answer) = served.get("/metrics", wrong).await;
        assert_eq!(status, 401);
        assert!(answer.contains("www-authenticate: Bearer\r\n"), "RFC 9110 section 11.6.1: {answer}");
    }
    assert_eq!(served.get("/debug/pool", "").await.0, 401);
    assert_eq!(served.get("/nothing", "").await.0, 401, "what exists is not told either");
    assert_eq!(served.get("/health", "").await.0, 200);
    assert_eq!(served.get("/metrics", &format!("Authorization: Bearer {TOKEN}\r\n")).await.0, 200);

    let channel = served.channel().await;
    assert_eq!(services(channel.clone()).await.expect_err("no token").code(), Code::Unauthenticated);
    assert_eq!(health(channel.clone(), "").await.expect("health is open"), ServingStatus::Serving);
    let bearer: tonic::metadata::MetadataValue<_> =
        AdminToken::new(TOKEN).expect("fit").bearer().parse().expect("a header value");
    let mut client = v1::server_reflection_client::ServerReflectionClient::with_interceptor(
        channel,
        move |mut request: Request<()>| {
            request.metadata_mut().insert("authorization", bearer.clone());
            Ok(request)
        },
    );
    client.server_reflection_info(tokio_stream::once(question())).await.expect("the token opens");
}

#[tokio::test]
async fn the_listener_speaks_tls_when_it_has_an_identity() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
    let (certificate, key) = (directory.path().join("a.pem"), directory.path().join("a.key"));
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let config = tls::server_config(&certificate, &key, ALPN).expect("they fit");

    let served = Served::start(|server| server.tls(Some(config))).await;
    let trust = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(made.cert.pem())).domain_name("localhost");
    let endpoint = Endpoint::try_from(format!("https://{}", served.address)).expect("a URL");
    let channel = endpoint.tls_config(trust).expect("a good authority").connect().await.expect("TLS works");
    assert_eq!(health(channel, "").await.expect("healthy"), ServingStatus::Serving);

    let mut plain = TcpStream::connect(served.address).await.expect("it listens");
    plain.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    let _ended = tokio::time::timeout(LIMIT, plain.read_to_end(&mut answer)).await.expect("it hangs up");
    assert!(!answer.starts_with(b"HTTP/"), "plain text was answered on a TLS port");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let first = AdminServer::bind("127.0.0.1:0".parse().expect("valid")).await.expect("a free port");
    let refused = AdminServer::bind(first.local_addr()).await.expect_err("it is taken");
    assert_eq!(refused.to_string(), format!("could not listen on {}", first.local_addr()));
}

#[tokio::test]
async fn a_stop_ends_idle_connections_at_once_and_open_streams_soon() {
    let served = Served::start(|server| server).await;
    let _idle = served.channel().await;
    let mut client = HealthClient::new(served.channel().await);
    let mut open = client.watch(HealthCheckRequest::default()).await.expect("a stream that has no end").into_inner();
    open.next().await.expect("its first word").expect("no error");
    assert_eq!(served.tasks.finish(LIMIT).await, Ok(()), "a stream held up the stop");
}
