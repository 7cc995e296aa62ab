//! Settling what was touched gives what settling everything would give.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Something that happens to a gateway's merge.
#[derive(Debug, Clone)]
enum Happening {
    Opened,
    Closed,
    Time,
    Mark,
    Snapshot(Vec<NodeView>, Vec<Tombstone>),
    Delta(Vec<NodeView>, Vec<Report>, Vec<Tombstone>, bool),
}

const NODES: [&str; 4] = ["a", "b", "c", "d"];
const COORDINATORS: [&str; 3] = ["x", "y", "z"];

fn words() -> impl Strategy<Value = Vec<NodeView>> {
    let state = prop::sample::select(NodeState::ALL.to_vec());
    let duty = prop::sample::select(vec![Duty::Serve, Duty::Drain, Duty::Maintenance]);
    let word = (prop::sample::select(NODES.to_vec()), state, 1_u64..3, 0_u64..6, 0_u64..6, duty);
    let word = word.prop_map(|(id, state, life, beat, revision, duty)| NodeView {
        intent: Intent { duty, weight: Weight::new(revision as u32), revision },
        ..view(id, state, life, beat, revision)
    });
    prop::collection::vec(word, 0..4)
}

fn reports() -> impl Strategy<Value = Vec<Report>> {
    let report = (prop::sample::select(NODES.to_vec()), 1_u64..3, 0_u64..9, 0_u64..3);
    let report = report.prop_map(|(id, life, beat, load)| Report {
        id: id.parse().expect("valid"),
        freshness: Freshness { incarnation: Incarnation(life), beat },
        load: Load { bytes_per_second: load, ..Load::default() },
        heard_ago: Duration::ZERO,
    });
    prop::collection::vec(report, 0..4)
}

fn removals() -> impl Strategy<Value = Vec<Tombstone>> {
    let removal = (prop::sample::select(NODES.to_vec()), 0_u64..6);
    let removal = removal.prop_map(|(id, revision)| Tombstone { id: id.parse().expect("valid"), revision });
    prop::collection::vec(removal, 0..2)
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        1 => Just(Happening::Opened),
        1 => Just(Happening::Closed),
        1 => Just(Happening::Time),
        2 => Just(Happening::Mark),
        2 => (words(), removals()).prop_map(|(nodes, removed)| Happening::Snapshot(nodes, removed)),
        6 => (words(), reports(), removals(), any::<bool>())
            .prop_map(|(nodes, loads, removed, facts)| Happening::Delta(nodes, loads, removed, facts)),
    ]
}

/// What outlasts a beat, of each node.
fn lasting(merge: &Merge) -> Vec<NodeView> {
    let still = |view: &NodeView| NodeView {
        load: Load::default(),
        heard_ago: Duration::ZERO,
        in_doubt: false,
        freshness: Freshness { beat: 0, ..view.freshness },
        ..view.clone()
    };
    merge.views().map(still).collect()
}

fn happen(merge: &mut Merge, now: Tick, epoch: &Epoch, happening: Happening) {
    let facts = || GatewayFacts {
        coordinators: vec![Peer { id: epoch.coordinator.clone(), url: epoch.sequence.to_string() }],
        ..GatewayFacts::default()
    };
    let body = match happening {
        Happening::Opened => return merge.opened(&epoch.coordinator, StreamId(epoch.sequence)),
        Happening::Closed => {
            let stream = merge.streams.get(&epoch.coordinator).copied().unwrap_or_default();
            return merge.closed(now, &epoch.coordinator, stream);
        }
        Happening::Time => return merge.pass(now),
        Happening::Mark => Body::Mark,
        Happening::Snapshot(nodes, removed) => Body::Snapshot { nodes, removed, facts: facts() },
        Happening::Delta(nodes, loads, removed, with_facts) => {
            Body::Delta { nodes, loads, removed, facts: with_facts.then(facts) }
        }
    };
    // A word that is refused changes nothing, and that is part of what is compared.
    let _refused = merge.apply(now, epoch, body);
}

proptest! {
    #[test]
    fn what_was_touched_is_settled_as_everything_would_be(
        script in prop::collection::vec((0_u64..700, 0_usize..3, happening()), 1..80),
    ) {
        let mut merge = Merge::default();
        let mut mirror: BTreeMap<NodeId, NodeView> = BTreeMap::new();
        let mut now = at(0);
        for (sequence, (pause, coordinator, happening)) in script.into_iter().enumerate() {
            now = now + Duration::from_millis(pause);
            let before = (merge.settled.clone(), lasting(&merge), merge.tombstones().count());
            happen(&mut merge, now, &epoch(COORDINATORS[coordinator], sequence as u64), happening);
            // A refused word settles nothing, though time has passed.
            merge.pass(now);
            if merge.live_coordinators(now) == 0 {
                prop_assert_eq!(&merge.settled, &before.0, "G2");
            } else {
                prop_assert_eq!(&merge.settled, &merge.merge_all(merge.last_live.expect("somebody is live")));
                prop_assert_eq!(&merge.facts().coordinators, &merge.peers(merge.last_live.expect("somebody is live")));
            }
            // Whoever follows the changes alone has the same.
            let changes = merge.take_changes();
            if !changes.lasting {
                prop_assert_eq!((lasting(&merge), merge.tombstones().count()), (before.1, before.2));
            }
            for id in changes.nodes {
                match merge.view(&id) {
                    Some(view) => mirror.insert(id, view.clone()),
                    None => mirror.remove(&id),
                };
            }
            prop_assert_eq!(&mirror, &merge.settled);
        }
    }
}
