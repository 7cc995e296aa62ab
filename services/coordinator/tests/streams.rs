//! A whole coordinator over real gRPC, with nodes and gateways played by the test.

#[path = "streams/evidence.rs"]
mod evidence;

use std::time::Duration;

use ferry_coordinator::{Coordinator, SETTINGS, read};
use ferry_proto::v1::{
    self, attend_request, attend_response, cluster_service_client::ClusterServiceClient,
    membership_service_client::MembershipServiceClient, routing_service_client::RoutingServiceClient, routing_update,
};
use ferry_runtime::{
    Clock, Tasks,
    config::{COMMON, Environment, Sources, command},
    metrics::Metrics,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

/// Longer than anything here takes; a test that waits for it has failed.
const LIMIT: Duration = Duration::from_secs(10);

struct Running {
    channel: Channel,
    tasks: Tasks,
}

impl Running {
    async fn start(folder: &tempfile::TempDir) -> Self {
        Self::start_with(folder, &[]).await
    }

    async fn start_with(folder: &tempfile::TempDir, flags: &[&str]) -> Self {
        let store = format!("--store=embedded:{}", folder.path().join("store").display());
        let base = ["coordinator", "--listen=127.0.0.1:0", &store];
        let matches = command("coordinator", "", &[COMMON, SETTINGS]).get_matches_from(base.iter().chain(flags));
        let sources = Sources::gather("coordinator", &[COMMON, SETTINGS], &[], &matches, &Environment::default());
        let config = read(&sources).expect("a sound configuration");
        let tasks = Tasks::new();
        let coordinator =
            Coordinator::bind(config, Clock::system(), &Metrics::new(), &tasks, None).await.expect("it binds");
        let url = coordinator.url().to_owned();
        coordinator.start().expect("it starts");
        let channel = Channel::from_shared(url).expect("a URL").connect().await.expect("it answers");
        let running = Self { channel, tasks };
        running.until_it_has_read().await;
        running
    }

    /// Until the store is read, nobody is told anything but to come again.
    async fn until_it_has_read(&self) {
        let wait = async {
            loop {
                match self.cluster().list_nodes(v1::ListNodesRequest {}).await {
                    Ok(_) => return,
                    Err(status) if status.code() == Code::Unavailable => {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        };
        tokio::time::timeout(LIMIT, wait).await.expect("it reads its store in time");
    }

    async fn stop(self) {
        drop(self.channel);
        // A store file can be opened again only after every task has let go of it.
        self.tasks.finish(LIMIT).await.expect("it ends");
    }

    fn cluster(&self) -> ClusterServiceClient<Channel> {
        ClusterServiceClient::new(self.channel.clone())
    }

    async fn states(&self) -> Vec<(String, &'static str)> {
        let listed = self.cluster().list_nodes(v1::ListNodesRequest {}).await.expect("an answer").into_inner();
        let of = |node: v1::NodeStatus| {
            let view = node.view.expect("a view");
            let state = ferry_core::node::NodeState::from(view.state()).as_str();
            (view.facts.expect("facts").node_id, state)
        };
        listed.nodes.into_iter().map(of).collect()
    }

    /// The weight that a node registered, and what operators decided.
    async fn words(&self, id: &str) -> (u32, v1::Intent) {
        let asked = v1::GetNodeRequest { node_id: id.into() };
        let node = self.cluster().get_node(asked).await.expect("an answer").into_inner().node;
        let view = node.and_then(|node| node.view).expect("a view");
        (view.facts.expect("facts").weight, view.intent.expect("decisions"))
    }

    async fn until(&self, id: &str, state: &str) {
        let wait = async {
            while !self.states().await.iter().any(|(known, now)| known == id && *now == state) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("{id} never became {state}"));
    }

    async fn watch(&self) -> Streaming<v1::RoutingUpdate> {
        let request = v1::WatchRequest { version: 1, gateway_id: "g".into(), ..Default::default() };
        RoutingServiceClient::new(self.channel.clone()).watch(request).await.expect("a stream").into_inner()
    }
}

/// A node as the coordinator sees one.
struct Player {
    say: mpsc::Sender<v1::AttendRequest>,
    hear: Streaming<v1::AttendResponse>,
}

fn register(id: &str, secret: u8, incarnation: u64) -> v1::Register {
    v1::Register {
        version: 1,
        facts: Some(v1::NodeFacts {
            node_id: id.into(),
            address: "127.0.0.1:8001".into(),
            weight: 100,
            ..Default::default()
        }),
        secret: vec![secret; 32],
        incarnation,
        draining: false,
    }
}

impl Player {
    async fn attend(running: &Running, register: v1::Register) -> Result<Self, Status> {
        let (say, messages) = mpsc::channel(16);
        let first = v1::AttendRequest { body: Some(attend_request::Body::Register(register)) };
        say.send(first).await.expect("room");
        let mut client = MembershipServiceClient::new(running.channel.clone());
        let hear = client.attend(ReceiverStream::new(messages)).await?.into_inner();
        Ok(Self { say, hear })
    }

    /// The next word that says more than that the coordinator lives.
    async fn next(&mut self) -> Result<Option<attend_response::Body>, Status> {
        loop {
            match self.next_of_all().await? {
                Some(attend_response::Body::Mark(_)) => {}
                body => return Ok(body),
            }
        }
    }

    async fn next_of_all(&mut self) -> Result<Option<attend_response::Body>, Status> {
        let answer = tokio::time::timeout(LIMIT, self.hear.message()).await.expect("an answer in time")?;
        Ok(answer.and_then(|answer| answer.body))
    }

    async fn welcomed(mut self) -> Self {
        let answer = self.next().await.expect("no refusal");
        assert!(matches!(answer, Some(attend_response::Body::Welcome(_))), "{answer:?}");
        self
    }

    /// The next word about what operators decided.
    async fn intent(&mut self) -> bool {
        loop {
            match self.next().await.expect("the stream stands") {
                Some(attend_response::Body::Command(v1::Command { body: Some(v1::command::Body::Intent(intent)) })) => {
                    return intent.drain;
                }
                Some(_) => {}
                None => panic!("the stream ended"),
            }
        }
    }
}

async fn join(running: &Running, id: &str, secret: u8, incarnation: u64) -> Player {
    Player::attend(running, register(id, secret, incarnation)).await.expect("a stream").welcomed().await
}

#[tokio::test]
async fn a_node_is_up_while_it_attends_and_down_when_it_says_goodbye() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let node = join(&running, "a", 1, 1).await;
    running.until("a", "UP").await;
    let goodbye = v1::Goodbye { reason: "test".into() };
    node.say.send(v1::AttendRequest { body: Some(attend_request::Body::Goodbye(goodbye)) }).await.expect("room");
    running.until("a", "DOWN").await;
    running.stop().await;
}

#[tokio::test]
async fn a_node_hears_that_the_coordinator_lives_and_is_not_dead_for_hearing_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let mut node = join(&running, "a", 1, 1).await;
    for _ in 0..2 {
        let answer = node.next_of_all().await;
        assert!(matches!(answer, Ok(Some(attend_response::Body::Mark(_)))), "{answer:?}");
    }
    running.until("a", "UP").await;
    node.say.send(v1::AttendRequest { body: Some(attend_request::Body::Unheard(v1::Unheard {})) }).await.expect("room");
    // It is silent from now on, and nothing else speaks against it: a stream that broke would be DOWN by now.
    running.until("a", "SUSPECT").await;
    running.stop().await;
}

#[tokio::test]
async fn a_drain_reaches_the_node_and_outlives_the_coordinator() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let mut node = join(&running, "a", 1, 1).await;
    running.cluster().drain_node(v1::DrainNodeRequest { node_id: "a".into() }).await.expect("stored");
    assert!(node.intent().await);
    running.until("a", "DRAINING").await;
    drop(node);
    running.stop().await;

    let running = Running::start(&folder).await;
    let _node = join(&running, "a", 1, 2).await;
    running.until("a", "DRAINING").await;
    running.cluster().resume_node(v1::ResumeNodeRequest { node_id: "a".into() }).await.expect("stored");
    running.until("a", "UP").await;
    running.stop().await;
}

#[tokio::test]
async fn a_weight_outlives_registrations_and_the_coordinator_and_leaves_a_drain_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let node = join(&running, "a", 1, 1).await;
    let mut updates = running.watch().await;
    let set = v1::SetNodeRequest { node_id: "a".into(), weight: Some(500), ..Default::default() };
    running.cluster().set_node(set).await.expect("stored");
    loop {
        let update = tokio::time::timeout(LIMIT, updates.message()).await.expect("in time").expect("no fault");
        let Some(routing_update::Body::Delta(delta)) = update.and_then(|update| update.body) else { continue };
        if delta.nodes.iter().filter_map(|view| view.intent).any(|intent| intent.weight == 500) {
            break;
        }
    }
    running.cluster().drain_node(v1::DrainNodeRequest { node_id: "a".into() }).await.expect("stored");
    let (_, decided) = running.words("a").await;
    assert_eq!((decided.weight, decided.drain), (500, true));
    drop(node);

    let mut changed = register("a", 1, 2);
    changed.facts.as_mut().expect("facts").weight = 7;
    let node = Player::attend(&running, changed.clone()).await.expect("a stream").welcomed().await;
    let written = async {
        while running.words("a").await.1.revision == decided.revision {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, written).await.expect("the new registration is written in time");
    let (registered, decided) = running.words("a").await;
    assert_eq!((registered, decided.weight, decided.drain), (7, 500, true));
    drop(node);
    running.stop().await;

    let running = Running::start(&folder).await;
    let (registered, decided) = running.words("a").await;
    assert_eq!((registered, decided.weight, decided.drain), (7, 500, true));
    let back = v1::SetNodeRequest { node_id: "a".into(), default_weight: true, ..Default::default() };
    let answer = running.cluster().set_node(back).await.expect("stored").into_inner();
    let intent = answer.node.and_then(|node| node.view?.intent).expect("the decisions");
    assert_eq!((intent.weight, intent.drain), (0, true));
    running.stop().await;
}

#[tokio::test]
async fn what_is_no_weight_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let _node = join(&running, "a", 1, 1).await;
    let before = running.words("a").await;
    for (weight, default_weight) in [(Some(0), false), (Some(10_001), false), (None, false), (Some(5), true)] {
        let set = v1::SetNodeRequest { node_id: "a".into(), weight, default_weight };
        let refused = running.cluster().set_node(set).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains("weight"), "{refused}");
    }
    assert_eq!(running.words("a").await, before);
    let unknown = v1::SetNodeRequest { node_id: "b".into(), weight: Some(5), ..Default::default() };
    assert_eq!(running.cluster().set_node(unknown).await.expect_err("unknown").code(), Code::NotFound);
    running.stop().await;
}

