//! What this gateway remembers of its redirects, and what nodes say of them: where a client is not sent again (P7), and which nodes are doubted.
//!
//! Decided in `core::evidence`; here is the memory that the threads share. Its size is fixed, its locks are many and
//! held for a few instructions, and a redirect allocates only where its client is kept from a node: a list of those that it is not to get. None of it outlives the process.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use ferry_core::{
    evidence::{Avoided, ClientKey, Network, NodeKey, Recent, Redirect, Report, Returning, Votes, Who},
    id::NodeId,
    object::ObjectKey,
    selection::{Candidate, Table},
    time::Tick,
    tokens::RedirectId,
};
use twox_hash::XxHash3_64;

use crate::figures::Figures;

/// How often conclusions are drawn.
pub(crate) const WEIGH_EVERY: Duration = Duration::from_secs(1);

/// The ring of redirects is in so many parts, chosen at random; a redirect's id ends in its part and its place there. 262,144 in all, in 16 MiB,
/// which are taken as they are used.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 4;
const PLACES: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 14;

/// The memory of clients, in so many parts; and the clients (each with one object) that there is room for in each: 131,072 in all, in 15 MiB.
const SHELVES: usize = 64;
const CLIENTS: usize = 2048;

/// The memory; one for all who redirect.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// What this gateway's redirects begin with.
    tag: u16,
    /// Nobody outside can tell which client is remembered where.
    seed: u64,
    parts: [Part; PARTS],
    shelves: [Mutex<Returning>; SHELVES],
    votes: Mutex<Votes>,
    verdicts: ArcSwap<Verdicts>,
    figures: Figures,
}

#[derive(Debug)]
struct Part {
    next: AtomicU32,
    recent: Mutex<Recent>,
}

/// Nodes that are doubted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdicts {
    for_all: Vec<NodeId>,
    /// Those for all included.
    by_network: BTreeMap<Network, Vec<NodeId>>,
}

/// Who asks for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    client: ClientKey,
    who: Who,
    network: Network,
}

impl Evidence {
    pub(crate) fn new(figures: Figures) -> Self {
        let part = |_| Part { next: AtomicU32::new(0), recent: Mutex::new(Recent::with_places(PLACES)) };
        Self {
            tag: rand::random(),
            seed: rand::random(),
            parts: std::array::from_fn(part),
            shelves: std::array::from_fn(|_| Mutex::new(Returning::with_room(CLIENTS))),
            votes: Mutex::default(),
            verdicts: ArcSwap::default(),
            figures,
        }
    }

    /// What coordinators know this gateway's redirects by.
    pub(crate) const fn tag(&self) -> u16 {
        self.tag
    }

    /// A name for a redirect that may come to be.
    pub(crate) fn name(&self) -> RedirectId {
        let random: u64 = rand::random();
        let part = random as usize % PARTS;
        let place = self.parts[part].next.fetch_add(1, Relaxed) as usize % PLACES;
        let unforeseen = random >> PART_BITS << (PLACE_BITS + PART_BITS);
        RedirectId::tagged(self.tag, unforeseen | (place << PART_BITS) as u64 | part as u64)
    }

    /// A client is a user, where the token says who, and else an address and what calls itself there.
    pub(crate) fn caller(&self, user: Option<u64>, address: IpAddr, user_agent: &[u8], key: &ObjectKey) -> Caller {
        let hash = |seed, octets: &[u8]| XxHash3_64::oneshot_with_seed(seed, octets);
        let who = match (user, address.to_canonical()) {
            (Some(user), _) => hash(self.seed, &user.to_le_bytes()),
            (None, IpAddr::V4(address)) => hash(hash(self.seed, &address.octets()), user_agent),
            (None, IpAddr::V6(address)) => hash(hash(self.seed, &address.octets()), user_agent),
        };
        let what = hash(who, key.path.as_str().as_bytes());
        let client = key.query.as_deref().map_or(what, |query| hash(what, query.as_bytes()));
        Caller { client: ClientKey(client), who: Who(who as u32), network: Network::of(address) }
    }

    /// Where it is not to be sent now; if the gateway is `deaf`, the absence of a word means nothing.
    pub(crate) fn avoided(&self, caller: Caller, deaf: bool, now: Tick) -> Avoided {
        self.shelf(caller.client).avoided(caller.client, deaf, now)
    }

    /// Takes note that it was sent to this node; `redirect` is what its token says, if it has one. Of what a gateway does while it is `deaf`, no word is expected.
    pub(crate) fn sent(
        &self,
        caller: Caller,
        node: &Candidate,
        avoided: &Avoided,
        redirect: Option<RedirectId>,
        deaf: bool,
        now: Tick,
    ) {
        let key = key_of(node.id());
        let counts = node.facts().reports_arrivals && !deaf;
        let mut shelf = self.shelf(caller.client);
        if avoided.contains(key) {
            // It was everywhere.
            shelf.forget(caller.client);
        } else if !avoided.is_empty() {
            self.figures.sent_elsewhere.inc();
        }
        shelf.sent(caller.client, key, counts, now);
        drop(shelf);
        if let Some(id) = redirect {
            let (part, place) = place_of(id);
            let Caller { client, who, network } = caller;
            let redirect = Redirect { id, client, who, network, node: key, at: now, counts };
            let forgotten = locked(&self.parts[part].recent).put(place, redirect);
            // Its client is not to wait for a word that finds nothing.
            if let Some(Redirect { client, node, .. }) = forgotten.filter(|forgotten| forgotten.counts) {
                self.shelf(client).unheard(client, node);
            }
        }
    }

