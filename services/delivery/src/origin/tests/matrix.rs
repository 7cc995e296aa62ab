//! Every fault of an origin, against a client that wants the whole and one that wants a part, over both protocols: right bytes, or a
//! clean error. Never other bytes, and never too few that look like all.

use std::{ops::Range, time::Duration};

use http::{HeaderMap, HeaderValue, header};

use super::*;
use crate::origin::faulty::{Fault, Faulty, Transport};

const LENGTH: u64 = 120_000;
const PART: Range<u64> = 40_000..100_000;

/// Where bodies break off: within both.
const AT: u64 = 30_000;

/// What a client may see of a fault that strikes once, and of one that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// All the bytes, as if nothing had been.
    Right,
    /// An error, before the first byte or after some right ones.
    Error,
    /// Either: it depends on what arrives first.
    Clean,
}
use Outcome::{Clean, Error, Right};

/// Each fault, what a client sees if it strikes once, and what if it strikes every time.
fn faults() -> Vec<(Fault, Outcome, Outcome)> {
    let pause = Duration::from_millis(2);
    vec![
        (Fault::None, Right, Right),
        (Fault::Slow(pause), Right, Right),
        (Fault::Garbage, Right, Error),
        (Fault::Unheard, Right, Error),
        (Fault::Reset(0), Right, Error),
        (Fault::Reset(AT), Right, Clean),
        (Fault::Close(0), Right, Error),
        (Fault::Close(1), Right, Error),
        (Fault::Close(AT), Right, Right),
        (Fault::GoAway(0), Right, Error),
        (Fault::GoAway(AT), Right, Clean),
        (Fault::Last, Right, Right),
        (Fault::Overlong(1000), Clean, Clean),
        (Fault::Overfull(1000), Clean, Clean),
        (Fault::Chunked, Right, Right),
        (Fault::ChunkedClose(AT), Right, Right),
        (Fault::Weak, Right, Right),
        (Fault::Untagged, Right, Right),
        (Fault::GzipLie, Right, Right),
        (Fault::Status(500), Right, Error),
        (Fault::Status(502), Right, Error),
        (Fault::Status(503), Right, Error),
        (Fault::Status(504), Right, Error),
        (Fault::Status(999), Error, Error),
        (Fault::StatusWith(503, "retry-after", "9"), Error, Error),
        (Fault::StatusWith(500, "cache-control", "max-age=9"), Error, Error),
        (Fault::Redirect("http://192.0.2.1/elsewhere".to_owned()), Error, Error),
        (Fault::Redirect("/round".to_owned()), Right, Error),
    ]
}

/// Those that take as long as the limits on silence. Alone, so that nothing else in the test's one thread is taken for silence.
fn stalls() -> Vec<(Fault, Outcome, Outcome)> {
    vec![(Fault::Silent, Error, Error), (Fault::Hang(0), Right, Error), (Fault::Hang(AT), Right, Clean)]
}

/// Faults of ranges. The whole is never asked for with one, so there they are none.
fn faults_of_parts() -> Vec<(Fault, Outcome, Outcome)> {
    vec![
        (Fault::Shifted, Right, Error),
        (Fault::Unlabelled, Right, Error),
        (Fault::Miscounted, Right, Error),
        (Fault::Short { tagged: false }, Error, Error),
        (Fault::Short { tagged: true }, Right, Error),
        (Fault::Whole, Right, Right),
    ]
}

/// What a client received: where its bytes begin, the bytes, and whether they claim to be all.
struct Received {
    first: u64,
    bytes: Vec<u8>,
    complete: bool,
}

async fn receive(origins: &Origins, part: Option<&Range<u64>>) -> Result<Received, OriginError> {
    let mut client = HeaderMap::new();
    if let Some(part) = part {
        let range = format!("bytes={}-{}", part.start, part.end - 1);
        client.insert(header::RANGE, HeaderValue::try_from(range).expect("a field value"));
    }
    let answer = fetch(origins, Method::GET, "/object", &client).await?;
    let label = answer.headers.get(header::CONTENT_RANGE).map(|range| range.to_str().expect("text").to_owned());
    let first = match (answer.status.as_u16(), label, part) {
        (206, Some(label), Some(_)) => {
            let (first, _) = label.trim_start_matches("bytes ").split_once('-').expect("a range");
            first.parse().expect("a position")
        }
        (200, None, _) => 0,
        other => panic!("no such answer was asked for: {other:?}"),
    };
    let announced = answer.body.length();
    let (bytes, error) = read(answer).await;
    if let (Some(length), None) = (announced, &error) {
        assert_eq!(bytes.len() as u64, length, "the announced length is kept");
    }
    Ok(Received { first, bytes, complete: error.is_none() })
}

