//! A node: what it registers, what it reports, what is believed of it.

use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
    time::Duration,
};

use ferry_core::{
    address::Authority,
    id::Incarnation,
    load::{Load, Share},
    node::{Duty, Freshness, Intent, NodeFacts, NodeState, NodeView, Weight},
};

use super::{Faults, Invalid, name, optional};
use crate::v1;

/// More than this nobody sends in a second, or at one time.
const MOST_BYTES: u64 = 1 << 40;
const MOST_TRANSFERS: u32 = 10_000_000;

impl TryFrom<v1::NodeFacts> for NodeFacts {
    type Error = Invalid;

    /// All faults are reported at once: whoever writes a registration by hand has it right the second time.
    fn try_from(wire: v1::NodeFacts) -> Result<Self, Invalid> {
        let mut faults = Faults::default();
        let id = match wire.node_id.as_str() {
            "" => faults.note(Invalid::Missing("node_id")),
            text => faults.keep(name("node_id")(text)),
        };
        let address = faults.keep(optional(&wire.address, authority("address")));
        let tls_address = faults.keep(optional(&wire.tls_address, authority("tls_address")));
        if wire.address.is_empty() && wire.tls_address.is_empty() {
            faults.note::<()>(Invalid::Missing("address (or tls_address)"));
        }
        let admin_address = faults.keep(optional(&wire.admin_address, authority("admin_address")));
        let region = faults.keep(optional(&wire.region, name("region")));
        let zone = faults.keep(optional(&wire.zone, name("zone")));
        let value = u64::from(wire.weight);
        let weight = Weight::new(wire.weight).ok_or(Invalid::Number { field: "weight", expected: "1 to 10000", value });
        let weight = faults.keep(weight);
        let prefixes = faults.keep(bounded(wire.prefixes));
        let facts = (|| {
            Some(Self {
                id: id?,
                address: address?,
                tls_address: tls_address?,
                admin_address: admin_address?,
                region: region?,
                zone: zone?,
                weight: weight?,
                capacity: NonZeroU64::new(wire.capacity_bytes_per_second),
                max_transfers: NonZeroU32::new(wire.max_transfers),
                prefixes: prefixes?,
                software: wire.software.chars().filter(|c| !c.is_control()).take(64).collect(),
                reports_arrivals: wire.reports_arrivals,
            })
        })();
        faults.conclude(facts)
    }
}

fn authority(field: &'static str) -> impl FnOnce(&str) -> Result<Authority, Invalid> {
    move |text| text.parse().map_err(|cause| Invalid::Address { field, cause })
}

fn bounded(prefixes: Vec<String>) -> Result<Vec<String>, Invalid> {
    let longest = prefixes.iter().map(String::len).max().unwrap_or_default();
    for (field, limit, length) in [
        ("prefixes", NodeFacts::MOST_PREFIXES, prefixes.len()),
        ("prefixes: bytes of one", NodeFacts::LONGEST_PREFIX, longest),
        ("prefixes: bytes of all", NodeFacts::PREFIX_BYTES, prefixes.iter().map(String::len).sum()),
    ] {
        if length > limit {
            return Err(Invalid::TooLong { field, limit, length });
        }
    }
    Ok(prefixes)
}

impl From<&NodeFacts> for v1::NodeFacts {
    fn from(facts: &NodeFacts) -> Self {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        Self {
            node_id: facts.id.as_str().to_owned(),
            address: text(facts.address.as_ref().map(Authority::as_str)),
            tls_address: text(facts.tls_address.as_ref().map(Authority::as_str)),
            admin_address: text(facts.admin_address.as_ref().map(Authority::as_str)),
            region: text(facts.region.as_ref().map(ferry_core::id::Region::as_str)),
            zone: text(facts.zone.as_ref().map(ferry_core::id::Zone::as_str)),
            weight: facts.weight.get(),
            capacity_bytes_per_second: facts.capacity.map_or(0, NonZeroU64::get),
            max_transfers: facts.max_transfers.map_or(0, NonZeroU32::get),
            prefixes: facts.prefixes.clone(),
            software: facts.software.clone(),
            reports_arrivals: facts.reports_arrivals,
        }
    }
}

