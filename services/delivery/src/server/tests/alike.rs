//! Both engines, asked the same over every kind of connection: what they answer differs in nothing but what belongs to the connection.

mod malformed;
mod requests;

use std::path::Path;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt as _;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use tempfile::TempDir;
use tokio::runtime;

use super::{
    multiplexed::{self, Sender},
    site::{Files, age},
    tls::Identity,
    wire::Response,
    *,
};
use crate::{answer::Body, ready::Prompt, stream::ByteStream, transfers::Transfers};
use requests::Ask;

/// How a server is reached, and how it answers there.
struct Way {
    name: &'static str,
    address: SocketAddr,
    tls: Option<Identity>,
    _tasks: Tasks,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    answer: Response,
    /// Whether the connection took another request.
    kept: bool,
}

/// A folder with a file of each kind.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("folder")).expect("a folder");
    for (name, length) in [("small.txt", 1000), ("large.bin", 200_000), ("empty", 0), ("folder/a b", 3)] {
        let path = folder.path().join(name);
        std::fs::write(&path, pattern(length)).expect("a file");
        age(&path);
    }
    folder
}

/// Files, and beside them what no file gives: bodies of unknown length, and of none.
struct Various(Files);

impl Handler for Various {
    async fn handle(&self, request: Request) -> Answer {
        let chunks = || stream::iter([&b"one"[..], b"", b"two"].map(|part| Ok(Bytes::from_static(part))));
        let streamed = |length| Body::Stream(ByteStream::new(length, chunks()));
        match request.target.path() {
            "/stream" => Answer { body: streamed(None), ..Answer::empty(StatusCode::OK) },
            "/known" => Answer { body: streamed(Some(6)), ..Answer::empty(StatusCode::OK) },
            "/nothing" => Answer::empty(StatusCode::NO_CONTENT),
            "/closing" => Answer::text(StatusCode::OK, "the last").closing(),
            _ => self.0.handle(request).await,
        }
    }

    fn ready(&self, plain: Plain<'_>) -> Option<Prompt> {
        self.0.ready(plain)
    }
}

impl Way {
    fn open(name: &'static str, root: &Path, setup: Setup) -> Self {
        let (tls, settings) = (setup.tls.clone(), setup.settings.clone());
        let (address, tasks) = setup.serve(Various(Files::below(root, settings, Transfers::new())));
        Self { name, address, tls, _tasks: tasks }
    }

    async fn connect(&self) -> Wire {
        let socket = wire::dial(self.address).await;
        match &self.tls {
            Some(identity) => Wire::over(identity.shake(socket).await),
            None => Wire::over(socket),
        }
    }

    async fn ask(&self, ask: &Ask) -> Outcome {
        let mut wire = self.connect().await;
        // A server that has refused a head need not read what follows.
        let _ = wire.try_send(ask.octets()).await;
        let mut answer = wire.head_or_end().await.unwrap_or_else(|| panic!("{} did not answer {ask:?}", self.name));
        answer.body = wire.body(&ask.method(), &answer).await;
        assert!(answer.field("date").ends_with(" GMT"), "{}: {ask:?}", self.name);
        let chunked = !answer.field("transfer-encoding").is_empty();
        assert!(!(chunked && ask.is_old()), "{}: HTTP/1.0 knows no chunks: {ask:?}", self.name);
        let said = answer.field("connection").to_owned();
        let _ =
            wire.try_send("GET /small.txt HTTP/1.1\r\nHost: x\r\nRange: bytes=7-7\r\nConnection: close\r\n\r\n").await;
        let next = wire.head_or_end().await;
        let kept = next.is_some();
        if let Some(next) = next {
            assert_eq!((next.status, wire.rest().await), (206, vec![7]), "{}, behind {ask:?}", self.name);
        }
        // Each version has one of the two for what is no matter of course (RFC 9112 section 9.3).
        let told = if ask.is_old() { said == "keep-alive" } else { said != "close" };
        // hyper, which hears requests with content in any case, is not always true to its word.
        let by_hyper = self.name == "hyper" || ask.has_content();
        assert!(told == kept || by_hyper, "{} says {said:?} to {ask:?}", self.name);
        Outcome { answer: comparable(answer), kept }
    }
}

/// The answer without what belongs to the moment or to the connection: the date, the boundary of parts, and the connection's own fields
/// (RFC 9110 section 7.6.1).
fn comparable(mut answer: Response) -> Response {
    let apart = ["date", "connection", "keep-alive", "transfer-encoding"];
    answer.fields.retain(|(name, _)| !apart.contains(&name.as_str()));
    answer.fields.sort_by(|one, other| one.0.cmp(&other.0));
    if let Some((before, boundary)) = answer.field("content-type").split_once("boundary=") {
        let (kind, boundary) = (before.to_owned(), boundary.as_bytes().to_vec());
        let (_, value) = answer.fields.iter_mut().find(|(name, _)| name == "content-type").expect("it has one");
        *value = kind;
        let length = boundary.len();
        while let Some(at) = answer.body.windows(length).position(|part| part == boundary) {
            answer.body[at..at + length].fill(b'-');
        }
    }
    answer
}

async fn ask_multiplexed(sender: &mut Sender, request: http::Request<multiplexed::Nothing>) -> Response {
    let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
    let fields =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.to_str().expect("ASCII").to_owned()));
    let (status, fields) = (head.status.as_u16(), fields.collect());
    let body = body.collect().await.expect("a whole body").to_bytes().to_vec();
    comparable(Response { status, fields, body })
}

/// Tries `test` on many a `T`; the smallest that fails is told.
fn each<T: std::fmt::Debug>(
    cases: u32,
    strategy: &impl proptest::strategy::Strategy<Value = T>,
    test: impl Fn(T) -> Result<(), TestCaseError>,
) {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    match runner.run(strategy, test) {
        Ok(()) => {}
        Err(TestError::Fail(why, ask)) => panic!("{why}\nfor {ask:?}"),
        Err(abort) => panic!("{abort}"),
    }
}

#[test]
fn engines_give_the_same_answers() {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = folder();
    let root = folder.path();
    let (reference, ways, sender) = runtime.block_on(async {
        let reference = Way::open("hyper", root, Setup::hyper());
        let ways = [
            Way::open("the own engine", root, Setup::default()),
            Way::open("the own engine through a buffer", root, Setup::buffered(1000)),
            Way::open("the own engine over TLS", root, Setup::tls()),
        ];
        let socket = wire::dial(ways[0].address).await;
        let sender = multiplexed::handshake(socket, &ways[0]._tasks).await;
        (reference, ways, sender)
    });
    each(400, &requests::any(), |ask| {
        runtime.block_on(async {
            let expected = reference.ask(&ask).await;
            for way in &ways {
                // What is asked for as https is another thing over TLS.
                if way.tls.is_some() && ask.names_a_scheme() {
                    continue;
                }
                let outcome = way.ask(&ask).await;
                proptest::prop_assert!(outcome == expected, "{} gives {outcome:?},\nnot {expected:?}", way.name);
            }
            if let Some(request) = ask.multiplexed() {
                let answer = ask_multiplexed(&mut sender.clone(), request).await;
                let expected = &expected.answer;
                proptest::prop_assert!(answer == *expected, "HTTP/2 gives {answer:?},\nnot {expected:?}");
            }
            Ok(())
        })
    });
}
