//! Which nodes clients are sent to for an object, by the same function that sends them there.

use std::collections::BTreeSet;

use anyhow::Context as _;
use ferry_core::{
    id::{Region, Zone},
    node::NodeView,
    object::{ObjectKey, ObjectPath},
    routes::affinity,
    selection::{Candidate, Client, Corrections, Request, Scheme, Table, select},
    time::Tick,
};
use ferry_proto::v1;

use crate::caches::Target;

/// What one more transfer is expected to take: what gateways assume while sizes and rates are unknown.
const TRANSFER_COST: u64 = 1 << 20;
/// How large it is expected to be, likewise.
const TRANSFER_BYTES: u64 = 4 << 20;

/// The nodes, as a gateway sees them.
pub(super) struct Choice {
    table: Table,
    corrections: Corrections,
    /// Where clients may be: wherever there is a node, and nowhere in particular.
    clients: Vec<(Option<Region>, Option<Zone>)>,
}

impl Choice {
    pub(super) fn among(nodes: &[v1::NodeStatus]) -> anyhow::Result<Self> {
        let views = nodes.iter().filter_map(|node| node.view.clone()).map(NodeView::try_from);
        let views: Vec<_> = views.collect::<Result<_, _>>().context("the coordinator's list cannot be read")?;
        let table = Table::from_views(&views, None, Tick::default());
        let places = views.iter().flat_map(|view| {
            let (region, zone) = (view.facts.region.clone(), view.facts.zone.clone());
            [(region.clone(), zone), (region, None), (None, None)]
        });
        let places: BTreeSet<_> = places.collect();
        let clients = places.into_iter().collect();
        Ok(Self { corrections: Corrections::for_table(&table, None), table, clients })
    }

    /// Those that clients are sent to first, wherever they are.
    pub(super) fn first(&self, path: &ObjectPath, query: &str) -> Vec<Target> {
        let query = Some(query).filter(|query| !query.is_empty()).map(Into::into);
        let key = ObjectKey { path: path.clone(), query };
        let affinity = affinity(&key);
        let primary = |(region, zone): &(Option<Region>, Option<Zone>)| {
            let client = Client { region: region.as_ref(), zone: zone.as_ref(), hash: 0 };
            let request = Request {
                affinity: &affinity,
                key: path,
                client,
                scheme: Scheme::Http,
                tried: &[],
                cost: TRANSFER_COST,
                bytes: TRANSFER_BYTES,
                spread: 1,
                doubted: &[],
                now: Tick::default(),
            };
            select(&self.table, &self.corrections, &request).primary.map(Candidate::id)
        };
        let primaries: BTreeSet<_> = self.clients.iter().filter_map(primary).collect();
        self.targets(|candidate| primaries.contains(candidate.id()))
    }

    /// All that may get clients for it.
    pub(super) fn all(&self, path: &ObjectPath) -> Vec<Target> {
        self.targets(|candidate| candidate.state().selectable() && candidate.serves(path))
    }

    fn targets(&self, concerned: impl Fn(&Candidate) -> bool) -> Vec<Target> {
        let concerned = self.table.iter().filter(|candidate| concerned(candidate));
        concerned.map(|candidate| Target::of(&(&**candidate.facts()).into())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, region: &str, state: v1::NodeState, prefixes: &[&str]) -> v1::NodeStatus {
        let facts = v1::NodeFacts {
            node_id: id.to_owned(),
            address: format!("{id}.example:80"),
            admin_address: format!("{id}.example:9001"),
            region: region.to_owned(),
            weight: 100,
            prefixes: prefixes.iter().map(|&prefix| prefix.to_owned()).collect(),
            ..v1::NodeFacts::default()
        };
        let view = v1::NodeView { facts: Some(facts), state: state.into(), beat: 1, ..v1::NodeView::default() };
        v1::NodeStatus { view: Some(view), ..v1::NodeStatus::default() }
    }

    fn ids(targets: &[Target]) -> Vec<&str> {
        targets.iter().map(|target| &*target.id).collect()
    }

    fn path(text: &str) -> ObjectPath {
        ObjectPath::from_decoded(text).expect("a path")
    }

    #[test]
    fn each_region_has_one_node_for_an_object() {
        let up = v1::NodeState::Up;
        let nodes = [
            node("a1", "a", up, &[]),
            node("a2", "a", up, &[]),
            node("b1", "b", up, &[]),
            node("b2", "b", up, &[]),
            node("b3", "b", v1::NodeState::Draining, &[]),
        ];
        let choice = Choice::among(&nodes).expect("good nodes");
        let mut chosen = BTreeSet::new();
        for number in 0..64 {
            let first = choice.first(&path(&format!("file-{number}")), "");
            let in_region = |region: &str| first.iter().filter(|target| target.id.starts_with(region)).count();
            assert_eq!((in_region("a"), in_region("b")), (1, 1), "{first:?}");
            chosen.extend(first.into_iter().map(|target| target.id));
        }
        assert_eq!(chosen.into_iter().collect::<Vec<_>>(), ["a1", "a2", "b1", "b2"], "each has its share");
        assert_eq!(ids(&choice.all(&path("file"))), ["a1", "a2", "b1", "b2"]);
    }

    #[test]
    fn nodes_that_do_not_serve_the_path_are_left_out() {
        let nodes = [
            node("n1", "", v1::NodeState::Up, &["video"]),
            node("n2", "", v1::NodeState::Up, &["os"]),
            node("n3", "", v1::NodeState::Down, &[]),
        ];
        let choice = Choice::among(&nodes).expect("good nodes");
        assert_eq!(ids(&choice.first(&path("os/a.iso"), "")), ["n2"]);
        assert_eq!(ids(&choice.all(&path("os/a.iso"))), ["n2"]);
        assert!(choice.first(&path("else"), "").is_empty() && choice.all(&path("else")).is_empty());
    }
}