impl From<v1::Load> for Load {
    /// Impossible figures are brought into bounds rather than refused: a node with a strange disk still serves.
    fn from(wire: v1::Load) -> Self {
        Self {
            bytes_per_second: wire.bytes_per_second.min(MOST_BYTES),
            transfers: wire.transfers.min(MOST_TRANSFERS),
            cpu: Share::clamped(wire.cpu),
            disk: Share::clamped(wire.disk),
            disk_wait: Duration::from_micros(wire.disk_wait_us.into()),
            requests: wire.requests,
            failures: wire.failures.min(wire.requests),
            cold: Share::clamped(wire.cold),
            fullness: Share::clamped(wire.fullness),
        }
    }
}

impl From<Load> for v1::Load {
    fn from(load: Load) -> Self {
        Self {
            bytes_per_second: load.bytes_per_second,
            transfers: load.transfers,
            cpu: load.cpu.get(),
            disk: load.disk.get(),
            disk_wait_us: u32::try_from(load.disk_wait.as_micros()).unwrap_or(u32::MAX),
            requests: load.requests,
            failures: load.failures,
            cold: load.cold.get(),
            fullness: load.fullness.get(),
        }
    }
}

impl From<NodeState> for v1::NodeState {
    fn from(state: NodeState) -> Self {
        match state {
            NodeState::Up => Self::Up,
            NodeState::Degraded => Self::Degraded,
            NodeState::Probation => Self::Probation,
            NodeState::Maintenance => Self::Maintenance,
            NodeState::Suspect => Self::Suspect,
            NodeState::Down => Self::Down,
            NodeState::Draining => Self::Draining,
        }
    }
}

impl From<v1::NodeState> for NodeState {
    /// A state that this build does not know is one in which nothing new should be sent there.
    fn from(wire: v1::NodeState) -> Self {
        match wire {
            v1::NodeState::Up => Self::Up,
            v1::NodeState::Degraded => Self::Degraded,
            v1::NodeState::Probation => Self::Probation,
            v1::NodeState::Maintenance => Self::Maintenance,
            v1::NodeState::Suspect => Self::Suspect,
            v1::NodeState::Draining => Self::Draining,
            v1::NodeState::Down | v1::NodeState::Unspecified => Self::Down,
        }
    }
}

impl From<v1::Intent> for Intent {
    /// A weight that is none is no decision.
    fn from(wire: v1::Intent) -> Self {
        let duty = duty(wire.drain, wire.maintenance);
        Self { duty, weight: Weight::new(wire.weight), revision: wire.revision }
    }
}

/// What two flags of the wire say of a node's duty.
pub(super) const fn duty(drain: bool, maintenance: bool) -> Duty {
    match (maintenance, drain) {
        (true, _) => Duty::Maintenance,
        (false, true) => Duty::Drain,
        (false, false) => Duty::Serve,
    }
}

impl From<Intent> for v1::Intent {
    fn from(intent: Intent) -> Self {
        let maintenance = intent.duty == Duty::Maintenance;
        let weight = intent.weight.map_or(0, Weight::get);
        Self { drain: intent.drains(), maintenance, weight, revision: intent.revision }
    }
}

impl TryFrom<v1::NodeView> for NodeView {
    type Error = Invalid;

    fn try_from(wire: v1::NodeView) -> Result<Self, Invalid> {
        let state = wire.state().into();
        Ok(Self {
            facts: Arc::new(wire.facts.ok_or(Invalid::Missing("facts"))?.try_into()?),
            state,
            freshness: Freshness { incarnation: Incarnation(wire.incarnation), beat: wire.beat },
            load: wire.load.map(Load::from).unwrap_or_default(),
            heard_ago: Duration::from_millis(wire.heard_ms_ago),
            intent: wire.intent.map(Intent::from).unwrap_or_default(),
            in_doubt: wire.in_doubt,
        })
    }
}

impl From<&NodeView> for v1::NodeView {
    fn from(view: &NodeView) -> Self {
        Self {
            facts: Some((&*view.facts).into()),
            state: v1::NodeState::from(view.state).into(),
            incarnation: view.freshness.incarnation.0,
            beat: view.freshness.beat,
            load: Some(view.load.into()),
            heard_ms_ago: u64::try_from(view.heard_ago.as_millis()).unwrap_or(u64::MAX),
            intent: Some(view.intent.into()),
            in_doubt: view.in_doubt,
        }
    }
}

#[cfg(test)]
mod tests {
    use ferry_core::membership::MOST_NODES;

    use super::*;

    fn wire() -> v1::NodeFacts {
        v1::NodeFacts {
            node_id: "n-1".into(),
            address: "10.0.0.1:8001".into(),
            region: "eu".into(),
            weight: 100,
            ..Default::default()
        }
    }

