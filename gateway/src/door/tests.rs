//! Tokens that are good, bad, old, and for something else.

use ferry_core::{
    ring::Key,
    routes::{Defaults, QueryRule, RouteSpec},
    tokens::{RedirectId, Scope, UserClaim, seal, sign_user},
};

use super::*;

const NOW: UnixMillis = UnixMillis(1_000_000_000);

fn ring(secret: u8) -> KeyRing {
    let current = Key::new("k".parse().expect("valid"), vec![secret; 32]).expect("long enough");
    KeyRing { previous: None, current, next: None, revision: 1 }
}

fn routes(access: &str) -> Routes {
    let spec = RouteSpec { r#match: "/{path*}".into(), access: Some(access.into()), ..RouteSpec::default() };
    let defaults = Defaults { access: None, query: QueryRule::Ignore };
    Routes::compile(&[spec], &defaults).expect("a good route")
}

fn judge(access: &str, path: &str, query: Option<&str>) -> Result<(Option<u64>, Vec<NodeId>), Refused> {
    let (user, node) = (ring(1), ring(2));
    let rings = Rings { user: Some(&user), node: Some(&node) };
    let routes = routes(access);
    admit(&routes, rings, NOW, path, &Query::of(query)).map(|admitted| (admitted.until, admitted.tried))
}

fn user_query(secret: u8, path: &str, expires: u64) -> String {
    let path = ObjectPath::from_target(path).expect("valid");
    sign_user(&ring(secret).current, UserClaim::Path { path: &path, query: None }, "u", expires).expect("signable")
}

fn node_query(secret: u8, path: &str, expires: u64, renewable_until: u64, guarded: bool) -> String {
    let path = ObjectPath::from_target(path).expect("valid");
    let grant = NodeGrant {
        key: ferry_core::object::ObjectKey::plain(path),
        path: None,
        origin_target: None,
        filename: None,
        content_type: None,
        cache_control: None,
        expires,
        renewable_until,
        redirect: RedirectId(1),
        hops: 0,
        tried: vec!["n1".parse().expect("valid")],
        trace: None,
        validator: None,
        client_network: None,
        candidates: Vec::new(),
        home: None,
        guarded,
    };
    format!("ferry={}", seal(&ring(secret).current, &grant).expect("short enough"))
}

#[test]
fn an_open_route_needs_no_token() {
    assert_eq!(judge("open", "/a/b.iso", None), Ok((None, Vec::new())));
}

#[test]
fn a_signed_route_wants_a_good_token_for_this_very_path() {
    let now = NOW.seconds();
    let good = user_query(1, "/a.iso", now + 60);
    assert_eq!(judge("signed", "/a.iso", Some(&good)), Ok((Some(now + 60), Vec::new())));
    for (query, why) in [
        (None, UserTokenError::Missing),
        (Some(user_query(9, "/a.iso", now + 60)), UserTokenError::Forged),
        (Some(user_query(1, "/b.iso", now + 60)), UserTokenError::Forged),
        (Some(user_query(1, "/a.iso", now)), UserTokenError::Expired),
    ] {
        assert_eq!(judge("signed", "/a.iso", query.as_deref()), Err(Refused::User(why)));
    }
}

#[test]
fn a_scope_covers_what_lies_below_it() {
    let scope: Scope = "/video/42/".parse().expect("valid");
    let query = sign_user(&ring(1).current, UserClaim::Scope(&scope), "u", NOW.seconds() + 9).expect("signable");
    assert!(judge("signed", "/video/42/seg1.ts", Some(&query)).is_ok());
    assert_eq!(judge("signed", "/video/421/seg1.ts", Some(&query)), Err(Refused::User(UserTokenError::WrongObject)));
}

#[test]
fn an_expired_redirect_is_renewed_up_to_the_users_expiry() {
    let now = NOW.seconds();
    let old = node_query(2, "/a.iso", now - 100, now + 60, true);
    let tried = vec!["n1".parse().expect("valid")];
    assert_eq!(judge("signed", "/a.iso", Some(&old)), Ok((Some(now + 60), tried)));
    for (query, why) in [
        (node_query(2, "/a.iso", now - 100, now, true), Refused::User(UserTokenError::Expired)),
        (node_query(2, "/b.iso", now - 100, now + 60, true), Refused::Renewal),
        (node_query(1, "/a.iso", now - 100, now + 60, true), Refused::Renewal),
        (node_query(2, "/a.iso", now - 100, now + 60, false), Refused::Renewal),
        ("ferry=garbage".to_owned(), Refused::Renewal),
    ] {
        assert_eq!(judge("signed", "/a.iso", Some(&query)), Err(why));
    }
}

#[test]
fn a_redirect_of_one_query_is_not_renewed_for_another() {
    let spec = RouteSpec {
        r#match: "/{path*}".into(),
        access: Some("signed".into()),
        query: Some(ferry_core::routes::QuerySpec::Word("keep".into())),
        ..RouteSpec::default()
    };
    let routes = Routes::compile(&[spec], &Defaults { access: None, query: QueryRule::Ignore }).expect("a good route");
    let (user, node) = (ring(1), ring(2));
    let rings = Rings { user: Some(&user), node: Some(&node) };
    // The token was made for the path without any query.
    let token = node_query(2, "/get", NOW.seconds() + 60, NOW.seconds() + 600, true);
    assert!(admit(&routes, rings, NOW, "/get", &Query::of(Some(&token))).is_ok());
    let other = format!("id=2&{token}");
    let stolen = admit(&routes, rings, NOW, "/get", &Query::of(Some(&other)));
    assert_eq!(stolen.expect_err("another object"), Refused::Renewal);
    let both = format!("{token}&{token}");
    let twice = admit(&routes, rings, NOW, "/get", &Query::of(Some(&both)));
    assert_eq!(twice.expect_err("ambiguous"), Refused::Renewal);
}

#[test]
fn paths_that_mean_nothing_are_refused() {
    for (path, why) in [
        ("/%zz", Refused::Malformed),
        ("/a%00", Refused::Malformed),
        ("/../etc/passwd", Refused::Unknown),
        ("/%2e%2e/etc/passwd", Refused::Unknown),
        ("/", Refused::Unknown),
    ] {
        assert_eq!(judge("open", path, None), Err(why), "{path}");
    }
}

#[test]
fn without_a_ring_a_signed_route_is_not_ready() {
    let routes = routes("signed");
    let rings = Rings { user: None, node: None };
    let refused = admit(&routes, rings, NOW, "/a", &Query::of(None)).expect_err("not ready");
    assert_eq!(refused, Refused::NoRing);
    assert_eq!(refused.answer().status, StatusCode::SERVICE_UNAVAILABLE);
}
