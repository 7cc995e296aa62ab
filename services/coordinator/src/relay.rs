//! Evidence on its way from nodes to the gateways that made the redirects it speaks of: passed on, never kept.
//!
//! It goes past the loop, which is for what decides who is alive, and has a queue of its own for each gateway. One that does not keep up loses
//! evidence, never its stream: no node waits, no word on the table is late, and what is lost was to be forgotten in seconds anyway.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use ferry_core::{id::NodeId, tokens::RedirectId};
use ferry_proto::v1;
use prost::Message as _;
use tokio::sync::mpsc;

use crate::{
    figures::Figures,
    subscribers::{Outbox, Refused, Update},
};

/// Messages that wait for a gateway, and the bytes in them. A message is what one node said at one time.
const MOST: usize = 1024;
const ROOM: usize = 1 << 20;

/// Who takes evidence, by the tags of their redirects; a cheap clone of one shared list.
#[derive(Debug, Clone)]
pub(crate) struct Relay {
    takers: Arc<RwLock<BTreeMap<u16, Vec<Outbox>>>>,
    figures: Figures,
}

impl Relay {
    pub(crate) fn new(figures: Figures) -> Self {
        Self { takers: Arc::default(), figures }
    }

    /// What comes for a gateway whose redirects have this tag, for as long as it is read.
    pub(crate) fn open(&self, tag: u16) -> mpsc::Receiver<Update> {
        let (outbox, updates) = Outbox::with_room(MOST, ROOM);
        let mut takers = self.takers.write().unwrap_or_else(PoisonError::into_inner);
        takers.retain(|_, outboxes| {
            outboxes.retain(|outbox| !outbox.is_closed());
            !outboxes.is_empty()
        });
        takers.entry(tag).or_default().push(outbox);
        updates
    }

    /// Gives each gateway what is about its redirects. The rest is nobody's: of gateways that are gone, or listen elsewhere.
    pub(crate) fn pass_on(&self, node: &NodeId, evidence: v1::Evidence) {
        let takers = self.takers.read().unwrap_or_else(PoisonError::into_inner);
        let left_out = evidence.left_out;
        let mut shares: BTreeMap<u16, v1::Evidence> = match left_out {
            0 => BTreeMap::new(),
            // What is not named may be anybody's.
            _ => takers.keys().map(|tag| (*tag, v1::Evidence { left_out, ..v1::Evidence::default() })).collect(),
        };
        for arrivals in evidence.arrivals {
            share_out(arrivals, |tag| takers.contains_key(&tag), &mut shares);
        }
        for told in evidence.objects {
            let tag = RedirectId(told.redirect).tag();
            if takers.contains_key(&tag) {
                shares.entry(tag).or_default().objects.push(told);
            }
        }
        for (tag, evidence) in shares {
            let message = v1::NodeEvidence { node_id: node.as_str().to_owned(), evidence: Some(evidence) };
            let body = Some(v1::routing_update::Body::Evidence(message));
            let bytes = v1::RoutingUpdate { epoch: None, body }.encode_to_vec().into();
            let lost = takers.get(&tag).into_iter().flatten().filter(|outbox| outbox.put(&bytes) == Err(Refused::Full));
            let lost = lost.count();
            self.figures.evidence_lost.inc_by(lost as u64);
        }
        self.figures.evidence.inc();
    }
}

/// One of the lists in what is told of a network.
type Head = fn(&mut v1::Arrivals) -> &mut Vec<u64>;

/// Adds the sightings from one network to the shares of those who take them.
fn share_out(arrivals: v1::Arrivals, takes: impl Fn(u16) -> bool, shares: &mut BTreeMap<u16, v1::Evidence>) {
    let mut each = BTreeMap::<u16, v1::Arrivals>::new();
    let heads: [(Vec<u64>, Head); 4] = [
        (arrivals.under_way, |arrivals| &mut arrivals.under_way),
        (arrivals.complete, |arrivals| &mut arrivals.complete),
        (arrivals.broken_off, |arrivals| &mut arrivals.broken_off),
        (arrivals.failed, |arrivals| &mut arrivals.failed),
    ];
    for (redirects, head) in heads {
        for redirect in redirects {
            let tag = RedirectId(redirect).tag();
            if takes(tag) {
                head(each.entry(tag).or_default()).push(redirect);
            }
        }
    }
    for (tag, share) in each {
        let share = v1::Arrivals { network: arrivals.network.clone(), ..share };
        shares.entry(tag).or_default().arrivals.push(share);
    }
}

