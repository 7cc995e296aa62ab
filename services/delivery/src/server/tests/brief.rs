//! Answers without content on the spot: the same octets as in the ordinary way, whoever sends them and however slow their reader.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use http::{HeaderValue, header};
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::{answer::Answer, request::Request};

const VALUE: &str = "private, no-store";

/// Redirects to where the target says, by either way; counts those of each.
#[derive(Default)]
struct Redirects {
    handled: AtomicUsize,
    briefly: AtomicUsize,
}

fn links(target: &str) -> [String; 2] {
    [1, 2].map(|number| format!("<http://b-{number}{target}>; rel=duplicate; pri={number}"))
}

impl Handler for Arc<Redirects> {
    async fn handle(&self, request: Request) -> Answer {
        self.handled.fetch_add(1, Relaxed);
        let target = request.target.as_str();
        let location = HeaderValue::try_from(format!("http://a{target}")).expect("a target is ASCII");
        let mut answer = Answer::empty(StatusCode::FOUND)
            .with(header::LOCATION, location)
            .with(header::CACHE_CONTROL, HeaderValue::from_static(VALUE));
        for link in links(target) {
            answer.headers.append(header::LINK, HeaderValue::try_from(link).expect("ASCII"));
        }
        answer
    }

    fn brief(&self, plain: Plain<'_>, brief: &mut Brief<'_>) -> bool {
        assert!(!plain.target.contains("panic"), "on purpose");
        let text = if plain.target.contains("unsound") { "/\r\nset-cookie: a=b" } else { plain.target };
        brief.status(StatusCode::FOUND);
        let Some(target) = Sound::of(text.as_bytes()) else { return false };
        brief.field(&header::LOCATION, &[Sound::literal("http://a"), target]);
        brief.field(&header::CACHE_CONTROL, &[Sound::literal(VALUE)]);
        for link in links(text) {
            brief.field(&header::LINK, &[Sound::of(link.as_bytes()).expect("ASCII")]);
        }
        self.briefly.fetch_add(1, Relaxed);
        !plain.target.contains("undecided")
    }
}

/// So that no way to answer on the spot is taken.
const ODD: &str = "Range: bytes=0-\r\n";

async fn both_ways(wire: &mut Wire, target: &str) -> [wire::Response; 2] {
    let [mut briefly, mut ordinarily] = [wire.get(target, "").await, wire.get(target, ODD).await];
    for answer in [&mut briefly, &mut ordinarily] {
        assert!(answer.field("date").ends_with(" GMT"));
        answer.fields.retain(|(name, _)| name != "date");
    }
    [briefly, ordinarily]
}

#[tokio::test]
async fn an_answer_on_the_spot_is_the_ordinary_one() {
    for setup in [Setup::default(), Setup::tls()] {
        let (redirects, tls) = (Arc::new(Redirects::default()), setup.tls.clone());
        let (address, _tasks) = setup.serve(Arc::clone(&redirects));
        let socket = wire::dial(address).await;
        let mut wire = match &tls {
            Some(identity) => Wire::over(identity.shake(socket).await),
            None => Wire::over(socket),
        };
        // The first is asked for where nothing was asked before, the second in a task of its own.
        for (round, target) in ["/a%20b", "/a?b=c&d"].into_iter().enumerate() {
            let [briefly, ordinarily] = both_ways(&mut wire, target).await;
            assert_eq!(briefly.status, 302);
            assert_eq!(briefly, ordinarily);
            assert_eq!([&redirects.briefly, &redirects.handled].map(|count| count.load(Relaxed)), [round + 1; 2]);
        }
    }
}

#[tokio::test]
async fn what_is_not_answered_on_the_spot_is_answered_in_the_ordinary_way() {
    let redirects = Arc::new(Redirects::default());
    let (address, _tasks) = Setup::default().serve(Arc::clone(&redirects));
    for (round, target) in ["/unsound", "/undecided", "/panic"].into_iter().enumerate() {
        let mut wire = Wire::connect(address).await;
        let answer = wire.get(target, "").await;
        assert_eq!((answer.status, answer.field("location")), (302, &*format!("http://a{target}")));
        assert_eq!(answer.field("set-cookie"), "");
        assert_eq!(redirects.handled.load(Relaxed), round + 1);
    }
}

#[tokio::test]
async fn a_client_that_asks_and_does_not_read_gets_all_of_it_in_order() {
    const ASKED: usize = 1000;
    for setup in [Setup::default(), Setup::tls()] {
        let (redirects, tls) = (Arc::new(Redirects::default()), setup.tls.clone());
        let (address, _tasks) = setup.serve(Arc::clone(&redirects));
        let socket = wire::dial_narrow(address).await;
        let stream: Box<dyn wire::Socket> = match &tls {
            Some(identity) => Box::new(identity.shake(socket).await),
            None => Box::new(socket),
        };
        // What the server reads at a time asks for more than its socket holds for this client.
        let (reads, mut writes) = tokio::io::split(stream);
        let asks = async move {
            for number in 0..ASKED {
                let ask = format!("GET /{number}/{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(400));
                writes.write_all(ask.as_bytes()).await.expect("the server reads");
            }
            writes.flush().await.expect("the server reads");
            writes
        };
        let mut wire = Wire::over(tokio::io::join(reads, tokio::io::sink()));
        let answers = async {
            for number in 0..ASKED {
                let answer = wire.answer(&Method::GET).await;
                let (_, path) = answer.field("location").split_once("//a/").expect("a URL");
                assert_eq!(path.split('/').next(), Some(&*number.to_string()));
            }
        };
        let (_writes, ()) = tokio::join!(asks, answers);
        assert_eq!(redirects.handled.load(Relaxed), 0, "all of them on the spot");
    }
}
