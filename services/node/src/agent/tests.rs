use std::time::Duration;

use ferry_core::{evidence::Fate, time::UnixMillis, tokens::RedirectId};
use ferry_proto::{
    convert::NEWEST_LIFE,
    v1::{attend_request, attend_response},
};
use tonic::Status;

use super::{
    twin::{CLUSTER_TIME, Twin, beats, facts, welcome},
    *,
};
use crate::identity::Identity;

const LIMIT: Duration = Duration::from_secs(10);

/// An agent under way, and what it shares with the rest of its node.
struct Attending {
    links: Links,
    drain: Drain,
    cluster: Cluster,
    arrivals: Arrivals,
    clock: Clock,
    tasks: Tasks,
    secret: [u8; 32],
    _storage: tempfile::TempDir,
}

impl Attending {
    fn start(coordinators: &[&Twin]) -> Self {
        Self::with_workers(coordinators, Workers::here())
    }

    fn with_workers(coordinators: &[&Twin], workers: Workers) -> Self {
        let storage = tempfile::tempdir().expect("a temporary folder");
        let clock = Clock::fixed(UnixMillis(1_700_000_000_000));
        let identity =
            Identity::take(storage.path(), Some("n1".parse().expect("a name")), clock.wall(), &mut rand::rng());
        let identity = Arc::new(identity.expect("a new node"));
        let arrivals = Arrivals::new();
        let (drain, cluster, tasks, secret) = (Drain::new(), Cluster::new(), Tasks::new(), identity.secret);
        let facts = NodeFacts {
            address: Some("10.0.0.1:8001".parse().expect("an address")),
            ..NodeFacts::named(identity.id.clone())
        };
        let agent = Agent {
            facts,
            identity,
            drain: drain.clone(),
            cluster: cluster.clone(),
            load: watch::channel(Load::default()).1,
            arrivals: arrivals.clone(),
            clock: clock.clone(),
            voices: Voices::new(clock.clone()),
            tasks: tasks.clone(),
            ca: None,
            join: None,
            beats: Counter::default(),
            workers,
            served: AtomicBool::new(true),
            sequence: AtomicU64::new(0),
        };
        let links = agent.start(coordinators.iter().map(|twin| twin.url.clone()).collect());
        Self { links, drain, cluster, arrivals, clock, tasks, secret, _storage: storage }
    }

    async fn welcomed(&self, count: usize) {
        timeout(LIMIT, self.links.until_connected(count)).await.expect("a welcome in time");
    }