/// Limits that a busy machine does not meet by itself; shorter ones only for an origin that says nothing, since they must pass.
fn patient(faulty: &Faulty, fault: &Fault, expected: Outcome) -> Origins {
    let mut origin = OriginSettings::new(faulty.url().parse().expect("a base"));
    origin.trust = faulty.certificate().map_or(Trust::System, |certificate| Trust::Only(vec![certificate]));
    let mut settings = Settings::new(vec![origin], "node-1");
    settings.connect = SHORT * 100;
    if matches!(fault, Fault::Silent | Fault::Hang(_)) {
        (settings.head, settings.idle) = (SHORT * 5, SHORT * 5);
    }
    // What never gets better must be given up; what does may take its time.
    settings.resume = if expected == Right { SHORT * 200 } else { SHORT * 10 };
    Origins::new(&settings).expect("good settings")
}

async fn check(transport: Transport, part: Option<&Range<u64>>, fault: &Fault, expected: Outcome, lasting: bool) {
    let faulty = Faulty::start(transport, LENGTH).await;
    let origins = patient(&faulty, fault, expected);
    if lasting {
        faulty.always(fault.clone());
    } else {
        faulty.next([fault.clone()]);
    }
    let what = format!("{fault:?} over {transport:?}, {part:?}, lasting: {lasting}");
    let outcome = match receive(&origins, part).await {
        Err(error) => {
            assert!(error.answer().status.is_server_error(), "{what}: {error}");
            Error
        }
        Ok(received) => {
            let whole = 0..LENGTH;
            // An origin that knows no ranges may send the whole.
            let wanted = if received.first == 0 { &whole } else { part.unwrap_or(&whole) };
            assert_eq!(received.first, wanted.start, "{what}");
            assert!(faulty.content().has(1, received.first, &received.bytes), "{what}: other bytes than the origin's");
            let all = received.bytes.len() as u64 == wanted.end - wanted.start;
            // What was announced as the whole, and is the announced length, cannot be told from the whole.
            assert!(
                all || !received.complete || matches!(fault, Fault::Overfull(_)),
                "{what}: too few bytes look like all"
            );
            if received.complete { Right } else { Error }
        }
    };
    assert!(expected == Clean || expected == outcome, "{what}: {outcome:?} where {expected:?} was expected");
    let pool = &origins.pool_stats()[0];
    assert_eq!((pool.in_flight, pool.waiting), (0, 0), "{what}: turns are given back");
}

async fn check_all(transport: Transport, part: Option<Range<u64>>) {
    let of_parts = if part.is_some() { faults_of_parts() } else { Vec::new() };
    check_each(transport, part.clone(), faults().into_iter().chain(of_parts)).await;
    check_each(transport, part, stalls().into_iter()).await;
}

async fn check_each(
    transport: Transport,
    part: Option<Range<u64>>,
    faults: impl Iterator<Item = (Fault, Outcome, Outcome)>,
) {
    let mut checks = Vec::new();
    for (fault, once, always) in faults {
        for (expected, lasting) in [(once, false), (always, true)] {
            let (part, fault) = (part.clone(), fault.clone());
            // Each of them mostly waits.
            checks.push(async move { check(transport, part.as_ref(), &fault, expected, lasting).await });
        }
    }
    futures_util::future::join_all(checks).await;
}

#[tokio::test]
async fn no_fault_spoils_a_whole_object_over_http1() {
    check_all(Transport::Plain, None).await;
}

#[tokio::test]
async fn no_fault_spoils_a_part_over_http1() {
    check_all(Transport::Plain, Some(PART)).await;
}

#[tokio::test]
async fn no_fault_spoils_a_whole_object_over_tls() {
    check_all(Transport::Tls, None).await;
}

#[tokio::test]
async fn no_fault_spoils_a_whole_object_over_http2() {
    check_all(Transport::Http2, None).await;
}

#[tokio::test]
async fn no_fault_spoils_a_part_over_http2() {
    check_all(Transport::Http2, Some(PART)).await;
}

#[tokio::test]
async fn tls_that_proves_nothing_is_no_origin() {
    for transport in [Transport::Expired, Transport::Misnamed, Transport::MuteTls, Transport::NoTls] {
        let faulty = Faulty::start(transport, LENGTH).await;
        let mut origin = OriginSettings::new(faulty.url().parse().expect("a base"));
        origin.trust = Trust::Only(faulty.certificate().into_iter().collect());
        let mut settings = Settings::new(vec![origin], "node-1");
        (settings.connect, settings.retries) = (SHORT, 0);
        let origins = Origins::new(&settings).expect("good settings");
        let error = receive(&origins, None).await.err().unwrap_or_else(|| panic!("{transport:?} was believed"));
        assert!(matches!(error, OriginError::Unreachable { .. }), "{transport:?}: {error}");
        assert!(faulty.seen().is_empty(), "{transport:?}: nothing is said to whom it may not concern");
    }
}
