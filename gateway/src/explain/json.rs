//! An explanation for programs: the names of the fields are those of the wire, and stay.

use ferry_core::node::NodeState;
use ferry_proto::v1;
use serde_json::{Value, json};

/// The explanation as JSON, the same from `ferry explain --json` and from the admin listener. What is absent is `null`.
#[must_use]
pub fn json(explained: &v1::ExplainResponse) -> Value {
    let route = explained.route.clone().unwrap_or_default();
    let client = explained.client.clone().unwrap_or_default();
    let table = json!({
        "gateway_id": explained.gateway_id,
        "heard_ms_ago": explained.heard_ms_ago,
        "saved_ms_ago": explained.saved_ms_ago,
    });
    json!({
        "answer": explained.answer,
        "words": explained.words,
        "table": table,
        "route": {
            "match": route.r#match,
            "index": route.index,
            "access": route.access,
            "key": route.key,
            "query": route.query,
            "affinity": route.affinity,
        },
        "client": {
            "address": client.address,
            "region": some(&client.region),
            "zone": some(&client.zone),
            "words": client.words,
        },
        "cost_bytes_per_second": explained.cost_bytes_per_second,
        "spread": explained.spread,
        "other_part": explained.other_part,
        "choice": some(&explained.choice),
        "tier": some(&explained.tier),
        "spilled": explained.spilled,
        "late": explained.late,
        "tiers": explained.tiers.iter().map(tier).collect::<Vec<_>>(),
        "nodes": explained.nodes.iter().map(node).collect::<Vec<_>>(),
    })
}

fn tier(tier: &v1::ExplainedTier) -> Value {
    json!({
        "tier": tier.tier,
        "nodes": tier.nodes,
        "full": tier.full,
        "utilisation": tier.utilisation,
        "passes_on": tier.passes_on,
        "drawn": tier.drawn,
        "evidence_ignored": tier.evidence_ignored,
    })
}

fn node(node: &v1::ExplainedNode) -> Value {
    json!({
        "node_id": node.node_id,
        "state": NodeState::from(node.state()).as_str(),
        "address": some(&node.address),
        "region": some(&node.region),
        "zone": some(&node.zone),
        "tier": node.tier,
        "role": node.role,
        "rank": Some(node.rank).filter(|&rank| rank > 0),
        "reason": node.reason,
        "words": node.words,
        "score": node.score,
        "weight": node.weight,
        "share": node.share,
        "load_bytes_per_second": node.load_bytes_per_second,
        "bound_bytes_per_second": node.bound_bytes_per_second,
        "capacity_bytes_per_second": node.capacity_bytes_per_second,
        "transfers": node.transfers,
        "utilisation": node.utilisation,
        "full": node.full,
        "doubted": node.doubted,
    })
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
