//! An explanation as people read it: what the client gets, what led there, and every candidate.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::NOTHING};
use ferry_core::node::NodeState;
use ferry_proto::v1;

use crate::nodes::{rate, source::Source};

pub(super) fn explained(explained: &v1::ExplainResponse) -> String {
    let mut parts = vec![explained.words.clone(), circumstances(explained)];
    parts.push(match explained.nodes.is_empty() {
        true => "the gateway knows no node".to_owned(),
        false => candidates(&explained.nodes),
    });
    parts.extend(Source::from(explained).note());
    parts.join("\n\n")
}

/// One line for each thing that the choice depends on.
fn circumstances(explained: &v1::ExplainResponse) -> String {
    let route = explained.route.clone().unwrap_or_default();
    let client = explained.client.clone().unwrap_or_default();
    let key = match &route.query {
        Some(query) => format!("{}?{query}", route.key),
        None => route.key.clone(),
    };
    let mut lines = vec![
        ("route", format!("{} ({})", route.r#match, route.access)),
        ("key", if key == route.affinity { key } else { format!("{key}, kept together by {}", route.affinity) }),
        ("client", format!("{}, {}", client.address, place(&client))),
        ("transfer", format!("expected to take {}", rate(explained.cost_bytes_per_second))),
    ];
    if explained.spread > 1 {
        let part = if explained.other_part { "another part than the one" } else { "the part" };
        let part = format!("{part} that is the key while it is not spread");
        lines.push(("spread", format!("over {} nodes; this client is led to {part}", explained.spread)));
    }
    lines.extend(
        explained.tiers.iter().enumerate().map(|(at, tier)| (if at == 0 { "tiers" } else { "" }, of_tier(tier))),
    );
    if explained.late {
        lines.push(("", "nobody beats in time: nodes serve whose beats are late".to_owned()));
    }
    lines.into_iter().map(|(name, value)| format!("{name:<10}{value}")).collect::<Vec<_>>().join("\n")
}

fn place(client: &v1::ExplainedClient) -> String {
    match (&*client.region, &*client.zone) {
        ("", _) => client.words.clone(),
        (region, "") => format!("in {region}: {}", client.words),
        (region, zone) => format!("in {region}, {zone}: {}", client.words),
    }
}

fn of_tier(tier: &v1::ExplainedTier) -> String {
    let mut text =
        format!("{:<10}{} eligible, {} full, {} utilised", tier.tier, tier.nodes, tier.full, share(tier.utilisation));
    if tier.passes_on > 0.0 {
        let (passes_on, drawn) = (share(tier.passes_on), share(tier.drawn));
        text += &format!("; passes on {passes_on} where a farther tier has room: this client drew {drawn}");
    }
    if tier.evidence_ignored {
        text += "; evidence speaks against more than half of it, and is ignored";
    }
    text
}

fn candidates(nodes: &[v1::ExplainedNode]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header([
        "NODE",
        "ROLE",
        "STATE",
        "PLACE",
        "TIER",
        "SCORE",
        "WEIGHT",
        "LOAD",
        "BOUND",
        "UTILISED",
        "TRANSFERS",
        "WHY",
    ]);
    for node in nodes {
        table.add_row([
            node.node_id.clone(),
            if node.rank > 0 { format!("{} {}", node.role, node.rank) } else { node.role.clone() },
            NodeState::from(node.state()).to_string(),
            [&*node.region, &*node.zone].into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join("/"),
            node.tier.clone(),
            format!("{:.0}", node.score),
            weight(node),
            rate(node.load_bytes_per_second as u64),
            node.bound_bytes_per_second.map_or_else(|| "-".to_owned(), |bound| rate(bound as u64)),
            share(node.utilisation),
            node.transfers.to_string(),
            why(node),
        ]);
    }
    for column in 5..=10 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// The weight, and the part of it that counts where that is not all.
fn weight(node: &v1::ExplainedNode) -> String {
    if node.share < 1.0 { format!("{} × {:.2}", node.weight, node.share) } else { node.weight.to_string() }
}

fn why(node: &v1::ExplainedNode) -> String {
    match node.doubted && node.role != "excluded" {
        true => format!("{}; clients are said not to arrive there", node.words),
        false => node.words.clone(),
    }
}

fn share(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, role: &str, rank: u32, words: &str) -> v1::ExplainedNode {
        v1::ExplainedNode {
            node_id: id.into(),
            role: role.into(),
            rank,
            words: words.into(),
            weight: 100,
            share: 1.0,
            ..Default::default()
        }
    }

    #[test]
    fn people_read_what_the_client_gets_then_what_led_there_then_every_candidate() {
        let told = explained(&v1::ExplainResponse {
            words: "302 to n1: the key belongs there".into(),
            route: Some(v1::ExplainedRoute {
                r#match: "/{path*}".into(),
                access: "open".into(),
                key: "video/a.ts".into(),
                affinity: "video/".into(),
                ..Default::default()
            }),
            client: Some(v1::ExplainedClient {
                address: "192.0.2.7".into(),
                region: "eu".into(),
                words: "where the gateway is".into(),
                ..Default::default()
            }),
            cost_bytes_per_second: 1 << 20,
            spread: 3,
            other_part: true,
            tiers: vec![v1::ExplainedTier {
                tier: "region".into(),
                nodes: 2,
                utilisation: 0.875,
                passes_on: 0.5,
                drawn: 0.7,
                ..Default::default()
            }],
            nodes: vec![
                node("n1", "primary", 0, "the key belongs there"),
                v1::ExplainedNode { doubted: true, share: 0.5, ..node("n2", "alternate", 1, "next") },
                node("n3", "excluded", 0, "down"),
            ],
            gateway_id: "g".into(),
            heard_ms_ago: Some(10),
            ..Default::default()
        });
        let lines: Vec<&str> = told.lines().map(str::trim_end).collect();
        assert_eq!(lines[0], "302 to n1: the key belongs there");
        for line in [
            "route     /{path*} (open)",
            "key       video/a.ts, kept together by video/",
            "client    192.0.2.7, in eu: where the gateway is",
            "transfer  expected to take 1.0 MiB/s",
            "spread    over 3 nodes; this client is led to another part than the one that is the key while it is not spread",
            "tiers     region    2 eligible, 0 full, 88 % utilised; passes on 50 % where a farther tier has room: this client drew 70 %",
        ] {
            assert!(lines.contains(&line), "{line}\nis not in:\n{told}");
        }
        let of = |id: &str| lines.iter().find(|line| line.trim().starts_with(id)).copied().expect(id);
        assert!(of("n2").contains("alternate 1") && of("n2").contains("100 × 0.50"), "{told}");
        assert!(of("n2").ends_with("next; clients are said not to arrive there"), "{told}");
        assert!(of("n3").ends_with("down"), "{told}");
        assert_eq!(*lines.last().expect("lines"), "the table of gateway g; a coordinator was last heard 1 s ago");
    }
}
