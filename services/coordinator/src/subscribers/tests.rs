//! Old gateways and new ones on one coordinator.

use std::{sync::Arc, time::Duration};

use ferry_core::{
    load::Load,
    merge::GatewayFacts,
    node::{Freshness, Intent, NodeFacts, NodeState},
};
use v1::routing_update::Body as Wire;

use super::*;

fn view() -> NodeView {
    NodeView {
        facts: Arc::new(NodeFacts {
            address: Some("127.0.0.1:1".parse().expect("valid")),
            ..NodeFacts::named("n".parse().expect("valid"))
        }),
        state: NodeState::Up,
        freshness: Freshness { incarnation: Incarnation(3), beat: 4 },
        load: Load { bytes_per_second: 5, ..Load::default() },
        heard_ago: Duration::from_millis(6),
        intent: Intent::default(),
        in_doubt: false,
    }
}

#[test]
fn a_gateway_that_does_not_take_loads_gets_views_with_the_same_numbers() {
    let mut subscribers = Subscribers::new("c".parse().expect("valid"), Incarnation(1));
    let (new, mut to_new) = Outbox::new(true);
    let (old, mut to_old) = Outbox::new(false);
    subscribers.open(new);
    subscribers.open(old);
    let snapshot = Body::Snapshot { nodes: Vec::new(), removed: Vec::new(), facts: GatewayFacts::default() };
    subscribers.admit(&snapshot, UnixMillis(1));
    assert_eq!(subscribers.tell_loads(vec![view()], UnixMillis(2)), 0, "nobody is cut off");
    let last = |updates: &mut tokio::sync::mpsc::Receiver<Update>| {
        let first = updates.try_recv().expect("a snapshot").bytes;
        let second = updates.try_recv().expect("a delta").bytes;
        let [first, second] = [first, second].map(|bytes| v1::RoutingUpdate::decode(bytes).expect("well-formed"));
        let sequence = |update: &v1::RoutingUpdate| update.epoch.as_ref().expect("there").sequence;
        assert_eq!((sequence(&first), sequence(&second)), (1, 2));
        let Some(Wire::Delta(delta)) = second.body else { panic!("no delta") };
        delta
    };
    let (new, old) = (last(&mut to_new), last(&mut to_old));
    assert!(new.nodes.is_empty() && old.loads.is_empty());
    let (load, whole) = (&new.loads[0], &old.nodes[0]);
    assert_eq!(load.node_id, whole.facts.as_ref().expect("there").node_id);
    assert_eq!((load.incarnation, load.beat, load.heard_ms_ago), (3, 4, 6));
    assert_eq!((whole.incarnation, whole.beat, whole.heard_ms_ago), (3, 4, 6));
    assert_eq!((load.load, load.load.map(|load| load.bytes_per_second)), (whole.load, Some(5)));
}