    #[test]
    fn facts_survive_the_wire() {
        let facts = NodeFacts::try_from(wire()).expect("valid");
        assert_eq!(v1::NodeFacts::from(&facts), wire());
    }

    #[test]
    fn malformed_facts_are_refused_by_field() {
        for (change, field) in [
            (v1::NodeFacts { node_id: String::new(), ..wire() }, "node_id"),
            (v1::NodeFacts { node_id: "a b".into(), ..wire() }, "node_id"),
            (v1::NodeFacts { address: "nowhere".into(), ..wire() }, "address"),
            (v1::NodeFacts { address: String::new(), ..wire() }, "address"),
            (v1::NodeFacts { weight: 0, ..wire() }, "weight"),
            (v1::NodeFacts { weight: 10_001, ..wire() }, "weight"),
            (v1::NodeFacts { prefixes: vec![String::new(); 65], ..wire() }, "prefixes"),
            (v1::NodeFacts { prefixes: vec!["x".repeat(513)], ..wire() }, "prefixes: bytes of one"),
            (v1::NodeFacts { prefixes: vec!["x".repeat(500); 5], ..wire() }, "prefixes: bytes of all"),
        ] {
            let why = NodeFacts::try_from(change).expect_err("refused").to_string();
            assert!(why.contains(field), "{why:?} names {field}");
        }
    }

    /// Whoever holds a join token must not be able to make a table that no gateway takes.
    #[test]
    fn as_many_nodes_as_there_may_be_that_say_as_much_as_they_may_fit_into_one_message() {
        // What gateways take (`ferry_runtime::admin::TABLE_LIMIT`).
        const LARGEST_UPDATE: usize = 64 << 20;
        let address = |first: char| format!("{first}{}:65535", "x".repeat(252));
        let each = NodeFacts::PREFIX_BYTES / NodeFacts::MOST_PREFIXES;
        let largest = v1::NodeFacts {
            node_id: "n".repeat(63),
            address: address('a'),
            tls_address: address('b'),
            admin_address: address('c'),
            region: "r".repeat(63),
            zone: "z".repeat(63),
            weight: Weight::MAX,
            capacity_bytes_per_second: u64::MAX,
            max_transfers: u32::MAX,
            prefixes: vec!["p".repeat(each); NodeFacts::MOST_PREFIXES],
            software: "\u{10ffff}".repeat(64),
            reports_arrivals: true,
        };
        let facts = NodeFacts::try_from(largest.clone()).expect("all of it is allowed");
        assert_eq!(v1::NodeFacts::from(&facts), largest, "nothing of it is cut");
        let load = v1::Load {
            bytes_per_second: u64::MAX,
            transfers: u32::MAX,
            cpu: 1.0,
            disk: 1.0,
            disk_wait_us: u32::MAX,
            requests: u32::MAX,
            failures: u32::MAX,
            cold: 1.0,
            fullness: 1.0,
        };
        let view = NodeView {
            facts: Arc::new(facts),
            state: NodeState::Draining,
            freshness: Freshness { incarnation: Incarnation(u64::MAX), beat: u64::MAX },
            load: load.into(),
            heard_ago: Duration::from_millis(u64::MAX),
            intent: Intent { duty: Duty::Maintenance, weight: Weight::new(Weight::MAX), revision: u64::MAX },
            in_doubt: true,
        };
        // Each in its table: a tag, and a length of two bytes.
        let bytes = prost::Message::encoded_len(&v1::NodeView::from(&view)) + 3;
        assert!(bytes * MOST_NODES < LARGEST_UPDATE, "{bytes} bytes for a node");
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let wire = v1::NodeFacts { node_id: "a b".into(), address: "nowhere".into(), weight: 0, ..Default::default() };
        let why = NodeFacts::try_from(wire).expect_err("refused").to_string();
        for field in ["node_id", "address", "weight"] {
            assert!(why.contains(field), "{why:?} names {field}");
        }
    }

    #[test]
    fn impossible_loads_are_clamped() {
        let load = Load::from(v1::Load { cpu: f32::NAN, disk: -3.0, ..Default::default() });
        assert_eq!((load.cpu.get(), load.disk.get()), (0.0, 0.0));
        assert_eq!(Load::from(v1::Load { cpu: f32::INFINITY, ..Default::default() }).cpu.get(), 1.0);
    }
}
