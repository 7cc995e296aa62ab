//! A new request at a node that wants none: it goes on to an alternate that its token names.
//!
//! One hop, and never back: the hop count and the nodes that were tried are inside the MAC, so that no two nodes can send a client to and fro.

use ferry_core::{
    id::NodeId,
    ring::KeyRing,
    target::NODE_PARAMETER,
    tokens::{self, NodeGrant, strip_node_token},
};

use super::Visit;

/// How many nodes may send a request on.
const MOST_HOPS: u8 = 1;

/// Where the request goes, with a token that says where it has been; `None` if the token names nobody else, or it was sent on before.
pub(super) fn onward(ring: &KeyRing, grant: &NodeGrant, here: &NodeId, visit: Visit<'_>) -> Option<String> {
    if grant.hops >= MOST_HOPS || grant.tried.len() >= NodeGrant::MOST_TRIED {
        return None;
    }
    let here_too = |node: &NodeId| node == here || grant.tried.contains(node);
    let mut candidates = grant.candidates.clone();
    candidates.retain(|candidate| !here_too(&candidate.node) && candidate.secure == visit.secure);
    let next = candidates.first()?;
    let to = format!("{}://{}{}", next.scheme(), next.authority, visit.path);
    let tried = grant.tried.iter().chain([here]).cloned().collect();
    let token = tokens::seal(&ring.current, &NodeGrant { hops: grant.hops + 1, tried, candidates, ..grant.clone() });
    let token = token.ok()?;
    let rest = strip_node_token(visit.query.unwrap_or_default());
    let joint = if rest.is_empty() { "" } else { "&" };
    Some(format!("{to}?{rest}{joint}{NODE_PARAMETER}={token}"))
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

    fn endpoint(node: &str, secure: bool) -> Endpoint {
        let authority = format!("{node}.example:8001").parse().expect("an address");
        Endpoint { node: node.parse().expect("a name"), authority, secure }
    }

    fn visit(secure: bool) -> Visit<'static> {
        let query = Some("a=b&ferry=old");
        Visit { path: "/a%20b", query, client: [127, 0, 0, 1].into(), now: NOW, secure, wanted: false }
    }

    fn sent(grant: &NodeGrant, secure: bool) -> Option<String> {
        onward(&ring(1), grant, &"n1".parse().expect("a name"), visit(secure))
    }

    fn named(nodes: &[(&str, bool)]) -> NodeGrant {
        let candidates = nodes.iter().map(|(node, secure)| endpoint(node, *secure)).collect();
        NodeGrant { candidates, ..grant("a b") }
    }

    #[test]
    fn the_next_one_that_the_token_names_gets_it_with_a_token_that_tells_of_the_way() {
        let url =
            sent(&named(&[("n1", false), ("n2", true), ("n3", false), ("n4", false)]), false).expect("there is one");
        let (to, query) = url.split_once('?').expect("a query");
        assert_eq!(to, "http://n3.example:8001/a%20b");
        let token = query.strip_prefix("a=b&ferry=").expect("what is not ours stays, what is ours is new");
        assert!(matches!(node_tokens(query), NodeTokens::One(_)));
        let opened = tokens::open(&ring(1), NOW, token).expect("a good token");
        assert_eq!((opened.hops, opened.tried), (1, vec!["n1".parse().expect("a name")]));
        assert_eq!(opened.candidates, [endpoint("n3", false), endpoint("n4", false)]);
        assert_eq!(opened.expires, grant("a b").expires, "it lasts no longer for that");
    }

    #[test]
    fn nobody_is_sent_in_circles_or_to_where_he_cannot_go() {
        assert_eq!(sent(&named(&[("n1", false)]), false), None, "nobody else is named");
        assert_eq!(sent(&named(&[("n1", false), ("n2", false)]), true), None, "not over TLS");
        let once = NodeGrant { hops: 1, ..named(&[("n1", false), ("n2", false)]) };
        assert_eq!(sent(&once, false), None, "one hop");
        let tried = NodeGrant { tried: vec!["n2".parse().expect("a name")], ..named(&[("n1", false), ("n2", false)]) };
        assert_eq!(sent(&tried, false), None, "not where it failed");
    }
}
