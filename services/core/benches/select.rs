//! What one selection and one node token cost. `cargo bench -p ferry-core`; prints nanoseconds per call, the median of
//! rounds, and the best of them for machines that others use too. With `-- PART`, only those whose name has that in it.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and prints what it saw"
)]

use std::{hint::black_box, num::NonZeroU64, sync::Arc, time::Duration, time::Instant};

use ferry_core::{
    id::Incarnation,
    load::Load,
    node::{Freshness, Intent, NodeFacts, NodeState, NodeView},
    object::{ObjectKey, ObjectPath},
    place::Costs,
    ring::{Key, KeyRing},
    selection::{Client, Corrections, Request, Scheme, Table, select},
    time::{Tick, UnixMillis},
    tokens::{NodeGrant, RedirectId, open, seal},
};

const NOW: Tick = Tick::from_origin(Duration::from_secs(1_000));
const CALLS: u32 = 2_000;
const ROUNDS: usize = 51;

fn node(index: usize, regions: usize) -> NodeView {
    let facts = NodeFacts {
        address: format!("node-{index}.example:8001").parse().ok(),
        region: format!("r{}", index % regions).parse().ok(),
        zone: format!("z{}", index % 3).parse().ok(),
        capacity: NonZeroU64::new(125_000_000),
        ..NodeFacts::named(format!("node-{index}").parse().expect("a good name"))
    };
    NodeView {
        facts: Arc::new(facts),
        state: NodeState::Up,
        freshness: Freshness { incarnation: Incarnation(1), beat: 1 },
        load: Load { bytes_per_second: 50_000_000 + index as u64 * 10_000, transfers: 200, ..Load::default() },
        heard_ago: Duration::ZERO,
        intent: Intent::default(),
        in_doubt: false,
    }
}

fn measure(what: &str, mut call: impl FnMut(u32)) {
    if std::env::args().skip(1).any(|part| !part.starts_with('-') && !what.contains(&part)) {
        return;
    }
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            (0..CALLS).for_each(&mut call);
            begun.elapsed() / CALLS
        })
        .collect();
    rounds.sort();
    println!("{what:<44} {:>6} ns, at best {:>6} ns", rounds[ROUNDS / 2].as_nanos(), rounds[0].as_nanos());
}

fn selection(nodes: usize, regions: usize, costs: Costs) {
    let views: Vec<_> = (0..nodes).map(|index| node(index, regions)).collect();
    let dear = if costs.is_empty() { "" } else { ", with costs" };
    let table = Table::from_views(&views, None, NOW).with_costs(costs.into());
    let corrections = Corrections::for_table(&table, None);
    for candidate in table.iter() {
        corrections.sent(candidate, 1_000_000, NOW);
    }
    let keys: Vec<_> = (0..64).map(|key| format!("meeting_files/{key}/package.zip")).collect();
    let path = ObjectPath::from_decoded(&keys[0]).expect("a good path");
    let (region, zone) = ("r0".parse().ok(), "z0".parse().ok());
    let client = Client { region: region.as_ref(), zone: zone.as_ref(), hash: 7 };
    measure(&format!("select, {nodes} nodes in {regions} regions{dear}"), |call| {
        let affinity = keys[call as usize % keys.len()].as_str();
        let now = NOW + Duration::from_millis(700);
        let request = Request {
            affinity,
            key: &path,
            client,
            scheme: Scheme::Http,
            tried: &[],
            doubted: &[],
            cost: 1_000_000,
            bytes: 4_000_000,
            spread: 1,
            now,
        };
        black_box(select(&table, &corrections, black_box(&request)).primary);
    });
}

/// Each region is at another distance from every other one.
fn costs(regions: usize) -> Costs {
    let region = |number: usize| format!("r{number}").parse().expect("a good name");
    let pairs = (0..regions).flat_map(|from| (0..from).map(move |to| (from, to)));
    let given = pairs.map(|(from, to)| (region(from), region(to), (from * 7 + to) as u32));
    Costs::new(given).expect("each pair once")
}

fn tokens() {
    let key = Key::new("k1".parse().expect("a good name"), vec![7; 32]).expect("a long secret");
    let ring = KeyRing { previous: None, current: key, next: None, revision: 1 };
    let views: Vec<_> = (0..4).map(|index| node(index, 1)).collect();
    let table = Table::from_views(&views, None, NOW);
    let key = ObjectKey::plain(ObjectPath::from_decoded("meeting_files/7/package.zip").expect("a good path"));
    let grant = NodeGrant {
        path: None,
        origin_target: Some("/meeting_files/7/package.zip".to_owned()),
        filename: Some("meeting_7.zip".to_owned()),
        content_type: None,
        cache_control: None,
        expires: 2_000,
        renewable_until: 3_000,
        redirect: RedirectId(7),
        hops: 0,
        tried: Vec::new(),
        trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok(),
        validator: None,
        client_network: None,
        candidates: table.iter().filter_map(|candidate| candidate.endpoint(Scheme::Http)).collect(),
        home: Some("http://gateway.example:8080".to_owned()),
        guarded: true,
        key,
    };
    measure("seal a node token with four candidates", |_| {
        black_box(seal(&ring.current, black_box(&grant)).expect("it fits"));
    });
    let token = seal(&ring.current, &grant).expect("it fits");
    measure("open it", |_| {
        black_box(open(&ring, UnixMillis::from_seconds(1_000), black_box(&token)).expect("good"));
    });
}

fn main() {
    for (nodes, regions) in [(2, 1), (16, 1), (16, 3), (256, 1), (256, 4), (10_000, 1), (10_000, 20)] {
        selection(nodes, regions, Costs::default());
    }
    for (nodes, regions) in [(16, 3), (256, 4), (10_000, 20)] {
        selection(nodes, regions, costs(regions));
    }
    tokens();
}
