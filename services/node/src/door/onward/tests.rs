use ferry_core::{
    target::{NodeTokens, node_tokens},
    tokens::Endpoint,
};

use proptest::prelude::*;

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
    let visit = Visit { path: "/a%20b", query, client: [127, 0, 0, 1].into(), now: NOW, secure };
    Elsewhere::of(&ring(1), grant.clone(), &name("n1"), visit)
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
    let grant = NodeGrant { home: Some("https://files.example/".to_owned()), ..named(&[("n1", false), ("n2", false)]) };
    let home = sent(&grant, false).home.expect("the token names it");
    let token = home.strip_prefix("https://files.example/a%20b?a=b&ferry=").expect("the same request");
    let opened = tokens::open(&ring(1), NOW, token).expect("a good token");
    assert_eq!(opened.tried, [name("n1")]);
    let hopped = NodeGrant { hops: 1, tried: vec![name("n2")], ..grant.clone() };
    assert!(sent(&hopped, false).home.is_some(), "the gateway knows more nodes than the token does");
    for node in ["n1", "n3"] {
        let back = sent(&NodeGrant { tried: vec![name(node)], ..grant.clone() }, false);
        assert_eq!((back.home, back.alternates.len()), (None, 1), "it was home, and has not hopped");
    }
    let both = NodeGrant { tried: vec![name("n3"), name("n4")], ..grant };
    assert_eq!(sent(&both, false), Elsewhere::default(), "it was home, and has hopped");
}

/// A node on the way, as it may be.
#[derive(Debug, Clone)]
struct Met {
    why: Option<Why>,
    /// Which of the alternates would be found, if any is.
    found: Option<usize>,
    /// Whom the gateway would choose next, and whether it heeds who was tried.
    chosen: usize,
    heeds: bool,
}

fn met() -> impl Strategy<Value = Met> {
    let why = proptest::option::of(proptest::sample::select(Why::ALL.to_vec()));
    (why, proptest::option::of(0_usize..4), 0_usize..4, any::<bool>()).prop_map(|(why, found, chosen, heeds)| Met {
        why,
        found,
        chosen,
        heeds,
    })
}

/// What the token of a URL says.
fn opened(url: &str) -> NodeGrant {
    let (_, query) = url.split_once('?').expect("a query");
    let NodeTokens::One(token) = node_tokens(query) else { panic!("one token in {url}") };
    tokens::open(&ring(1), NOW, token).expect("a good token")
}

proptest! {
    /// N4.
    #[test]
    fn every_request_ends_after_one_hop_and_one_way_home_at_most(
        way in proptest::collection::vec(met(), 10),
        has_home in any::<bool>(),
    ) {
        let all = ["n1", "n2", "n3", "n4"].map(|node| endpoint(node, false));
        let home = has_home.then(|| "https://files.example/".to_owned());
        let mut grant = NodeGrant { home, candidates: all.to_vec(), ..grant("a b") };
        let (mut at, mut hops, mut homes, mut ended) = (name("n1"), 0, 0, false);
        for met in way {
            let Some(why) = met.why else { ended = true; break };
            let visit = Visit { path: "/a%20b", query: None, client: [127, 0, 0, 1].into(), now: NOW, secure: false };
            let elsewhere = Elsewhere::of(&ring(1), grant.clone(), &at, visit);
            if let Some(next) = met.found.and_then(|found| elsewhere.alternates.get(found)) {
                hops += 1;
                (at, grant) = (next.node.clone(), opened(&next.url));
                continue;
            }
            let Last::Home(url) = elsewhere.last(why) else { ended = true; break };
            homes += 1;
            // A gateway begins anew, but for who was tried.
            let returned = opened(&url);
            let others = all.iter().filter(|node| !met.heeds || !returned.tried.contains(&node.node));
            let mut candidates: Vec<_> = others.cloned().collect();
            if candidates.is_empty() { ended = true; break }
            let first = met.chosen % candidates.len();
            candidates.rotate_left(first);
            at = candidates[0].node.clone();
            grant = NodeGrant { hops: 0, candidates, ..returned };
        }
        prop_assert!(ended, "it goes on");
        prop_assert!(hops <= 1 && homes <= 1, "{hops} hops, {homes} times home");
    }
}
