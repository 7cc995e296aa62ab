//! Nodes as people and as programs read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use ferry_core::node::NodeState;
use ferry_proto::v1;
use serde_json::{Value, json};

use super::source::Source;

/// A table, one line for each node; beside it, what there is to know of whoever says so.
pub(crate) fn list(listed: &v1::ListNodesResponse) -> String {
    let nodes = match listed.nodes.is_empty() {
        true => "no node has registered yet".to_owned(),
        false => rows(&listed.nodes),
    };
    noted(nodes, &Source::from(listed))
}

fn noted(text: String, source: &Source) -> String {
    match source.note() {
        Some(note) => format!("{text}\n\n{note}"),
        None => text,
    }
}

fn rows(nodes: &[v1::NodeStatus]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header([
        "NODE",
        "STATE",
        "FOR",
        "ADDRESS",
        "REGION",
        "ZONE",
        "WEIGHT",
        "RATE",
        "TRANSFERS",
    ]);
    for node in nodes {
        let facts = facts(node);
        let load = view(node).load.unwrap_or_default();
        table.add_row([
            facts.node_id.clone(),
            state(node).to_string(),
            since(node),
            address(&facts),
            dash(&facts.region),
            dash(&facts.zone),
            weight(node),
            rate(load.bytes_per_second),
            load.transfers.to_string(),
        ]);
    }
    table.to_string()
}

/// One node, one line for each thing that is known of it: a gateway's table lacks some.
pub(crate) fn show(node: &v1::NodeStatus, source: &Source) -> String {
    let (facts, view) = (facts(node), view(node));
    let load = view.load.unwrap_or_default();
    let capacity = match facts.capacity_bytes_per_second {
        0 => "not told".to_owned(),
        known => rate(known),
    };
    let coordinators_know = !source.is_gateway();
    let only = |value: &dyn Fn() -> String| coordinators_know.then(value);
    let state = match coordinators_know {
        true => format!("{} for {}", state(node), since(node)),
        false => state(node).to_string(),
    };
    let lines = [
        ("node", Some(facts.node_id.clone())),
        ("state", Some(state)),
        ("drained by an operator", only(&|| yes(view.intent.is_some_and(|intent| intent.drain)))),
        ("in maintenance", only(&|| yes(view.intent.is_some_and(|intent| intent.maintenance)))),
        ("address", Some(address(&facts))),
        ("admin address", Some(dash(&facts.admin_address))),
        ("region", Some(dash(&facts.region))),
        ("zone", Some(dash(&facts.zone))),
        ("weight", Some(weight(node))),
        ("capacity", Some(capacity)),
        ("rate", Some(rate(load.bytes_per_second))),
        ("transfers", Some(load.transfers.to_string())),
        ("processors busy", Some(format!("{:.0} %", load.cpu * 100.0))),
        ("disk waiting", Some(format!("{:.0} %", load.disk * 100.0))),
        ("a call to the disk", Some(format!("{} µs", load.disk_wait_us))),
        ("requests", Some(format!("{} a second, {} of them failed", load.requests, load.failures))),
        ("last beat", only(&|| format!("{} ms ago, number {}", view.heard_ms_ago, view.beat))),
        ("incarnation", only(&|| view.incarnation.to_string())),
        ("attends here", only(&|| yes(node.attending))),
        ("first seen", only(&|| format!("{} ago", ago(node.first_seen_unix_ms)))),
        ("software", Some(dash(&facts.software))),
    ];
    let known = lines.into_iter().filter_map(|(name, value)| Some(format!("{name:<24}{}", value?)));
    noted(known.collect::<Vec<_>>().join("\n"), source)
}

/// All nodes for programs.
pub(crate) fn json_list(listed: &v1::ListNodesResponse) -> String {
    let source = Source::from(listed);
    Value::Array(listed.nodes.iter().map(|node| json(node, &source)).collect()).to_string()
}

/// What only coordinators know.
const COORDINATORS_KNOW: [&str; 9] = [
    "since_unix_ms",
    "drain",
    "maintenance",
    "in_doubt",
    "incarnation",
    "beat",
    "heard_ms_ago",
    "attending",
    "first_seen_unix_ms",
];

/// One node for programs.
pub(crate) fn json(node: &v1::NodeStatus, source: &Source) -> Value {
    let mut value = full_json(node);
    if let Some(fields) = value.as_object_mut().filter(|_| source.is_gateway()) {
        fields.retain(|name, _| !COORDINATORS_KNOW.contains(&name.as_str()));
    }
    source.mark(&mut value);
    value
}

fn full_json(node: &v1::NodeStatus) -> Value {
    let (facts, view) = (facts(node), view(node));
    let load = view.load.unwrap_or_default();
    let decided = decided_weight(node);
    json!({
        "node_id": facts.node_id,
        "state": state(node).as_str(),
        "since_unix_ms": node.since_unix_ms,
        "drain": view.intent.is_some_and(|intent| intent.drain),
        "maintenance": view.intent.is_some_and(|intent| intent.maintenance),
        "in_doubt": view.in_doubt,
        "address": facts.address,
        "tls_address": facts.tls_address,
        "admin_address": facts.admin_address,
        "region": facts.region,
        "zone": facts.zone,
        "weight": if decided == 0 { facts.weight } else { decided },
        "registered_weight": facts.weight,
        "decided_weight": Some(decided).filter(|&decided| decided != 0),
        "capacity_bytes_per_second": facts.capacity_bytes_per_second,
        "bytes_per_second": load.bytes_per_second,
        "transfers": load.transfers,
        "cpu": load.cpu,
        "disk": load.disk,
        "disk_wait_us": load.disk_wait_us,
        "requests": load.requests,
        "failures": load.failures,
        "incarnation": view.incarnation,
        "beat": view.beat,
        "heard_ms_ago": view.heard_ms_ago,
        "attending": node.attending,
        "first_seen_unix_ms": node.first_seen_unix_ms,
        "software": facts.software,
    })
}

