//! A request at a node that would rather not serve it: it goes on to an alternate that its token names, or home to the gateway that made the token.
//!
//! Invariant N4: whatever the nodes and gateways on its way are like, a request makes at most one hop from node to node and goes home at most once. Both
//! are counted inside the MAC: by `hops`, and by `tried`, which has an entry for each time that a node sent the request away, and which a gateway
//! hands on as it is while it begins to count hops anew. So no two nodes can send a client to and fro, nor a node and a gateway that knows no other.

use ferry_core::{
    address::Authority,
    id::NodeId,
    ring::KeyRing,
    target::NODE_PARAMETER,
    tokens::{self, NodeGrant, strip_node_token},
};

use super::{Visit, Why};

/// How often a request may be sent from node to node, and home.
const MOST_HOPS: u8 = 1;
const MOST_MOVES: usize = 2;

/// Where a request may go that a node would rather not serve.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Elsewhere {
    /// The alternates, the best first. Whether one of them answers is for the caller to find out.
    pub(crate) alternates: Vec<Alternate>,
    /// The gateway, which knows others; not for a request that has been there.
    pub(crate) home: Option<String>,
}

/// What becomes of a request that no alternate takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// It gets here what there is to be had.
    Here,
    /// The gateway decides: a URL.
    Home(String),
    /// It is to come again.
    Nothing,
}

/// Another node that may serve the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alternate {
    pub(crate) node: NodeId,
    pub(crate) authority: Authority,
    pub(crate) secure: bool,
    /// The request there, with a token that says where it has been.
    pub(crate) url: String,
}

impl Elsewhere {
    /// What a good grant leaves open.
    pub(super) fn of(ring: &KeyRing, grant: NodeGrant, node: &NodeId, visit: Visit<'_>) -> Self {
        let Some(query) = query(ring, &grant, node, visit) else { return Self::default() };
        let at = |place: &str| format!("{place}{}?{query}", visit.path);
        // Each hop left an entry; one more is of the way home.
        let was_home = grant.tried.len() > usize::from(grant.hops);
        let home = grant.home.as_deref().filter(|_| !was_home).map(|home| at(home.trim_end_matches('/')));
        let may_hop = grant.hops < MOST_HOPS && grant.tried.len() < MOST_MOVES;
        let candidates = grant.candidates.into_iter().filter(|_| may_hop);
        let others = candidates
            .filter(|other| other.node != *node && !grant.tried.contains(&other.node) && other.secure == visit.secure);
        let alternates = others.map(|other| Alternate {
            url: at(&format!("{}://{}", other.scheme(), other.authority)),
            node: other.node,
            authority: other.authority,
            secure: other.secure,
        });
        Self { alternates: alternates.collect(), home }
    }

    /// What becomes of the request if no alternate takes it. A node that can serve it does; one that cannot asks the gateway, which may know others, or have
    /// the object itself.
    pub(crate) fn last(self, why: Why) -> Last {
        match (why.can_serve(), self.home) {
            (true, _) => Last::Here,
            (false, Some(home)) => Last::Home(home),
            (false, None) => Last::Nothing,
        }
    }
}

/// The query of the request wherever it goes next; `None` if it has been about too long.
fn query(ring: &KeyRing, grant: &NodeGrant, here: &NodeId, visit: Visit<'_>) -> Option<String> {
    let mut next = grant.clone();
    next.candidates.retain(|other| other.node != *here && !grant.tried.contains(&other.node));
    if next.candidates.is_empty() {
        // A token that names nobody would be good everywhere.
        next.candidates.clone_from(&grant.candidates);
    }
    next.hops = grant.hops.saturating_add(1);
    // Also if it is named already, since a gateway that knew no other sent the request here again: entries are counted.
    next.tried.push(here.clone());
    if next.tried.len() > NodeGrant::MOST_TRIED {
        return None;
    }
    let token = tokens::seal(&ring.current, &next).ok()?;
    let rest = strip_node_token(visit.query.unwrap_or_default());
    let joint = if rest.is_empty() { "" } else { "&" };
    Some(format!("{rest}{joint}{NODE_PARAMETER}={token}"))
}

#[cfg(test)]
mod tests;
