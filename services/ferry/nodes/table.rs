//! Nodes as people and as programs read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use ferry_proto::v1;
use serde_json::{Value, json};

/// A table, one line for each node; of a gateway's, a line that says how old it is.
pub(crate) fn list(listed: &v1::ListNodesResponse) -> String {
    let nodes = match listed.nodes.is_empty() {
        true => "no node has registered yet".to_owned(),
        false => rows(&listed.nodes),
    };
    match age(listed) {
        Some(age) => format!("{nodes}\n\n{age}"),
        None => nodes,
    }
}

/// How old a gateway's table is.
fn age(listed: &v1::ListNodesResponse) -> Option<String> {
    let gateway = Some(&listed.gateway_id).filter(|id| !id.is_empty())?;
    Some(match listed.heard_ms_ago {
        Some(millis) => {
            format!("the table of gateway {gateway}; a coordinator was last heard {} s ago", millis.div_ceil(1000))
        }
        None => {
            format!("the table of gateway {gateway}, from its copy on disk: no coordinator was heard since it started")
        }
    })
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
            state(node).to_owned(),
            since(node),
            address(&facts),
            dash(&facts.region),
            dash(&facts.zone),
            facts.weight.to_string(),
            rate(load.bytes_per_second),
            load.transfers.to_string(),
        ]);
    }
    table.to_string()
}

/// One node, one line for each thing that is known of it.
pub(crate) fn show(node: &v1::NodeStatus) -> String {
    let (facts, view) = (facts(node), view(node));
    let load = view.load.unwrap_or_default();
    let capacity = match facts.capacity_bytes_per_second {
        0 => "not told".to_owned(),
        known => rate(known),
    };
    let lines = [
        ("node", facts.node_id.clone()),
        ("state", format!("{} for {}", state(node), since(node))),
        ("drained by an operator", yes(view.intent.is_some_and(|intent| intent.drain))),
        ("in maintenance", yes(view.intent.is_some_and(|intent| intent.maintenance))),
        ("address", address(&facts)),
        ("admin address", dash(&facts.admin_address)),
        ("region", dash(&facts.region)),
        ("zone", dash(&facts.zone)),
        ("weight", facts.weight.to_string()),
        ("capacity", capacity),
        ("rate", rate(load.bytes_per_second)),
        ("transfers", load.transfers.to_string()),
        ("processors busy", format!("{:.0} %", load.cpu * 100.0)),
        ("disk waiting", format!("{:.0} %", load.disk * 100.0)),
        ("a call to the disk", format!("{} µs", load.disk_wait_us)),
        ("requests", format!("{} a second, {} of them failed", load.requests, load.failures)),
        ("last beat", format!("{} ms ago, number {}", view.heard_ms_ago, view.beat)),
        ("incarnation", view.incarnation.to_string()),
        ("attends here", yes(node.attending)),
        ("first seen", format!("{} ago", ago(node.first_seen_unix_ms))),
        ("software", dash(&facts.software)),
    ];
    lines.map(|(name, value)| format!("{name:<24}{value}")).join("\n")
}

/// All nodes for programs.
pub(crate) fn json_list(listed: &v1::ListNodesResponse) -> String {
    Value::Array(listed.nodes.iter().map(json).collect()).to_string()
}

/// One node for programs.
pub(crate) fn json(node: &v1::NodeStatus) -> Value {
    let (facts, view) = (facts(node), view(node));
    let load = view.load.unwrap_or_default();
    json!({
        "node_id": facts.node_id,
        "state": state(node),
        "since_unix_ms": node.since_unix_ms,
        "drain": view.intent.is_some_and(|intent| intent.drain),
        "maintenance": view.intent.is_some_and(|intent| intent.maintenance),
        "in_doubt": view.in_doubt,
        "address": facts.address,
        "tls_address": facts.tls_address,
        "admin_address": facts.admin_address,
        "region": facts.region,
        "zone": facts.zone,
        "weight": facts.weight,
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

pub(crate) fn state(node: &v1::NodeStatus) -> &'static str {
    ferry_core::node::NodeState::from(view(node).state()).as_str()
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

fn rate(bytes_per_second: u64) -> String {
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
    fn rates_are_readable() {
        for (bytes, text) in [(0, "0 B/s"), (1023, "1023 B/s"), (1536, "1.5 KiB/s"), (10 << 30, "10.0 GiB/s")] {
            assert_eq!(rate(bytes), text);
        }
    }
}