pub(crate) fn id(node: &v1::NodeStatus) -> String {
    facts(node).node_id
}

pub(crate) fn state(node: &v1::NodeStatus) -> NodeState {
    view(node).state().into()
}

/// The share of the work that counts, and the registered one where an operator's goes before it.
pub(crate) fn weight(node: &v1::NodeStatus) -> String {
    match (decided_weight(node), facts(node).weight) {
        (0, registered) => registered.to_string(),
        (decided, registered) => format!("{decided} (registered: {registered})"),
    }
}

/// 0 if no operator decided.
fn decided_weight(node: &v1::NodeStatus) -> u32 {
    view(node).intent.map_or(0, |intent| intent.weight)
}

fn view(node: &v1::NodeStatus) -> v1::NodeView {
    node.view.clone().unwrap_or_default()
}

fn facts(node: &v1::NodeStatus) -> v1::NodeFacts {
    view(node).facts.unwrap_or_default()
}

fn address(facts: &v1::NodeFacts) -> String {
    let both = [&facts.address, &facts.tls_address].map(String::as_str);
    dash(both.into_iter().find(|address| !address.is_empty()).unwrap_or_default())
}

fn since(node: &v1::NodeStatus) -> String {
    ago(node.since_unix_ms)
}

fn ago(unix_ms: u64) -> String {
    if unix_ms == 0 {
        return dash("");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let span = now.saturating_sub(Duration::from_millis(unix_ms)).as_secs();
    match span {
        0..120 => format!("{span} s"),
        120..7200 => format!("{} min", span / 60),
        7200..172_800 => format!("{} h", span / 3600),
        _ => format!("{} d", span / 86_400),
    }
}

/// Bytes per second in the unit that suits them.
pub(crate) fn rate(bytes_per_second: u64) -> String {
    const UNITS: [&str; 5] = ["B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"];
    let mut value = bytes_per_second as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} {}", UNITS[unit]) } else { format!("{value:.1} {}", UNITS[unit]) }
}

fn dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

fn yes(fact: bool) -> String {
    if fact { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_gateways_table_nothing_is_told_that_it_does_not_know() {
        let answer = v1::GetNodeResponse {
            node: Some(v1::NodeStatus::default()),
            gateway_id: "g".into(),
            heard_ms_ago: Some(61_000),
            ..Default::default()
        };
        let node = answer.node.clone().expect("it is there");
        let (of_gateway, of_coordinator) = (Source::from(&answer), Source::default());
        assert!(show(&node, &of_coordinator).contains("attends here"));
        let shown = show(&node, &of_gateway);
        assert!(!shown.contains("attends here") && !shown.contains("first seen"), "{shown}");
        assert!(shown.ends_with("the table of gateway g; a coordinator was last heard 61 s ago"), "{shown}");
        let told = json(&node, &of_gateway);
        assert_eq!((told.get("attending"), &told["table"]["heard_ms_ago"]), (None, &json!(61_000)));
        assert_eq!(json(&node, &of_coordinator)["attending"], false);
    }

    #[test]
    fn a_coordinator_that_is_learning_says_so() {
        let node = v1::NodeStatus::default();
        let listed = v1::ListNodesResponse { nodes: vec![node], learning: true, ..Default::default() };
        assert!(list(&listed).contains("still learning who is alive"));
        assert!(json_list(&listed).contains(r#""learning":true"#));
    }

    #[test]
    fn an_operators_weight_is_told_beside_the_registered_one() {
        let node = |decided| {
            let facts = v1::NodeFacts { node_id: "a".into(), weight: 100, ..Default::default() };
            let intent = v1::Intent { weight: decided, ..Default::default() };
            let view = v1::NodeView { facts: Some(facts), intent: Some(intent), ..Default::default() };
            v1::NodeStatus { view: Some(view), ..Default::default() }
        };
        let source = Source::default();
        for (decided, text, of_json) in
            [(0, "100", (100, json!(null))), (500, "500 (registered: 100)", (500, json!(500)))]
        {
            let listed = v1::ListNodesResponse { nodes: vec![node(decided)], ..Default::default() };
            assert!(list(&listed).contains(&format!(" {text}  ")), "{}", list(&listed));
            let shown = show(&node(decided), &source);
            assert!(
                shown.lines().any(|line| line.starts_with("weight ") && line.ends_with(&format!(" {text}"))),
                "{shown}"
            );
            let told = json(&node(decided), &source);
            assert_eq!((&told["weight"], &told["decided_weight"]), (&json!(of_json.0), &of_json.1));
            assert_eq!(told["registered_weight"], 100);
        }
    }

    #[test]
    fn rates_are_readable() {
        for (bytes, text) in [(0, "0 B/s"), (1023, "1023 B/s"), (1536, "1.5 KiB/s"), (10 << 30, "10.0 GiB/s")] {
            assert_eq!(rate(bytes), text);
        }
    }
}
