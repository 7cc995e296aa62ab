use ferry_core::{
    ring::Key,
    routes::{Defaults, QueryRule, RouteSpec},
    tokens::{Endpoint, RedirectId, Scope, UserClaim, sign_user},
};

use super::*;

pub(super) const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const LATER: u64 = NOW.seconds() + 60;
const HOME: &str = "https://files.example/";

pub(super) fn ring(byte: u8) -> KeyRing {
    let current = Key::new("k1".parse().expect("a name"), vec![byte; 32]).expect("long enough");
    KeyRing { previous: None, current, next: None, revision: 1 }
}

fn path(text: &str) -> ObjectPath {
    ObjectPath::from_decoded(text).expect("a path")
}

pub(super) fn grant(key: &str) -> NodeGrant {
    NodeGrant {
        key: ObjectKey::plain(path(key)),
        path: None,
        origin_target: None,
        filename: None,
        content_type: None,
        cache_control: None,
        expires: LATER,
        renewable_until: LATER,
        redirect: RedirectId(1),
        hops: 0,
        tried: Vec::new(),
        trace: None,
        validator: None,
        client_network: None,
        candidates: Vec::new(),
        home: None,
        guarded: true,
    }
}

fn sealed(grant: &NodeGrant) -> String {
    format!("ferry={}", tokens::seal(&ring(1).current, grant).expect("it fits"))
}

fn door(trust: Trust, specs: &[RouteSpec]) -> Door {
    let wish = [Routes::everything(Access::Open)];
    let compiled = if specs.is_empty() { &wish[..] } else { specs };
    let defaults = Defaults { access: Some(Access::Open), query: QueryRule::Keep };
    Door {
        node: "n1".parse().expect("a name"),
        routes: Routes::compile(compiled, &defaults).expect("sound routes"),
        own_routes: !specs.is_empty(),
        trust,
    }
}

