//! HTTP/2, by prior knowledge and by ALPN.

use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{tls::Identity, *};

pub(super) type Nothing = Empty<bytes::Bytes>;
pub(super) type Sender = http2::SendRequest<Nothing>;

pub(super) async fn handshake<S>(socket: S, tasks: &Tasks) -> Sender
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(socket));
    let (sender, connection) = handshake.await.expect("an HTTP/2 server");
    tasks.spawn("client", async move {
        // How it ends is seen by whoever waits for an answer.
        let _ = connection.await;
    });
    sender
}

fn get(target: &str) -> http::Request<Nothing> {
    http::Request::get(format!("http://x{target}")).body(Empty::new()).expect("a request")
}

#[tokio::test]
async fn streams_of_one_connection_are_answered_side_by_side() {
    let site = Site::start();
    let content = pattern(4 << 20);
    site.file("big", &content);
    let socket = wire::dial(site.address).await;
    let sender = handshake(socket, &site.tasks).await;
    let fetches = (0..8).map(|_| {
        let mut sender = sender.clone();
        async move {
            let answer = sender.send_request(get("/big")).await.expect("an answer");
            assert_eq!(answer.headers()["content-length"], (4 << 20).to_string());
            answer.into_body().collect().await.expect("a whole body").to_bytes()
        }
    });
    for body in futures_util::future::join_all(fetches).await {
        assert!(body == content);
    }
    tokio::time::timeout(Duration::from_secs(5), site.transfers.idle()).await.expect("all have ended");
    assert_eq!((site.transfers.totals().completed, site.transfers.totals().broken), (8, 0));
}

#[tokio::test]
async fn a_client_that_opens_no_window_loses_its_connection() {
    let site = Site::start_with(Limits { stall: Duration::from_millis(300), ..Limits::default() });
    site.file("big", &pattern(16 << 20));
    let socket = wire::dial(site.address).await;
    let mut sender = handshake(socket, &site.tasks).await;
    let answer = sender.send_request(get("/big")).await.expect("an answer");
    tokio::time::timeout(Duration::from_secs(10), site.transfers.idle()).await.expect("the transfer is given up");
    assert_eq!(site.transfers.totals().broken, 1);
    assert!(answer.into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_stop_lets_running_streams_end() {
    let site = Site::start();
    let content = pattern(16 << 20);
    site.file("big", &content);
    let socket = wire::dial(site.address).await;
    // A group of its own: the client is not what stops.
    let client = Tasks::new();
    let mut sender = handshake(socket, &client).await;
    let answer = sender.send_request(get("/big")).await.expect("an answer");
    site.tasks.stop();
    assert!(answer.into_body().collect().await.expect("a whole body").to_bytes() == content);
    site.tasks.finish(Duration::from_secs(5)).await.expect("nothing is left running");
}

#[tokio::test]
async fn tls_chooses_the_version_by_alpn() {
    let identity = Identity::new("h2");
    let handler = |request: Request| async move {
        Answer::text(StatusCode::OK, format!("{:?} {}", request.version, request.secure))
    };
    let (address, tasks) = Setup { tls: Some(identity.clone()), ..Setup::default() }.serve(handler);
    let mut silent = Wire::connect(address).await;
    let stream = identity.shake(wire::dial(address).await).await;
    let mut sender = handshake(stream, &tasks).await;
    let answer = sender.send_request(get("/")).await.expect("an answer");
    assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), "HTTP/2.0 true\n");
    // Accepted before the other, and still silent: a stop does not wait for its handshake.
    tasks.stop();
    let closed = tokio::time::timeout(Duration::from_secs(3), silent.rest()).await;
    assert_eq!(closed.expect("sooner than a handshake may take"), b"");
}