#[tokio::test]
async fn a_taken_id_is_refused_and_the_rightful_node_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let _rightful = join(&running, "a", 1, 1).await;
    let mut thief = Player::attend(&running, register("a", 2, 9)).await.expect("a stream");
    let refused = thief.next().await.expect_err("refused");
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    running.until("a", "UP").await;
    running.stop().await;
}

#[tokio::test]
async fn malformed_registrations_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let facts = |change: fn(&mut v1::NodeFacts)| {
        let mut register = register("a", 1, 1);
        change(register.facts.as_mut().expect("facts"));
        register
    };
    for (register, code, named) in [
        (facts(|facts| facts.node_id = "a b".into()), Code::InvalidArgument, "node_id"),
        (facts(|facts| facts.address = "nowhere".into()), Code::InvalidArgument, "address"),
        (facts(|facts| facts.address = "169.254.169.254:80".into()), Code::InvalidArgument, "link-local"),
        (facts(|facts| facts.tls_address = "[fe80::1]:80".into()), Code::InvalidArgument, "tls_address"),
        (facts(|facts| facts.admin_address = "0.0.0.0:80".into()), Code::InvalidArgument, "admin_address"),
        (facts(|facts| facts.weight = 0), Code::InvalidArgument, "weight"),
        (v1::Register { secret: vec![1; 5], ..register("a", 1, 1) }, Code::InvalidArgument, "secret"),
        (v1::Register { version: 2, ..register("a", 1, 1) }, Code::FailedPrecondition, "version"),
        (v1::Register { facts: None, ..register("a", 1, 1) }, Code::InvalidArgument, "facts"),
    ] {
        let refused = Player::attend(&running, register).await.err().expect("refused");
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().contains(named), "{refused}");
    }
    assert_eq!(running.states().await, []);
    running.stop().await;
}

