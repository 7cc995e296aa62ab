//! A selection allocates nothing, however large the table is and whatever is asked.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use ferry_core::{
    id::NodeId,
    load::Load,
    node::{Freshness, Intent, NodeFacts, NodeState, NodeView},
    object::ObjectPath,
    place::Costs,
    selection::{Client, Corrections, Heat, Request, Scheme, Table, select},
    time::Tick,
};

const NOW: Tick = Tick::from_origin(Duration::from_secs(1_000));

fn node(number: usize) -> NodeView {
    let facts = NodeFacts {
        address: format!("node-{number}.example:8001").parse().ok(),
        region: format!("r{}", number % 20).parse().ok(),
        zone: format!("z{}", number % 3).parse().ok(),
        capacity: NonZeroU64::new(125_000_000),
        ..NodeFacts::named(format!("n{number}").parse().expect("a good name"))
    };
    NodeView {
        facts: Arc::new(facts),
        // Some are late, and many are busy.
        state: if number % 7 == 3 { NodeState::Suspect } else { NodeState::Up },
        freshness: Freshness::default(),
        load: Load { bytes_per_second: (number as u64 % 130) * 1_000_000, transfers: 300, ..Load::default() },
        heard_ago: Duration::ZERO,
        intent: Intent::default(),
        in_doubt: false,
    }
}

fn costs() -> Costs {
    let region = |number: u32| format!("r{number}").parse().expect("a good name");
    let pairs = (0..20).flat_map(|from| (0..from).map(move |to| (from, to)));
    Costs::new(pairs.map(|(from, to)| (region(from), region(to), from * 7 + to))).expect("a good matrix")
}

/// Puts a question to the table in several ways, as a gateway does, with all that it notes.
fn ask(table: &Table, nodes: usize) {
    let path = ObjectPath::from_decoded("files/a.iso").expect("a good path");
    let named = |number: usize| -> NodeId { format!("n{number}").parse().expect("a good name") };
    let (few_tried, few_doubted) = ([named(0), named(5)], [named(1), named(9), named(12)]);
    let places = [(None, None), ("r1".parse().ok(), None), ("r0".parse().ok(), "z0".parse().ok())];
    let (corrections, heat) = (Corrections::for_table(table, None), Heat::for_nodes(nodes));
    for (region, zone) in &places {
        for (tried, doubted, spread) in [(&[][..], &[][..], 1), (&few_tried, &few_doubted, 1), (&[], &few_doubted, 40)]
        {
            let client = Client { region: region.as_ref(), zone: zone.as_ref(), hash: 7 << 61 };
            let counted = allocation_counter::measure(|| {
                let cost = table.cost(1 << 30, client.region);
                let (affinity, key, scheme) = ("files/", &path, Scheme::Http);
                let request =
                    Request { affinity, key, client, scheme, tried, doubted, cost, bytes: 4 << 20, spread, now: NOW };
                let primary = select(table, &corrections, &request).primary.expect("many nodes");
                corrections.sent(primary, cost, NOW);
                heat.sent("files/", 1 << 30, NOW);
                assert!(heat.spread("files/", 1 << 30, table, NOW) > 0);
            });
            assert_eq!(counted.count_total, 0, "{nodes} nodes, spread {spread}, from {region:?}");
        }
    }
}

#[test]
fn no_question_makes_a_selection_allocate() {
    for nodes in [16, 256, 10_000] {
        let views: Vec<_> = (0..nodes).map(node).collect();
        let table = Table::from_views(&views, None, NOW);
        ask(&table, nodes);
        ask(&table.with_costs(costs().into()), nodes);
    }
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![1_u8])));
    assert_eq!(counted.count_total, 1, "what counts, counts");
}