#[cfg(test)]
mod tests {
    use ferry_runtime::metrics::Metrics;

    use super::*;

    fn relay() -> Relay {
        Relay::new(Figures::register(&Metrics::new()))
    }

    fn id(tag: u16, rest: u64) -> u64 {
        RedirectId::tagged(tag, rest).0
    }

    fn said(updates: &mut mpsc::Receiver<Update>) -> Vec<v1::Evidence> {
        let messages = std::iter::from_fn(|| updates.try_recv().ok());
        let evidence = messages.map(|update| match v1::RoutingUpdate::decode(update.bytes).expect("sound").body {
            Some(v1::routing_update::Body::Evidence(said)) => {
                assert_eq!(said.node_id, "n");
                said.evidence.expect("there")
            }
            other => panic!("no evidence: {other:?}"),
        });
        evidence.collect()
    }

    fn node() -> NodeId {
        "n".parse().expect("a name")
    }

    #[test]
    fn each_gateway_hears_of_its_own_redirects_and_of_no_others() {
        let relay = relay();
        let (mut first, mut second, mut third) = (relay.open(1), relay.open(2), relay.open(3));
        let arrivals = v1::Arrivals {
            network: vec![192, 0, 2],
            under_way: vec![id(1, 1), id(2, 1), id(9, 1)],
            failed: vec![id(2, 2)],
            ..v1::Arrivals::default()
        };
        relay.pass_on(&node(), v1::Evidence { arrivals: vec![arrivals.clone()], ..v1::Evidence::default() });
        let alone = v1::Arrivals { under_way: vec![id(1, 1)], failed: Vec::new(), ..arrivals.clone() };
        assert_eq!(said(&mut first), [v1::Evidence { arrivals: vec![alone], ..v1::Evidence::default() }]);
        let both = v1::Arrivals { under_way: vec![id(2, 1)], failed: vec![id(2, 2)], ..arrivals };
        assert_eq!(said(&mut second), [v1::Evidence { arrivals: vec![both], ..v1::Evidence::default() }]);
        assert_eq!(said(&mut third), [], "nothing was about its redirects");
    }

    #[test]
    fn what_is_told_of_an_object_goes_to_the_gateway_whose_client_had_it() {
        let relay = relay();
        let (mut first, mut second) = (relay.open(1), relay.open(2));
        let told = |tag| v1::ObjectTold { redirect: id(tag, 1), path: format!("o{tag}"), ..v1::ObjectTold::default() };
        let objects = vec![told(1), told(9)];
        relay.pass_on(&node(), v1::Evidence { objects, ..v1::Evidence::default() });
        assert_eq!(said(&mut first), [v1::Evidence { objects: vec![told(1)], ..v1::Evidence::default() }]);
        assert_eq!(said(&mut second), []);
    }

    #[test]
    fn what_a_node_left_out_all_hear_of() {
        let relay = relay();
        let (mut first, mut second) = (relay.open(1), relay.open(2));
        relay.pass_on(&node(), v1::Evidence { left_out: 5, ..v1::Evidence::default() });
        for gateway in [&mut first, &mut second] {
            assert_eq!(said(gateway), [v1::Evidence { left_out: 5, ..v1::Evidence::default() }]);
        }
    }

    #[test]
    fn a_gateway_that_does_not_read_loses_evidence_and_one_that_left_is_forgotten() {
        let relay = relay();
        let mut gateway = relay.open(1);
        let one = || v1::Arrivals { network: vec![1, 2, 3], complete: vec![id(1, 1)], ..v1::Arrivals::default() };
        for _ in 0..MOST + 10 {
            relay.pass_on(&node(), v1::Evidence { arrivals: vec![one()], ..v1::Evidence::default() });
        }
        assert_eq!(said(&mut gateway).len(), MOST);
        assert_eq!(relay.figures.evidence_lost.get(), 10);
        relay.pass_on(&node(), v1::Evidence { arrivals: vec![one()], ..v1::Evidence::default() });
        assert_eq!(said(&mut gateway).len(), 1, "there is room again");
        drop(gateway);
        let _other = relay.open(2);
        let takers = relay.takers.read().expect("nobody panicked");
        assert_eq!(takers.keys().copied().collect::<Vec<_>>(), [2]);
    }
}
