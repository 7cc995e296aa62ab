//! What the store's watch shows, and what this coordinator puts there first.

use std::{collections::BTreeMap, sync::Arc};

use ferry_core::{
    id::{CoordinatorId, GatewayId, NodeId},
    membership::Event,
    merge::Peer,
    ring::{Key, KeyRing},
};
use ferry_proto::convert;
use ferry_runtime::key_file;
use ferry_store::{Listing, Versioned, WatchEvent};
use tracing::{debug, error, info};

use super::{Driver, until_stored};
use crate::{
    records::{COORDINATORS, GUARDS, NODES, RINGS},
    rings,
};

impl Driver {
    pub(super) fn see(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Reset(listing) => self.reset(&listing),
            WatchEvent::Put(key, found) => self.put(&key, &found),
            WatchEvent::Delete(key, revision) => self.deleted(&key, revision),
            WatchEvent::Lost(why) => {
                self.figures.store_in_sight.set(0);
                self.figures.store_failures.inc();
                // Once per attempt; the store itself says it once.
                debug!(
                    error = &why as &dyn std::error::Error,
                    "the store is out of sight; going on with what is known"
                );
            }
        }
    }

    fn reset(&mut self, listing: &Listing) {
        self.figures.store_in_sight.set(1);
        if !self.read {
            info!(records = listing.entries.len(), revision = listing.revision, "store read");
        }
        let gone: Vec<NodeId> = self
            .membership
            .views(self.clock.now())
            .filter(|view| !listing.entries.contains_key(&crate::records::key(&view.facts.id)))
            .map(|view| view.facts.id.clone())
            .collect();
        for id in gone {
            self.happen(Event::Forgotten { id, revision: listing.revision });
        }
        for (key, found) in &listing.entries {
            if !key.starts_with(COORDINATORS) {
                self.put(key, found);
            }
        }
        self.forget_guards_but(listing);
        // One list, not one after the other: each change is a message to every node.
        let peers = listing.entries.iter().filter(|(key, _)| key.starts_with(COORDINATORS));
        self.set_coordinators(peers.filter_map(|(_, found)| convert::peer_record(&found.value).ok()).collect());
        if !self.read {
            self.read = true;
            self.membership.begin_learning(self.clock.now());
        }
        self.save_what_was_not(listing);
        self.create_missing_rings();
    }

    fn put(&mut self, key: &str, found: &Versioned) {
        let outcome = if key.starts_with(NODES) {
            convert::node_record(&found.value, found.revision).map(|record| self.happen(Event::Record(record)))
        } else if key.starts_with(RINGS) {
            convert::ring_record(&found.value, found.revision).map(|ring| self.learn_ring(key, ring))
        } else if key.starts_with(COORDINATORS) {
            convert::peer_record(&found.value).map(|peer| {
                let mut peers = self.facts.coordinators.clone();
                peers.retain(|known| known.id != peer.id);
                peers.push(peer);
                self.set_coordinators(peers);
            })
        } else if let Some(gateway) = key.strip_prefix(GUARDS).and_then(|id| id.parse::<GatewayId>().ok()) {
            self.set_guard(gateway, true);
            Ok(())
        } else {
            Ok(())
        };
        if let Err(why) = outcome {
            // One bad record must not hide the others.
            error!(
                key,
                revision = found.revision,
                error = &why as &dyn std::error::Error,
                "ignored a record of the store"
            );
        }
    }

    fn deleted(&mut self, key: &str, revision: u64) {
        if let Some(id) = key.strip_prefix(NODES).and_then(|id| id.parse::<NodeId>().ok()) {
            self.happen(Event::Forgotten { id, revision });
        } else if let Some(id) = key.strip_prefix(COORDINATORS).and_then(|id| id.parse::<CoordinatorId>().ok()) {
            let mut peers = self.facts.coordinators.clone();
            peers.retain(|known| known.id != id);
            self.set_coordinators(peers);
        } else if let Some(gateway) = key.strip_prefix(GUARDS).and_then(|id| id.parse::<GatewayId>().ok()) {
            self.set_guard(gateway, false);
        }
    }

    /// Nodes are told at once: until then, one without routes of its own serves what it should not.
    pub(super) fn set_guard(&mut self, gateway: GatewayId, guarded: bool) {
        let changed = if guarded { self.guards.insert(gateway) } else { self.guards.remove(&gateway) };
        self.any_gateway |= guarded;
        if changed {
            self.tell_nodes();
        }
    }

    fn forget_guards_but(&mut self, listing: &Listing) {
        let gone: Vec<_> =
            self.guards.iter().filter(|id| !listing.entries.contains_key(&format!("{GUARDS}{id}"))).cloned().collect();
        for gateway in gone {
            self.set_guard(gateway, false);
        }
    }

    fn learn_ring(&mut self, key: &str, ring: KeyRing) {
        let known = match key {
            rings::USER => &mut self.facts.user_ring,
            rings::NODE => &mut self.facts.node_ring,
            _ => return,
        };
        if known.as_ref() != Some(&ring) {
            *known = Some(ring);
            self.facts_changed = true;
            self.tell_nodes();
        }
    }

    /// A coordinator whose lease just ended may only have lost sight of the store, and this one always knows itself.
    fn set_coordinators(&mut self, peers: Vec<Peer>) {
        let mut named: BTreeMap<_, _> = peers.into_iter().map(|peer| (peer.id.clone(), peer)).collect();
        named.insert(self.me.id.clone(), self.me.clone());
        let peers: Vec<_> = named.into_values().collect();
        if peers != self.facts.coordinators {
            self.facts.coordinators = peers;
            self.facts_changed = true;
            self.tell_nodes();
        }
    }

    /// Living nodes that moved while the store was away.
    fn save_what_was_not(&mut self, listing: &Listing) {
        let mut moved = Vec::new();
        for view in self.membership.views(self.clock.now()) {
            let id = &view.facts.id;
            let stored = listing
                .entries
                .get(&crate::records::key(id))
                .and_then(|found| convert::node_record(&found.value, found.revision).ok());
            if self.membership.is_attending(id) && stored.is_some_and(|record| record.facts != view.facts) {
                moved.push(view.facts);
            }
        }
        moved.into_iter().for_each(|facts| self.save(facts));
    }

    /// Once per process: the tasks go on until the rings are there, whoever made them.
    fn create_missing_rings(&mut self) {
        if std::mem::replace(&mut self.rings_under_way, true) {
            return;
        }
        if self.facts.node_ring.is_none() {
            self.create_ring(rings::NODE, rings::generate("n1", &mut rand::rng()), None);
        }
        if self.facts.user_ring.is_none() {
            let (key, announce) = match self.user_key.take() {
                Some(configured) => (configured, None),
                None => (rings::generate("u1", &mut rand::rng()), self.announce.take()),
            };
            self.create_ring(rings::USER, key, announce);
        }
    }

    /// Somebody else may be faster; the watch brings whichever won.
    fn create_ring(&self, name: &'static str, key: Key, announce: Option<super::Announce>) {
        let (store, figures, stop) = (Arc::clone(&self.store), self.figures.clone(), self.tasks.stop_token());
        self.tasks.spawn("create key ring", async move {
            let created = until_stored(name, &figures, || rings::create(&store, name, key.clone()));
            let Some(ours) = stop.run_until_cancelled(created).await else { return };
            info!(ring = name, ours, "key ring stored");
            if ours && let Some(announce) = announce {
                (announce.0)(&key_file::print(key.secret()));
            }
        });
    }
}