#[tokio::test]
async fn a_node_that_moves_replaces_its_old_life_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let mut old = join(&running, "a", 1, 1).await;
    let mut moved = register("a", 1, 2);
    moved.facts.as_mut().expect("facts").address = "127.0.0.1:9999".into();
    let _new = Player::attend(&running, moved).await.expect("a stream").welcomed().await;
    let ended = loop {
        match old.next().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert_eq!(ended.expect_err("the old stream is ended").code(), Code::FailedPrecondition);
    let node =
        running.cluster().get_node(v1::GetNodeRequest { node_id: "a".into() }).await.expect("known").into_inner();
    let view = node.node.and_then(|node| node.view).expect("a view");
    assert_eq!(view.facts.expect("facts").address, "127.0.0.1:9999");
    running.stop().await;
}

#[tokio::test]
async fn a_node_that_does_not_stop_talking_is_cut_off_and_one_that_beats_at_once_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let mut node = join(&running, "a", 1, 1).await;
    let says = async |from: u64, to: u64| {
        for sequence in from..to {
            let beat = v1::Beat { sequence, load: Some(v1::Load::default()), draining: sequence == 50 };
            let body = Some(attend_request::Body::Beat(beat));
            if node.say.send(v1::AttendRequest { body }).await.is_err() {
                return;
            }
        }
    };
    says(1, 51).await;
    running.until("a", "DRAINING").await;
    says(51, 5000).await;
    let ended = node.next().await.expect("no reason is lost, since there is none");
    assert!(ended.is_none(), "{ended:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_registration_that_is_larger_than_any_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let with = |prefixes| {
        let mut register = register("a", 1, 1);
        register.facts.as_mut().expect("facts").prefixes = prefixes;
        register
    };
    let refused = Player::attend(&running, with(vec!["x".repeat(512); 64])).await.err().expect("refused");
    assert_eq!(refused.message(), "malformed registration: prefixes: bytes of all: at most 2048, not 32768");
    let refused = Player::attend(&running, with(vec!["x".repeat(1 << 20)])).await.err().expect("refused");
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    running.stop().await;
}

