//! An explanation in the words of the wire.

use ferry_core::{
    routes::Deliver,
    selection::{Explained, ExplainedTier, Explanation, Role},
};
use ferry_proto::v1;

use super::Outcome;
use crate::{choice::Wanted, door::Refused, snapshot::Snapshot, whereabouts::Source};

pub(super) fn of(
    snapshot: &Snapshot,
    wanted: &Wanted<'_>,
    explanation: &Explanation,
    outcome: Outcome,
    source: Option<Source>,
) -> v1::ExplainResponse {
    let question = wanted.question();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let node = |explained: &Explained| {
        let reach = snapshot.table.find(&explained.node).and_then(|candidate| candidate.reach(wanted.asker.scheme));
        v1::ExplainedNode {
            node_id: explained.node.to_string(),
            state: v1::NodeState::from(explained.state).into(),
            address: reach.map(|reach| reach.authority.to_string()).unwrap_or_default(),
            region: explained.region.as_ref().map(ToString::to_string).unwrap_or_default(),
            zone: explained.zone.as_ref().map(ToString::to_string).unwrap_or_default(),
            tier: explained.tier.as_str().to_owned(),
            role: explained.role.name().to_owned(),
            rank: if let Role::Alternate(rank) = explained.role { count(rank) } else { 0 },
            reason: explained.role.reason().to_owned(),
            words: explained.role.words().to_owned(),
            score: explained.score,
            weight: explained.weight.get(),
            share: explained.share,
            load_bytes_per_second: explained.load,
            bound_bytes_per_second: explained.bound,
            capacity_bytes_per_second: explained.capacity,
            transfers: explained.transfers,
            utilisation: explained.utilisation,
            full: explained.full,
            doubted: explained.doubted,
        }
    };
    let tier = |explained: &ExplainedTier| v1::ExplainedTier {
        tier: explained.tier.as_str().to_owned(),
        nodes: count(explained.nodes),
        full: count(explained.full),
        utilisation: explained.utilisation,
        passes_on: explained.passes_on,
        drawn: explained.drawn,
        evidence_ignored: explained.evidence_ignored,
    };
    v1::ExplainResponse {
        answer: name(outcome).to_owned(),
        words: words(wanted, explanation, outcome),
        route: Some(route(wanted)),
        client: Some(client(wanted, source)),
        cost_bytes_per_second: question.cost,
        spread: question.spread,
        other_part: !explanation.whole,
        choice: explanation.choice.map(|choice| choice.as_str().to_owned()).unwrap_or_default(),
        tier: explanation.tier.map(|tier| tier.as_str().to_owned()).unwrap_or_default(),
        spilled: explanation.spilled,
        late: explanation.late,
        tiers: explanation.tiers.iter().map(tier).collect(),
        nodes: explanation.nodes.iter().map(node).collect(),
        ..Default::default()
    }
}

const fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Redirect => "redirect",
        Outcome::HandOut => "hand-out",
        Outcome::Fallback => "fallback",
        Outcome::Unavailable => "unavailable",
        Outcome::Refused(_) => "refused",
    }
}

fn words(wanted: &Wanted<'_>, explanation: &Explanation, outcome: Outcome) -> String {
    let chosen = explanation.nodes.first().filter(|_| explanation.choice.is_some());
    let chosen = chosen.map(|node| format!("{}: {}", node.node, node.role.words()));
    let nobody = || "no node can serve it now".to_owned();
    let unsent = || chosen.clone().map_or_else(nobody, |_| "no key ring for node tokens has arrived yet".to_owned());
    match outcome {
        Outcome::Redirect => format!("302 to {}", chosen.clone().unwrap_or_else(nobody)),
        Outcome::HandOut => {
            format!(
                "the gateway sends it itself, from its own source or from {}",
                chosen.clone().unwrap_or_else(nobody)
            )
        }
        Outcome::Fallback => format!("{}: the gateway sends it from its own source", unsent()),
        Outcome::Unavailable => format!("503: {}, and the gateway has no source of its own", unsent()),
        Outcome::Refused(why) => {
            let what = match wanted.admitted.found.deliver {
                Deliver::Redirect => "who may fetch it would be sent to",
                Deliver::Proxy => "who may fetch it would get it by way of",
            };
            let status = status(why);
            format!("{status}: {why}; {what} {}", chosen.clone().unwrap_or_else(|| "nobody".to_owned()))
        }
    }
}

fn status(refused: Refused) -> u16 {
    refused.answer().status.as_u16()
}

fn route(wanted: &Wanted<'_>) -> v1::ExplainedRoute {
    let found = &wanted.admitted.found;
    v1::ExplainedRoute {
        r#match: found.route.pattern().to_owned(),
        index: u32::try_from(found.route.index()).unwrap_or(u32::MAX),
        access: found.access.as_str().to_owned(),
        key: found.key.path.as_str().to_owned(),
        query: found.key.query.as_deref().map(str::to_owned),
        affinity: found.affinity().into_owned(),
    }
}

fn client(wanted: &Wanted<'_>, source: Option<Source>) -> v1::ExplainedClient {
    let client = wanted.question().client;
    let words = match source {
        Some(Source::Networks) => "by the lists of networks",
        Some(Source::Header) => "by a trusted proxy's word",
        Some(Source::Maxmind) => "by the database",
        Some(Source::Gateway) => "where the gateway is",
        None => "nobody knows where",
    };
    v1::ExplainedClient {
        address: wanted.asker.address.to_canonical().to_string(),
        region: client.region.map(ToString::to_string).unwrap_or_default(),
        zone: client.zone.map(ToString::to_string).unwrap_or_default(),
        words: words.to_owned(),
    }
}
