//! Every fault of an origin, against clients of a cold object: one that wants all of it, one that wants a part, and both at once. Right bytes or a
//! clean error, never other bytes, and never too few that look like all; and what is in the cache afterwards is true.

use std::{ops::Range, time::Duration};

use futures_util::{StreamExt as _, stream};

use super::world::{Got, Setup, World, range};
use crate::origin::faulty::{Fault, Transport};

/// Four blocks and a bit.
const LENGTH: u64 = 70_000;
const BLOCK: u32 = 16 << 10;

/// From the middle of a block to the middle of another.
const PART: Range<u64> = 20_000..60_000;

/// Where bodies break off: within a block, of the whole and of the part.
const AT: u64 = 15_000;

const SHORT: Duration = Duration::from_millis(300);

/// How many worlds there are at once.
const AT_ONCE: usize = 64;

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

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clients {
    Whole,
    Part,
    Both,
}

struct Case {
    transport: Transport,
    clients: Clients,
    fault: Fault,
    lasting: bool,
    expected: Outcome,
}

/// Each fault, what a client sees if it strikes once, and what if it strikes every time.
fn faults() -> Vec<(Fault, Outcome, Outcome)> {
    vec![
        (Fault::None, Right, Right),
        (Fault::Slow(Duration::from_millis(2)), Right, Right),
        (Fault::Silent, Error, Error),
        (Fault::Garbage, Right, Error),
        (Fault::Unheard, Right, Error),
        (Fault::Hang(0), Right, Error),
        (Fault::Hang(AT), Right, Clean),
        (Fault::Reset(0), Right, Error),
        (Fault::Reset(AT), Right, Clean),
        (Fault::Close(0), Right, Error),
        (Fault::Close(1), Right, Error),
        (Fault::Close(AT), Right, Right),
        (Fault::GoAway(0), Right, Error),
        (Fault::GoAway(AT), Right, Clean),
        (Fault::Last, Right, Right),
        (Fault::Overlong(1000), Clean, Clean),
        (Fault::Chunked, Right, Right),
        (Fault::ChunkedClose(AT), Right, Right),
        (Fault::Whole, Right, Right),
        (Fault::Renewed, Right, Right),
        (Fault::Careless, Right, Right),
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

/// Faults of parts: who wants the whole meets none of them, nor who waits for it.
fn faults_of_parts(clients: Clients) -> Vec<(Fault, Outcome, Outcome)> {
    let (lasting, short) = match clients {
        Clients::Whole => (Right, Right),
        Clients::Part => (Error, Clean),
        // Who of the two asks the origin is not said.
        Clients::Both => (Clean, Clean),
    };
    vec![
        (Fault::Shifted, Right, lasting),
        (Fault::Unlabelled, Right, lasting),
        (Fault::Miscounted, Right, lasting),
        (Fault::Short { tagged: false }, Right, lasting),
        (Fault::Short { tagged: true }, Right, short),
    ]
}

/// Two at once: what breaks off cannot be gone on with where nothing strong tells versions apart, or where the origin changes its mind.
fn double_faults() -> Vec<(Fault, Outcome, Outcome)> {
    let (weak, untagged) = (|fault| Fault::Weak.and(fault), |fault| Fault::Untagged.and(fault));
    vec![
        (weak(Fault::Close(AT)), Clean, Error),
        (weak(Fault::Reset(AT)), Clean, Error),
        (weak(Fault::Chunked), Right, Right),
        (weak(Fault::ChunkedClose(AT)), Clean, Error),
        (weak(Fault::Renewed), Right, Right),
        (untagged(Fault::Close(AT)), Clean, Error),
        (untagged(Fault::Hang(AT)), Clean, Error),
        (untagged(Fault::ChunkedClose(AT)), Clean, Error),
        (untagged(Fault::Careless), Right, Right),
        (Fault::Whole.and(Fault::Chunked), Right, Right),
        (Fault::Whole.and(Fault::Close(AT)), Right, Clean),
        (Fault::Renewed.and(Fault::Close(AT)), Right, Clean),
        (Fault::Careless.and(Fault::Close(AT)), Right, Clean),
        (Fault::Careless.and(Fault::ChunkedClose(AT)), Right, Clean),
        (Fault::GzipLie.and(Fault::Chunked), Right, Right),
    ]
}

/// What comes upon a cache that has a part of the first version. Who asks for the whole gets one version.
fn changes() -> Vec<Vec<Fault>> {
    vec![
        vec![Fault::Renewed],
        vec![Fault::Careless],
        vec![Fault::Close(AT), Fault::Renewed],
        vec![Fault::Close(AT), Fault::Careless],
        vec![Fault::Careless, Fault::Careless, Fault::Careless],
        vec![Fault::Renewed, Fault::Close(AT)],
        vec![Fault::Renewed.and(Fault::Weak)],
        vec![Fault::Careless.and(Fault::Weak)],
        vec![Fault::Careless.and(Fault::Untagged)],
        vec![Fault::Renewed.and(Fault::Chunked), Fault::Renewed.and(Fault::Chunked)],
        vec![Fault::Careless.and(Fault::Short { tagged: true })],
        vec![Fault::Weak],
        vec![Fault::Untagged],
        vec![Fault::Whole.and(Fault::Weak)],
        vec![Fault::Whole.and(Fault::Untagged)],
        vec![Fault::Whole.and(Fault::Renewed)],
        vec![Fault::Short { tagged: true }, Fault::Careless],
        vec![Fault::Status(404), Fault::Renewed],
        vec![Fault::Status(416)],
    ]
}

/// Limits that a busy machine does not meet by itself; shorter ones only for an origin that says nothing, since they must pass.
fn setup(case: &Case) -> Setup {
    let mut setup = Setup { transport: case.transport, ..Setup::of(LENGTH) };
    setup.store.block_bytes = BLOCK;
    let limits = &mut setup.origins;
    limits.connect = SHORT * 100;
    let is_still = |fault: &Fault| matches!(fault, Fault::Silent | Fault::Hang(_));
    if is_still(&case.fault) || matches!(&case.fault, Fault::Both(both) if both.iter().any(is_still)) {
        (limits.head, limits.idle) = (SHORT * 5, SHORT * 5);
    }
    // What never gets better must be given up; what does may take its time.
    limits.resume = if case.expected == Right { SHORT * 200 } else { SHORT * 10 };
    setup
}

async fn check(case: Case) {
    let Case { transport, clients, fault, lasting, expected } = &case;
    let what = format!("{fault:?} over {transport:?}, {clients:?}, lasting: {lasting}");
    let world = World::of(setup(&case)).await;
    world.origin.say("cache-control", "max-age=60");
    match lasting {
        true => world.origin.always(fault.clone()),
        false => world.origin.next([fault.clone()]),
    }
    let answers = Box::pin(clients.ask(&world)).await;
    for got in &answers {
        let outcome = outcome(&world, got);
        // Of two who wait for one answer that is not kept, the second asks again.
        let expected = if answers.len() > 1 && *expected == Error { Clean } else { *expected };
        assert!(expected == Clean || expected == outcome, "{what}: {expected:?} was expected, and not {got:?}");
    }
    well_again(&world, &what).await;
}

async fn check_change(faults: Vec<Fault>) {
    let case = Case {
        transport: Transport::Plain,
        clients: Clients::Whole,
        fault: Fault::None,
        lasting: false,
        expected: Right,
    };
    let world = World::of(setup(&case)).await;
    world.origin.say("cache-control", "max-age=60");
    let first = world.ask("a", &[range(PART.start, PART.end - 1)]).await;
    assert_eq!(world.version_of(&first, &PART), 1, "{first:?}");
    let what = format!("a change: {faults:?}");
    world.origin.next(faults);
    for got in Box::pin(Clients::Both.ask(&world)).await {
        // It has bytes of one version; how many is the origin's affair.
        outcome(&world, &got);
    }
    well_again(&world, &what).await;
}

impl Clients {
    async fn ask(self, world: &World) -> Vec<Got> {
        let part = [range(PART.start, PART.end - 1)];
        match self {
            Self::Whole => vec![world.get("a").await],
            Self::Part => vec![world.ask("a", &part).await],
            Self::Both => {
                let (whole, part) = tokio::join!(world.get("a"), world.ask("a", &part));
                vec![whole, part]
            }
        }
    }
}

/// What a client saw, if it was allowed to see that.
fn outcome(world: &World, got: &Got) -> Outcome {
    if got.status() >= 500 {
        return Error;
    }
    world.version_of(got, &PART);
    if got.received().1 { Right } else { Error }
}

/// What is in the cache is true; once the origin is well, so is the cache, and then it has all that it needs.
async fn well_again(world: &World, what: &str) {
    world.idle().await;
    world.truth().await;
    world.origin.always(Fault::None);
    let mut whole = world.get("a").await;
    // What failed is remembered for a while, and so is an answer that said how long it holds.
    for _ in 0..200 {
        if outcome(world, &whole) == Right {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.pass(1);
        whole = world.get("a").await;
    }
    assert_eq!(outcome(world, &whole), Right, "{what}: {whole:?}");
    let (_, again) = (world.idle().await, world.origin.seen().len());
    let part = world.ask("a", &[range(PART.start, PART.end - 1)]).await;
    assert_eq!((outcome(world, &part), part.status()), (Right, 206), "{what}: {part:?}");
    assert_eq!(world.version_of(&part, &PART), world.version_of(&whole, &PART), "{what}");
    assert_eq!(world.origin.seen().len(), again, "{what}: {part:?} is here");
    let truth = world.truth().await;
    assert!(truth.len() == 1 && truth[0].whole && truth[0].bytes == LENGTH, "{what}");
}

async fn check_all(transport: Transport) {
    let mut cases = Vec::new();
    for clients in [Clients::Whole, Clients::Part, Clients::Both] {
        for (fault, once, always) in faults().into_iter().chain(faults_of_parts(clients)).chain(double_faults()) {
            for (expected, lasting) in [(once, false), (always, true)] {
                cases.push(Case { transport, clients, fault: fault.clone(), lasting, expected });
            }
        }
    }
    // Each of them mostly waits.
    stream::iter(cases).for_each_concurrent(AT_ONCE, check).await;
}

#[tokio::test]
async fn no_fault_comes_through_over_http1() {
    check_all(Transport::Plain).await;
}

#[tokio::test]
async fn no_fault_comes_through_over_tls() {
    check_all(Transport::Tls).await;
}

#[tokio::test]
async fn no_fault_comes_through_over_http2() {
    check_all(Transport::Http2).await;
}

#[tokio::test]
async fn no_change_at_the_origin_mixes_versions() {
    stream::iter(changes()).for_each_concurrent(AT_ONCE, check_change).await;
}