/// A disk was cloned: the copy takes over while it lives, and no longer.
#[tokio::test]
async fn a_node_whose_copy_has_died_is_told_how_it_may_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let _original = join(&running, "a", 1, 1).await;
    let copy = join(&running, "a", 1, 2).await;
    let refused = async || {
        let mut original = Player::attend(&running, register("a", 1, 1)).await.expect("a stream");
        original.next().await.expect_err("refused")
    };
    let alive = refused().await;
    assert_eq!(alive.code(), Code::FailedPrecondition);
    assert!(alive.message().contains("remove the copy"), "{alive}");
    drop(copy);
    running.until("a", "DOWN").await;
    let dead = refused().await;
    assert_eq!(dead.code(), Code::Aborted, "{dead}");
    let newest = dead.metadata().get(ferry_proto::convert::NEWEST_LIFE).expect("a number");
    assert_eq!(newest, "2");
    let _original = join(&running, "a", 1, 3).await;
    running.stop().await;
}

#[tokio::test]
async fn a_restarted_coordinator_does_not_declare_the_living_dead() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    drop(join(&running, "a", 1, 1).await);
    running.stop().await;

    // C2: the gateway asks first, and hears nothing until the node was heard.
    let running = Running::start(&folder).await;
    let mut updates = running.watch().await;
    let _node = join(&running, "a", 1, 2).await;
    let first = tokio::time::timeout(LIMIT, updates.message()).await.expect("in time").expect("no fault");
    let Some(routing_update::Body::Snapshot(snapshot)) = first.and_then(|update| update.body) else {
        panic!("the first word is a snapshot");
    };
    assert_eq!(snapshot.nodes.len(), 1);
    assert_eq!(snapshot.nodes[0].state(), v1::NodeState::Up);
    running.stop().await;
}