    /// Hears what a node says of redirects.
    pub(crate) fn hear(&self, node: &NodeId, report: &Report, now: Tick) {
        let key = key_of(node);
        if report.left_out > 0 {
            locked(&self.votes).excuse(key, now);
        }
        for sighting in report.sightings.iter().filter(|sighting| sighting.redirect.tag() == self.tag) {
            let (part, place) = place_of(sighting.redirect);
            let news = locked(&self.parts[part].recent).hear(place, sighting.redirect, key, sighting.fate);
            if let Some(redirect) = news {
                self.shelf(redirect.client).heard(redirect.client, key, sighting.fate, now);
            }
        }
        self.figures.sightings.inc_by(report.sightings.len() as u64);
    }

    /// Which nodes are doubted.
    pub(crate) fn verdicts(&self) -> Guard<Arc<Verdicts>> {
        self.verdicts.load()
    }

    /// Draws conclusions from what arrived, and what did not; none if the gateway is `deaf`.
    pub(crate) fn weigh(&self, table: &Table, deaf: bool, now: Tick) {
        let names: BTreeMap<_, _> = table.iter().map(|candidate| (key_of(candidate.id()), candidate)).collect();
        let out: BTreeSet<_> =
            names.iter().filter(|(_, candidate)| !candidate.state().is_well()).map(|(key, _)| *key).collect();
        let mut votes = locked(&self.votes);
        votes.forget(&out, now);
        if deaf {
            votes.deaf(now);
        }
        // Who came to nothing at first may have arrived elsewhere since.
        for part in &self.parts {
            locked(&part.recent).followers(|network, who| votes.follows(network, who, now));
        }
        for part in &self.parts {
            locked(&part.recent).judge(now, |outcome| votes.count(outcome, now));
        }
        votes.weigh(now);
        let verdicts = Verdicts::of(&votes, |key| names.get(&key).map(|candidate| candidate.id().clone()));
        drop(votes);
        self.figures.doubted.set(i64::try_from(verdicts.for_all.len()).unwrap_or(i64::MAX));
        self.figures.doubted_by_networks.set(i64::try_from(verdicts.by_network.len()).unwrap_or(i64::MAX));
        if verdicts != **self.verdicts.load() {
            tracing::info!(nodes = ?verdicts.for_all, networks = verdicts.by_network.len(), "doubted for what does not arrive");
            self.verdicts.store(Arc::new(verdicts));
        }
    }

    /// By the lower bits; the upper ones choose the place there.
    fn shelf(&self, client: ClientKey) -> MutexGuard<'_, Returning> {
        locked(&self.shelves[client.0 as usize % SHELVES])
    }
}

impl Verdicts {
    fn of(votes: &Votes, name: impl Fn(NodeKey) -> Option<NodeId>) -> Self {
        let mut verdicts = Self::default();
        for (key, network) in votes.doubted() {
            let Some(node) = name(key) else { continue };
            match network {
                None => verdicts.for_all.push(node),
                Some(network) => verdicts.by_network.entry(network).or_default().push(node),
            }
        }
        for nodes in verdicts.by_network.values_mut() {
            nodes.extend(verdicts.for_all.iter().cloned());
            nodes.sort_unstable();
            nodes.dedup();
        }
        verdicts
    }

    /// For this caller.
    pub(crate) fn about(&self, caller: Caller) -> &[NodeId] {
        match self.by_network.is_empty() {
            true => &self.for_all,
            false => self.by_network.get(&caller.network).unwrap_or(&self.for_all),
        }
    }

    /// The same, for the choice. A few find none, so that it is seen when a node is well again.
    pub(crate) fn on(&self, caller: Caller) -> &[NodeId] {
        let doubted = self.about(caller);
        if doubted.is_empty() || rand::random::<u32>().is_multiple_of(Votes::ONE_IN) { &[] } else { doubted }
    }
}

/// The nodes of a table that are avoided, behind those that were tried.
pub(crate) fn with_avoided(tried: &[NodeId], avoided: &Avoided, table: &Table) -> Vec<NodeId> {
    let avoided = table.iter().map(Candidate::id).filter(|id| avoided.contains(key_of(id)));
    tried.iter().chain(avoided).cloned().collect()
}

fn key_of(node: &NodeId) -> NodeKey {
    NodeKey(XxHash3_64::oneshot(node.as_str().as_bytes()) as u32)
}

const fn place_of(id: RedirectId) -> (usize, usize) {
    (id.0 as usize % PARTS, (id.0 as usize >> PART_BITS) % PLACES)
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever a panic left half done is forgotten in minutes.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