fn route(pattern: &str, access: &str) -> RouteSpec {
    RouteSpec { r#match: pattern.to_owned(), access: Some(access.to_owned()), ..RouteSpec::default() }
}

fn knowing(guarded: Option<bool>) -> Facts {
    Facts { ring: Some(ring(1)), guarded, coordinators: Vec::new() }
}

fn ask(door: &Door, facts: &Facts, target: &str) -> Entry {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    door.decide(Visit { path, query, client: [192, 0, 2, 1].into(), now: NOW, secure: false }, facts)
}

/// The key, or the refusal.
fn outcome(door: &Door, facts: &Facts, target: &str) -> Result<String, Refusal> {
    match ask(door, facts, target) {
        Entry::Admitted(admission) => Ok(admission.key.to_string()),
        Entry::Home(url) => Ok(format!("home {url}")),
        Entry::Refused(why) => Err(why),
    }
}

/// In a cluster that stands guard, through a door without routes of its own.
fn with_token(grant: &NodeGrant, target: &str) -> Result<String, Refusal> {
    outcome(&door(Trust::Cluster, &[]), &knowing(Some(true)), &format!("{target}?{}", sealed(grant)))
}

#[test]
fn a_token_opens_the_path_it_was_made_for_and_names_the_object() {
    assert_eq!(with_token(&grant("a.bin"), "/a.bin"), Ok("a.bin".to_owned()));
    assert_eq!(with_token(&grant("a.bin"), "/b.bin"), Err(Refusal::Token));
    let package = NodeGrant {
        path: Some(path("api/package")),
        origin_target: Some("/api/direct?x=1".to_owned()),
        filename: Some("meeting.zip".to_owned()),
        content_type: Some("application/zip".to_owned()),
        cache_control: Some("private".to_owned()),
        ..grant("files/package.zip")
    };
    assert_eq!(with_token(&package, "/files/package.zip"), Err(Refusal::Token), "clients ask by the path, not the key");
    let entry = ask(&door(Trust::Cluster, &[]), &knowing(None), &format!("/api/package?{}", sealed(&package)));
    let Entry::Admitted(admission) = entry else { panic!("{entry:?}") };
    let expected = Admission {
        key: package.key,
        origin_target: "/api/direct?x=1".to_owned(),
        filename: package.filename,
        content_type: package.content_type,
        cache_control: package.cache_control,
        methods: Methods::None,
        request_fields: RequestFields::None,
        redirect: Some(package.redirect),
        trace: None,
        validator: None,
        open: false,
    };
    assert_eq!(*admission, expected);
}

#[test]
fn a_token_that_is_forged_malformed_or_doubled_is_refused() {
    let (door, facts) = (door(Trust::Cluster, &[]), knowing(Some(false)));
    let good = sealed(&grant("a"));
    let other_key = tokens::seal(&ring(2).current, &grant("a")).expect("it fits");
    for query in [
        format!("ferry={other_key}"),
        "ferry=".to_owned(),
        "ferry".to_owned(),
        "ferry=AAAA".to_owned(),
        format!("{good}x"),
        format!("{good}&{good}"),
        format!("{good}&%66erry=x"),
        format!("x=1&f%65rry={other_key}"),
    ] {
        assert_eq!(outcome(&door, &facts, &format!("/a?{query}")), Err(Refusal::Token), "{query}");
    }
    assert_eq!(outcome(&door, &facts, &format!("/a?x=1&{good}&")), Ok("a".to_owned()));
    let spelled = good.replacen("ferry", "f%65rry", 1);
    assert_eq!(outcome(&door, &facts, &format!("/a?{spelled}")), Ok("a".to_owned()), "one parameter, however spelled");
}

#[test]
fn an_expired_token_leads_home_where_something_is_guarded() {
    let expired = NodeGrant { expires: NOW.seconds(), ..grant("a b") };
    let open = NodeGrant { guarded: false, ..expired.clone() };
    let target = format!("/a%20b?{}", sealed(&open));
    let in_an_open_cluster = outcome(&door(Trust::Cluster, &[]), &knowing(Some(false)), &target);
    assert_eq!(in_an_open_cluster, Ok("a b".to_owned()), "an open route wants no token at all");
    assert_eq!(with_token(&open, "/a%20b"), Err(Refusal::Token), "the route may have been closed since");
    assert_eq!(with_token(&expired, "/a%20b"), Err(Refusal::Token), "nowhere to go");
    let renewable = NodeGrant { home: Some(HOME.to_owned()), ..expired };
    let token = sealed(&renewable);
    assert_eq!(with_token(&renewable, "/a%20b"), Ok(format!("home https://files.example/a%20b?{token}")));
    assert_eq!(with_token(&renewable, "/other"), Err(Refusal::Token), "for another path it leads nowhere");
}

#[test]
fn a_token_is_for_the_nodes_and_the_network_it_names() {
    let endpoint = |node: &str| Endpoint {
        node: node.parse().expect("a name"),
        authority: "10.0.0.1:8001".parse().expect("an address"),
        secure: false,
    };
    let ours = NodeGrant { candidates: vec![endpoint("n2"), endpoint("n1")], ..grant("a") };
    assert_eq!(with_token(&ours, "/a"), Ok("a".to_owned()));
    let theirs = NodeGrant { candidates: vec![endpoint("n2")], ..grant("a") };
    assert_eq!(with_token(&theirs, "/a"), Err(Refusal::Token));
    for (network, expected) in [("192.0.2.0/24", Ok("a".to_owned())), ("198.51.100.0/24", Err(Refusal::Token))] {
        let bound = NodeGrant { client_network: Some(network.to_owned()), ..grant("a") };
        assert_eq!(with_token(&bound, "/a"), expected, "{network}");
    }
}

#[test]
fn before_a_coordinator_spoke_a_token_cannot_be_judged() {
    let target = format!("/a?{}", sealed(&grant("a")));
    assert_eq!(outcome(&door(Trust::Cluster, &[]), &Facts::default(), &target), Err(Refusal::NoRing));
}

#[test]
fn without_a_token_the_cluster_decides_unless_the_node_has_routes() {
    let bare = door(Trust::Cluster, &[]);
    for (guarded, expected) in
        [(None, Ok("a".to_owned())), (Some(false), Ok("a".to_owned())), (Some(true), Err(Refusal::NoToken))]
    {
        assert_eq!(outcome(&bare, &knowing(guarded), "/a"), expected, "{guarded:?}");
    }
    let own = door(Trust::Cluster, &[route("/open/{path*}", "open"), route("/signed/{path*}", "signed")]);
    for guarded in [None, Some(false), Some(true)] {
        let facts = knowing(guarded);
        assert_eq!(outcome(&own, &facts, "/open/a"), Ok("open/a".to_owned()));
        assert_eq!(outcome(&own, &facts, "/signed/a"), Err(Refusal::NoToken));
        assert_eq!(outcome(&own, &facts, "/else"), Err(Refusal::NoObject));
    }
}

#[test]
fn a_user_token_means_nothing_to_a_node_of_a_cluster() {
    let own = door(Trust::Cluster, &[route("/{path*}", "signed")]);
    let claim = path("a");
    let query =
        sign_user(&ring(1).current, UserClaim::Path { path: &claim, query: None }, "alice", LATER).expect("signable");
    assert_eq!(outcome(&own, &knowing(None), &format!("/a?{query}")), Err(Refusal::NoToken));
}

#[test]
fn a_node_that_stands_alone_verifies_users() {
    let alone = door(Trust::Users(Some(ring(3))), &[route("/signed/{path*}", "signed"), route("/{path*}", "open")]);
    let facts = Facts::default();
    let object = path("signed/a");
    let signed = |key: u8, expires| {
        let claim = UserClaim::Path { path: &object, query: None };
        let query = sign_user(&ring(key).current, claim, "alice", expires).expect("signable");
        outcome(&alone, &facts, &format!("/signed/a?{query}"))
    };
    assert_eq!(outcome(&alone, &facts, "/free"), Ok("free".to_owned()));
    assert_eq!(outcome(&alone, &facts, "/signed/a"), Err(Refusal::NoToken));
    assert_eq!(signed(3, LATER), Ok("signed/a".to_owned()));
    assert_eq!(signed(3, NOW.seconds()), Err(Refusal::Gone));
    assert_eq!(signed(4, LATER), Err(Refusal::Token));
    let scope: Scope = "/signed/deep/".parse().expect("a scope");
    let narrow = sign_user(&ring(3).current, UserClaim::Scope(&scope), "alice", LATER).expect("signable");
    assert_eq!(outcome(&alone, &facts, &format!("/signed/a?{narrow}")), Err(Refusal::Token));
    assert_eq!(outcome(&alone, &facts, &format!("/signed/deep/a?{narrow}")), Ok("signed/deep/a".to_owned()));
    let forged = sealed(&grant("signed/a"));
    assert_eq!(
        outcome(&alone, &facts, &format!("/signed/a?{forged}")),
        Err(Refusal::NoToken),
        "no gateway stands before it"
    );
}

#[test]
fn what_is_ferrys_own_reaches_no_origin() {
    let target = |entry| match entry {
        Entry::Admitted(admission) => admission.origin_target,
        other => panic!("{other:?}"),
    };
    let token = sealed(&NodeGrant { key: ObjectKey { path: path("a"), query: Some("x=1".into()) }, ..grant("a") });
    let facts = knowing(None);
    assert_eq!(target(ask(&door(Trust::Cluster, &[]), &facts, &format!("/a?x=1&{token}"))), "/a?x=1");
    assert_eq!(
        target(ask(&door(Trust::Users(None), &[]), &facts, &format!("/a?{token}&x=1&token=mine"))),
        "/a?x=1&token=mine"
    );
    let alone = door(Trust::Users(Some(ring(3))), &[route("/{path*}", "signed")]);
    let object = path("a");
    let claim = UserClaim::Path { path: &object, query: Some("x=1") };
    let query = sign_user(&ring(3).current, claim, "alice", LATER).expect("signable");
    assert_eq!(target(ask(&alone, &facts, &format!("/a?x=1&{query}"))), "/a?x=1");
}

#[test]
fn a_broken_path_is_a_bad_request_and_a_strange_one_not_found() {
    let door = door(Trust::Users(None), &[]);
    for (target, why) in [
        ("/a%", Refusal::Encoding),
        ("/a%zz", Refusal::Encoding),
        ("/%ff", Refusal::Encoding),
        ("/", Refusal::NoObject),
        ("/../etc/passwd", Refusal::NoObject),
        ("/%2e%2e/etc/passwd", Refusal::NoObject),
        ("/a%2fb", Refusal::NoObject),
        ("/a%00", Refusal::Encoding),
        ("//a", Refusal::NoObject),
        ("/a/", Refusal::NoObject),
    ] {
        assert_eq!(outcome(&door, &Facts::default(), target), Err(why), "{target}");
    }
}