#[tokio::test]
async fn a_gateway_hears_of_a_death_and_of_a_removal() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let node = join(&running, "a", 1, 1).await;
    let mut updates = running.watch().await;
    drop(node);
    let mut seen_down = false;
    let mut removed = false;
    while !removed {
        let update = tokio::time::timeout(LIMIT, updates.message()).await.expect("in time").expect("no fault");
        let Some(routing_update::Body::Delta(delta)) = update.and_then(|update| update.body) else { continue };
        if !seen_down && delta.nodes.iter().any(|node| node.state() == v1::NodeState::Down) {
            seen_down = true;
            let request = v1::RemoveNodeRequest { node_id: "a".into(), force: false };
            running.cluster().remove_node(request).await.expect("a dead node can be removed");
        }
        removed = delta.removed.iter().any(|tombstone| tombstone.node_id == "a");
    }
    assert!(seen_down);
    running.stop().await;
}

#[tokio::test]
async fn unknown_nodes_and_living_ones_are_told_apart_from_removable_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let _node = join(&running, "a", 1, 1).await;
    let drain = running.cluster().drain_node(v1::DrainNodeRequest { node_id: "b".into() }).await;
    assert_eq!(drain.expect_err("unknown").code(), Code::NotFound);
    let remove = v1::RemoveNodeRequest { node_id: "a".into(), force: false };
    let refused = running.cluster().remove_node(remove.clone()).await.expect_err("alive");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    running.cluster().remove_node(v1::RemoveNodeRequest { force: true, ..remove }).await.expect("forced");
    assert_eq!(running.states().await, []);
    running.stop().await;
}

/// Attends with a bearer token, or without one; the answer is the refusal, if there is one.
async fn attend_with(running: &Running, register: v1::Register, token: Option<&str>) -> Result<(), Status> {
    let (say, messages) = mpsc::channel(16);
    say.send(v1::AttendRequest { body: Some(attend_request::Body::Register(register)) }).await.expect("room");
    let mut request = tonic::Request::new(ReceiverStream::new(messages));
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("plain"));
    }
    let mut hear = MembershipServiceClient::new(running.channel.clone()).attend(request).await?.into_inner();
    hear.message().await.map(drop)
}

#[tokio::test]
async fn a_node_that_nobody_knows_must_bring_the_join_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("join");
    std::fs::write(&file, "a-token-of-some-length-0123456789\n").expect("written");
    let flag = format!("--join-token-file={}", file.display());
    let running = Running::start_with(&folder, &[&flag]).await;
    let token = Some("a-token-of-some-length-0123456789");
    let first = async {
        loop {
            match attend_with(&running, register("a", 1, 1), token).await {
                Err(status) if status.code() == Code::Unavailable => tokio::time::sleep(Duration::from_millis(5)).await,
                other => return other,
            }
        }
    };
    tokio::time::timeout(LIMIT, first).await.expect("in time").expect("the token lets it in");
    for wrong in [None, Some("another-token-of-some-length-012345")] {
        let refused = attend_with(&running, register("b", 1, 1), wrong).await.expect_err("a stranger");
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    }
    attend_with(&running, register("a", 1, 2), None).await.expect("its secret is enough for a node that is known");
    running.stop().await;
}

