//! A new request at a node that wants none: it goes on to an alternate that its token names, or home to the gateway that made the token.
//!
//! One hop, and never back: the hop count and the nodes that were tried are inside the MAC, so that no two nodes can send a client to and fro, nor
//! a node and a gateway that knows no other.

use ferry_core::{
    address::Authority,
    id::NodeId,
    ring::KeyRing,
    target::NODE_PARAMETER,
    tokens::{self, NodeGrant, strip_node_token},
};

use super::{Admission, Visit};

/// How many nodes may send a request on.
const MOST_HOPS: u8 = 1;

/// Where a request may go that comes to a node which wants nothing new.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// The alternates, the best first. Whether one of them answers is for the caller to find out.
    pub(crate) alternates: Vec<Alternate>,
    /// The gateway, which knows others; not if it sent the request here although this node had sent it home before.
    pub(crate) home: Option<String>,
    /// What it would get here.
    pub(crate) here: Box<Admission>,
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
    pub(super) fn of(ring: &KeyRing, grant: NodeGrant, node: &NodeId, visit: Visit<'_>, here: Box<Admission>) -> Self {
        let (mut alternates, mut home) = (Vec::new(), None);
        if let Some(query) = query(ring, &grant, node, visit) {
            let at = |place: &str| format!("{place}{}?{query}", visit.path);
            if !grant.tried.contains(node) {
                home = grant.home.as_deref().map(|home| at(home.trim_end_matches('/')));
            }
            if grant.hops < MOST_HOPS {
                let candidates = grant.candidates.into_iter();
                let others = candidates.filter(|other| {
                    other.node != *node && !grant.tried.contains(&other.node) && other.secure == visit.secure
                });
                alternates.extend(others.map(|other| Alternate {
                    url: at(&format!("{}://{}", other.scheme(), other.authority)),
                    node: other.node,
                    authority: other.authority,
                    secure: other.secure,
                }));
            }
        }
        Self { alternates, home, here }
    }
}

/// The query of the request wherever it goes next; `None` if it has been about too long.
fn query(ring: &KeyRing, grant: &NodeGrant, here: &NodeId, visit: Visit<'_>) -> Option<String> {
    let mut next = grant.clone();
    next.candidates.retain(|other| other.node != *here && !grant.tried.contains(&other.node));
    next.hops = grant.hops.saturating_add(1);
    if !next.tried.contains(here) {
        next.tried.push(here.clone());
    }
    if next.tried.len() > NodeGrant::MOST_TRIED {
        return None;
    }
    let token = tokens::seal(&ring.current, &next).ok()?;
    let rest = strip_node_token(visit.query.unwrap_or_default());
    let joint = if rest.is_empty() { "" } else { "&" };
    Some(format!("{rest}{joint}{NODE_PARAMETER}={token}"))
}

#[cfg(test)]
mod tests {
    use ferry_core::{
        target::{NodeTokens, node_tokens},
        tokens::Endpoint,
    };

    use super::{
        super::tests::{NOW, grant, ring},
        *,
    };

    fn name(text: &str) -> NodeId {
        text.parse().expect("a name")
    }

    fn endpoint(node: &str, secure: bool) -> Endpoint {
        let authority = format!("{node}.example:8001").parse().expect("an address");
        Endpoint { node: name(node), authority, secure }
    }

    fn sent(grant: &NodeGrant, secure: bool) -> Elsewhere {
        let query = Some("a=b&ferry=old");
        let visit = Visit { path: "/a%20b", query, client: [127, 0, 0, 1].into(), now: NOW, secure, wanted: false };
        Elsewhere::of(&ring(1), grant.clone(), &name("n1"), visit, Box::new(grant.clone().into()))
    }

    fn alternates(grant: &NodeGrant, secure: bool) -> Vec<String> {
        sent(grant, secure).alternates.into_iter().map(|other| other.node.to_string()).collect()
    }

    fn named(nodes: &[(&str, bool)]) -> NodeGrant {
        let candidates = nodes.iter().map(|(node, secure)| endpoint(node, *secure)).collect();
        NodeGrant { candidates, ..grant("a b") }
    }

    #[test]
    fn the_others_that_the_token_names_may_get_it_with_a_token_that_tells_of_the_way() {
        let grant = named(&[("n1", false), ("n2", true), ("n3", false), ("n4", false)]);
        let elsewhere = sent(&grant, false);
        let [first, second] = &elsewhere.alternates[..] else { panic!("{elsewhere:?}") };
        assert_eq!((first.node.as_str(), second.node.as_str()), ("n3", "n4"));
        let (to, query) = first.url.split_once('?').expect("a query");
        assert_eq!(to, "http://n3.example:8001/a%20b");
        let token = query.strip_prefix("a=b&ferry=").expect("what is not ours stays, what is ours is new");
        assert!(matches!(node_tokens(query), NodeTokens::One(_)));
        let opened = tokens::open(&ring(1), NOW, token).expect("a good token");
        assert_eq!((opened.hops, opened.tried), (1, vec![name("n1")]));
        assert_eq!(opened.candidates, [endpoint("n2", true), endpoint("n3", false), endpoint("n4", false)]);
        assert_eq!(opened.expires, grant.expires, "it lasts no longer for that");
        assert_eq!(*elsewhere.here, Admission::from(grant));
    }

    #[test]
    fn nobody_is_sent_in_circles_or_to_where_he_cannot_go() {
        let two = named(&[("n1", false), ("n2", false)]);
        assert_eq!(alternates(&two, false), ["n2"]);
        assert!(alternates(&named(&[("n1", false)]), false).is_empty(), "nobody else is named");
        assert!(alternates(&two, true).is_empty(), "not over TLS");
        assert!(alternates(&NodeGrant { hops: 1, ..two.clone() }, false).is_empty(), "one hop");
        let tried = NodeGrant { tried: vec![name("n2")], ..two };
        assert!(alternates(&tried, false).is_empty(), "not where it failed");
    }

    #[test]
    fn a_gateway_hears_that_this_node_was_tried_and_is_asked_once() {
        let grant = NodeGrant { home: Some("https://files.example/".to_owned()), ..named(&[("n1", false)]) };
        let home = sent(&grant, false).home.expect("the token names it");
        let token = home.strip_prefix("https://files.example/a%20b?a=b&ferry=").expect("the same request");
        let opened = tokens::open(&ring(1), NOW, token).expect("a good token");
        assert_eq!(opened.tried, [name("n1")]);
        assert_eq!(
            sent(&NodeGrant { tried: vec![name("n1")], ..grant.clone() }, false).home,
            None,
            "it knows no other"
        );
        let hopped = NodeGrant { hops: 1, tried: vec![name("n2")], ..grant.clone() };
        assert!(sent(&hopped, false).home.is_some(), "the gateway knows more nodes than the token does");
        let tried = (0..NodeGrant::MOST_TRIED).map(|number| name(&format!("t{number}"))).collect();
        assert_eq!(sent(&NodeGrant { tried, ..grant }, false).home, None, "it has been about for long enough");
    }
}