    /// The trouble with the only link.
    async fn trouble(&self) -> String {
        let seen = async {
            loop {
                if let Some(trouble) = self.links.list().first().and_then(|link| link.trouble.clone()) {
                    return trouble;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, seen).await.expect("trouble in time")
    }
}

#[tokio::test]
async fn a_node_registers_and_beats_at_once() {
    let twin = Twin::start("c1").await;
    let node = Attending::start(&[&twin]);
    twin.until("a beat", |heard| !beats(heard).is_empty()).await;
    let [register] = &twin.registrations()[..] else { panic!("one registration") };
    assert_eq!(register.facts.as_ref().expect("facts").node_id, "n1");
    assert_eq!((register.version, register.incarnation), (1, 1_700_000_000_000));
    assert_eq!(register.secret, node.secret);
    assert!(!register.draining);
    assert_eq!(twin.beats()[0].sequence, 1);
}

#[tokio::test]
async fn beats_keep_the_pace_that_the_coordinator_asks_for_and_count_over_all_streams() {
    let (one, other) = (Twin::start("c1").await, Twin::start("c2").await);
    for (twin, id) in [(&one, "c1"), (&other, "c2")] {
        twin.reply(Ok(v1::Welcome { beat_every_ms: 50, ..welcome(id) }));
    }
    let _node = Attending::start(&[&one, &other]);
    for twin in [&one, &other] {
        twin.until("five beats", |heard| beats(heard).len() >= 5).await;
    }
    let mut sequences: Vec<_> = one.beats().iter().chain(&other.beats()).map(|beat| beat.sequence).collect();
    for twin in [&one, &other] {
        assert!(twin.beats().is_sorted_by_key(|beat| beat.sequence));
    }
    sequences.sort_unstable();
    let count = sequences.len();
    sequences.dedup();
    assert_eq!(sequences.len(), count, "one number, two beats: {sequences:?}");
}

#[tokio::test]
async fn a_node_whose_threads_hang_does_not_say_that_it_is_well() {
    let twin = Twin::start("c1").await;
    twin.reply(Ok(v1::Welcome { beat_every_ms: 50, ..welcome("c1") }));
    let workers = Workers::start(std::num::NonZeroUsize::new(2)).expect("two threads");
    let (release, held) = std::sync::mpsc::channel::<()>();
    let hung = workers.runtimes().next().expect("a thread").clone();
    hung.spawn(async move {
        let _released = held.recv();
    });
    let until = |wanted: fn(Duration) -> bool| {
        let workers = workers.clone();
        async move {
            while !wanted(workers.longest_silence()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    until(|silence| silence > HANGS + Duration::from_millis(100)).await;
    let node = Attending::with_workers(&[&twin], workers.clone());
    node.welcomed(1).await;
    let beat = timeout(Duration::from_millis(500), twin.until("a beat", |heard| !beats(heard).is_empty())).await;
    assert!(beat.is_err(), "it beats");
    drop(release);
    twin.until("beats again", |heard| beats(heard).len() > 3).await;
}

#[tokio::test]
async fn a_stop_is_told_at_once_and_an_operators_drain_is_not_repeated() {
    let twin = Twin::start("c1").await;
    let node = Attending::start(&[&twin]);
    node.welcomed(1).await;
    let last = |heard: &[attend_request::Body]| beats(heard).last().map(|beat| beat.draining);
    let intent = |drain, revision| {
        let body = v1::command::Body::Intent(v1::Intent { drain, revision, ..Default::default() });
        attend_response::Body::Command(v1::Command { body: Some(body) })
    };
    twin.say(intent(true, 2)).await;
    let heeded = async {
        while !node.drain.is_draining() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, heeded).await.expect("the node heeds it in time");
    // The coordinator is not told its own word: it would hear it late.
    twin.until("a beat", |heard| !beats(heard).is_empty()).await;
    assert!(twin.beats().iter().all(|beat| !beat.draining));
    // A node that an operator drains already says all the same, and at once, that it stops.
    node.drain.stop();
    twin.until("the last drain", |heard| last(heard) == Some(true)).await;
}

#[tokio::test]
async fn a_node_that_stops_registers_so() {
    let twin = Twin::start("c1").await;
    let node = Attending::start(&[&twin]);
    node.welcomed(1).await;
    node.drain.stop();
    twin.hang_up();
    twin.until("a second registration", |heard| {
        heard.iter().filter(|body| matches!(body, attend_request::Body::Register(_))).count() == 2
    })
    .await;
    let registrations = twin.registrations();
    assert!(registrations[1].draining);
    assert_eq!(registrations[0].incarnation, registrations[1].incarnation, "one life, two streams");
}

#[tokio::test]
async fn what_a_coordinator_knows_is_known_here() {
    let twin = Twin::start("c1").await;
    let node = Attending::start(&[&twin]);
    node.welcomed(1).await;
    assert_eq!(node.cluster.facts().ring, Some(twin::ring()));
    assert_eq!(node.cluster.facts().guarded, None);
    assert_eq!(node.clock.corrected(), CLUSTER_TIME, "expiry is judged by the coordinators' clock");
    twin.say(attend_response::Body::Cluster(facts(v1::Access::Guarded))).await;
    let guarded = async {
        while node.cluster.facts().guarded != Some(true) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, guarded).await.expect("it is heard");
}

#[tokio::test]
async fn what_arrived_is_told_to_every_coordinator() {
    let (one, other) = (Twin::start("c1").await, Twin::start("c2").await);
    let node = Attending::start(&[&one, &other]);
    node.welcomed(2).await;
    node.arrivals.report(&node.tasks);
    node.arrivals.note([192, 0, 2, 7].into(), RedirectId(7), Fate::Complete);
    for twin in [&one, &other] {
        let told = |body: &attend_request::Body| {
            let attend_request::Body::Evidence(evidence) = body else { return false };
            evidence.arrivals.iter().any(|of| of.network == [192, 0, 2] && of.complete == [7])
        };
        twin.until("the arrival", |heard| heard.iter().any(told)).await;
    }
}

#[tokio::test]
async fn a_coordinators_clock_that_is_put_right_is_heard_while_the_stream_stands() {
    let twin = Twin::start("c1").await;
    let node = Attending::start(&[&twin]);
    node.welcomed(1).await;
    let right = UnixMillis(CLUSTER_TIME.0 - 7_200_000);
    twin.say(attend_response::Body::Mark(v1::NodeMark { unix_ms: right.0 })).await;
    let heard = async {
        while node.clock.corrected() != right {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, heard).await.expect("it is heard");
}

#[tokio::test]
async fn the_last_coordinator_to_welcome_a_node_does_not_turn_its_clock_alone() {
    let twins = [Twin::start("c1").await, Twin::start("c2").await, Twin::start("c3").await];
    let node = Attending::start(&[&twins[0], &twins[1]]);
    node.welcomed(2).await;
    let astray = v1::ClusterFacts { unix_ms: 1, coordinators: Vec::new(), ..facts(v1::Access::Unspecified) };
    twins[2].reply(Ok(v1::Welcome { cluster: Some(astray), ..welcome("c3") }));
    let third = v1::Coordinator { coordinator_id: "c3".to_owned(), url: twins[2].url.to_string() };
    let named = v1::ClusterFacts { coordinators: vec![third], ..facts(v1::Access::Unspecified) };
    twins[0].say(attend_response::Body::Cluster(named)).await;
    node.welcomed(3).await;
    assert_eq!(node.clock.corrected(), CLUSTER_TIME);
}

#[tokio::test]
async fn coordinators_that_others_name_are_attended_too() {
    let (one, other) = (Twin::start("c1").await, Twin::start("c2").await);
    let peers = [("c1", &one), ("c2", &other)]
        .map(|(id, twin)| v1::Coordinator { coordinator_id: id.to_owned(), url: twin.url.to_string() });
    let cluster = v1::ClusterFacts { coordinators: peers.to_vec(), ..facts(v1::Access::Open) };
    one.reply(Ok(v1::Welcome { cluster: Some(cluster), ..welcome("c1") }));
    let node = Attending::start(&[&one]);
    node.welcomed(2).await;
    assert_eq!(other.registrations().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_shown_in_the_coordinators_own_words() {
    let twin = Twin::start("c1").await;
    twin.reply(Err(Status::already_exists("this node id is taken")));
    let node = Attending::start(&[&twin]);
    assert_eq!(node.trouble().await, "this node id is taken");
    assert_eq!(node.links.connected(), 0);
}

/// Its disk was cloned, the copy took over, and has died.
#[tokio::test]
async fn a_node_that_outlived_its_copy_goes_on_as_a_newer_life_at_every_coordinator() {
    let (one, other) = (Twin::start("c1").await, Twin::start("c2").await);
    let mut dead = Status::aborted("the newer one is dead");
    let newest = 1_800_000_000_000_u64;
    dead.metadata_mut().insert(NEWEST_LIFE, newest.into());
    one.reply(Err(dead));
    let node = Attending::start(&[&one, &other]);
    let lives = |twin: &Twin| twin.registrations().iter().map(|told| told.incarnation).collect::<Vec<_>>();
    let newer = |heard: &[attend_request::Body]| {
        let last = heard.iter().rev().find_map(|body| match body {
            attend_request::Body::Register(told) => Some(told.incarnation),
            _ => None,
        });
        last == Some(newest + 1)
    };
    for twin in [&one, &other] {
        twin.until("a newer life", newer).await;
    }
    one.reply(Ok(welcome("c1")));
    node.welcomed(2).await;
    assert_eq!(lives(&one)[0], 1_700_000_000_000);
    assert_eq!(lives(&one)[1..].iter().max(), Some(&(newest + 1)), "one new life, however often it is told");
}

#[tokio::test]
async fn a_coordinator_of_a_newer_ferry_is_not_guessed_at() {
    let twin = Twin::start("c1").await;
    twin.reply(Ok(v1::Welcome { version: 2, ..welcome("c1") }));
    let node = Attending::start(&[&twin]);
    assert!(node.trouble().await.contains("version 2"), "{}", node.trouble().await);
    assert!(node.cluster.facts().ring.is_none());
}

#[tokio::test]
async fn a_coordinator_that_is_away_is_trouble_and_nothing_more() {
    let twin = Twin::start("c1").await;
    let mut gone = twin.clone();
    gone.url = "http://127.0.0.1:1".parse().expect("a URL");
    let node = Attending::start(&[&gone, &twin]);
    node.welcomed(1).await;
    assert!(node.trouble().await.to_lowercase().contains("connect"), "{}", node.trouble().await);
}

#[tokio::test]
async fn a_coordinator_that_falls_silent_is_told_so_before_it_is_given_up() {
    let twin = Twin::start("c1").await;
    let node = Attending::start(&[&twin]);
    node.welcomed(1).await;
    twin.say(attend_response::Body::Mark(v1::NodeMark::default())).await;
    twin.until("a word that it is not heard, and another registration", |heard| {
        let unheard = heard.iter().position(|body| matches!(body, attend_request::Body::Unheard(_)));
        let last = heard.iter().rposition(|body| matches!(body, attend_request::Body::Register(_)));
        unheard.is_some_and(|unheard| last > Some(unheard))
    })
    .await;
}

#[tokio::test]
async fn a_node_that_stops_says_goodbye() {
    let twin = Twin::start("c1").await;
    let node = Attending::start(&[&twin]);
    node.welcomed(1).await;
    node.tasks.clone().finish(LIMIT).await.expect("the streams end");
    twin.until("a goodbye", |heard| matches!(heard.last(), Some(attend_request::Body::Goodbye(_)))).await;
}