#[tokio::test]
async fn a_restart_of_the_coordinator_opens_nothing_that_a_gateway_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let mut node = join(&running, "a", 1, 1).await;
    let access = v1::Access::Guarded.into();
    let request = v1::WatchRequest { version: 1, gateway_id: "g".into(), access, ..Default::default() };
    let _gateway = RoutingServiceClient::new(running.channel.clone()).watch(request).await.expect("a stream");
    loop {
        let Some(attend_response::Body::Cluster(facts)) = node.next().await.expect("the stream stands") else {
            continue;
        };
        if facts.access() == v1::Access::Guarded {
            break;
        }
    }
    drop(node);
    running.stop().await;

    // Another gateway, all of whose routes are open, is the first to come back.
    let running = Running::start(&folder).await;
    let access = v1::Access::Open.into();
    let request = v1::WatchRequest { version: 1, gateway_id: "h".into(), access, ..Default::default() };
    let _gateway = RoutingServiceClient::new(running.channel.clone()).watch(request).await.expect("a stream");
    let welcome = async {
        loop {
            let mut player = Player::attend(&running, register("a", 1, 2)).await.expect("a stream");
            match player.next().await {
                Ok(Some(attend_response::Body::Welcome(welcome))) => return welcome,
                Err(status) if status.code() == Code::Unavailable => tokio::time::sleep(Duration::from_millis(5)).await,
                other => panic!("{other:?}"),
            }
        }
    };
    let welcome = tokio::time::timeout(LIMIT, welcome).await.expect("in time");
    assert_eq!(welcome.cluster.expect("facts").access(), v1::Access::Guarded);
    running.stop().await;
}

/// Thousands that change within a second would fill what waits for a gateway, and it would be cut off.
#[tokio::test]
async fn many_nodes_that_change_one_after_the_other_are_few_messages() {
    const NODES: usize = 200;
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let mut players = Vec::new();
    for number in 0..NODES {
        players.push(join(&running, &format!("n{number}"), 1, 1).await);
    }
    let mut updates = running.watch().await;
    let began = std::time::Instant::now();
    for player in &players {
        let load = Some(v1::Load::default());
        let beat = attend_request::Body::Beat(v1::Beat { sequence: 1, load, draining: true });
        player.say.send(v1::AttendRequest { body: Some(beat) }).await.expect("room");
        // Each by itself: what comes to the loop in one piece would be one message anyway.
        let asked = v1::GetNodeRequest { node_id: "n0".into() };
        running.cluster().get_node(asked).await.expect("an answer");
    }
    let (mut draining, mut messages) = (std::collections::HashSet::new(), 0_u128);
    let all = async {
        while draining.len() < NODES {
            let update = updates.message().await.expect("the stream stands").expect("an update");
            messages += 1;
            let views = match update.body {
                Some(routing_update::Body::Snapshot(snapshot)) => snapshot.nodes,
                Some(routing_update::Body::Delta(delta)) => delta.nodes,
                _ => continue,
            };
            let drains = views.into_iter().filter(|view| view.state() == v1::NodeState::Draining);
            draining.extend(drains.filter_map(|view| view.facts).map(|facts| facts.node_id));
        }
    };
    tokio::time::timeout(LIMIT, all).await.expect("every node's word in time");
    // One for each 10 ms, some marks, the snapshot, and what was on its way before.
    let most = began.elapsed().as_millis() * 11 / 100 + 8;
    assert!(messages <= most, "{messages} messages, and {most} would have done");
    running.stop().await;
}
