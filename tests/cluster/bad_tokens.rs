//! SEMANTICS.md 5 to 7: tokens forged, expired, or made for something else: user tokens at the gateway, node tokens at the node.

use std::time::Duration;

use crate::harness::{
    Cluster, Topology,
    cluster::{GUARDED, USER_KEY},
    get,
    peers::signed_elsewhere,
    samples::{self, Sample},
    tools::ferry,
    until,
};

/// A cluster that stands guard over what lies below `/signed/`, with two files there and one in the open.
async fn guarded() -> (Cluster, [Sample; 3]) {
    let cluster = Cluster::start_guarded(Topology::nodes(1)).await;
    let samples =
        ["signed/a.bin", "signed/b.bin", "open.bin"].map(|name| samples::write(&cluster.root(), name, 100_000));
    (cluster, samples)
}

/// `ferry sign …`: the query that opens that path.
async fn signed(cluster: &Cluster, arguments: &[&str]) -> String {
    let coordinator = cluster.coordinators[0].grpc_url();
    let all = [&["sign"], arguments, &["--coordinator", &coordinator]].concat();
    let printed = ferry(&all).await.ok().stdout;
    let (_, query) = printed.trim().split_once('?').unwrap_or_else(|| panic!("no query in {printed}"));
    query.to_owned()
}

async fn status(url: &str) -> u16 {
    get(url).send().await.status.as_u16()
}

/// The same text with one character of the parameter's value changed.
fn tampered(url: &str, parameter: &str) -> String {
    let at = url.find(&format!("{parameter}=")).expect("the parameter is there") + parameter.len() + 8;
    let other = if url.as_bytes()[at] == b'A' { "B" } else { "A" };
    let mut changed = url.to_owned();
    changed.replace_range(at..=at, other);
    changed
}

#[tokio::test]
async fn a_user_token_opens_what_it_was_made_for_and_nothing_else() {
    let (cluster, [a, b, open]) = guarded().await;
    assert_eq!(status(&cluster.url(&a.path())).await, 403, "no token");
    assert_eq!(status(&cluster.url(&open.path())).await, 302, "an open route wants none");

    let query = signed(&cluster, &[&a.path(), "--uid", "alice"]).await;
    let received = get(&cluster.url(&format!("{}?{query}", a.path()))).follow().await.finish().await.expect("whole");
    assert_eq!(received.sha256, a.sha256);
    assert_eq!(status(&cluster.url(&format!("{}?{query}", b.path()))).await, 403, "another object");
    assert_eq!(status(&cluster.url(&tampered(&format!("{}?{query}", a.path()), "token"))).await, 403, "forged");
    let renamed = query.replace("uid=alice", "uid=mallory");
    assert_ne!(renamed, query);
    assert_eq!(status(&cluster.url(&format!("{}?{renamed}", a.path()))).await, 403, "another user");
}

#[tokio::test]
async fn a_scope_covers_what_lies_below_it() {
    let (cluster, [a, b, _]) = guarded().await;
    let query = signed(&cluster, &["/signed/", "--scope"]).await;
    for sample in [a, b] {
        assert_eq!(status(&cluster.url(&format!("{}?{query}", sample.path()))).await, 302, "{}", sample.name);
    }
    let narrow = signed(&cluster, &["/signed/below/", "--scope"]).await;
    assert_eq!(status(&cluster.url(&format!("/signed/a.bin?{narrow}"))).await, 403, "outside of the scope");
}

#[tokio::test]
async fn a_token_that_an_application_signed_by_the_documented_rule_is_good() {
    let (cluster, [a, b, _]) = guarded().await;
    let query = signed_elsewhere(USER_KEY, "path", "/signed/a.bin", 60).await;
    assert_eq!(status(&cluster.url(&format!("{}?{query}", a.path()))).await, 302);
    assert_eq!(status(&cluster.url(&format!("{}?{query}", b.path()))).await, 403);
    let query = signed_elsewhere(USER_KEY, "scope", "/signed/", 60).await;
    assert_eq!(status(&cluster.url(&format!("{}?{query}", b.path()))).await, 302);
}

#[tokio::test]
async fn an_expired_user_token_is_gone_and_says_so() {
    let (cluster, [a, ..]) = guarded().await;
    let query = signed_elsewhere(USER_KEY, "path", "/signed/a.bin", -10).await;
    let answer = get(&cluster.url(&format!("{}?{query}", a.path()))).send().await;
    assert_eq!(answer.status, 410);
    assert!(answer.header(&hyper::header::CACHE_CONTROL).contains("no-store"));
    // Whoever moves the expiry breaks the signature.
    let moved = query.replace("expires=1", "expires=2");
    assert_ne!(moved, query);
    assert_eq!(status(&cluster.url(&format!("{}?{moved}", a.path()))).await, 403);
}

#[tokio::test]
async fn user_tokens_never_reach_a_node() {
    let (cluster, [a, ..]) = guarded().await;
    let query = signed(&cluster, &[&a.path(), "--uid", "alice"]).await;
    let location = get(&cluster.url(&format!("{}?{query}", a.path()))).send().await;
    let location = location.location().expect("a redirect");
    for part in ["uid=", "alice", "&token=", "?token="] {
        assert!(!location.contains(part), "{part} is in {location}");
    }
}

#[tokio::test]
async fn a_node_refuses_a_token_that_is_forged_or_for_another_object_or_missing() {
    let (cluster, [a, b, open]) = guarded().await;
    let query = signed(&cluster, &[&a.path()]).await;
    let answer = get(&cluster.url(&format!("{}?{query}", a.path()))).send().await;
    let location = answer.location().expect("a redirect").to_owned();
    assert_eq!(status(&location).await, 200);
    assert_eq!(status(&location.replace("a.bin", "b.bin")).await, 403, "another object");
    assert_eq!(status(&tampered(&location, "ferry")).await, 403, "forged");
    let node = &cluster.nodes[0];
    for sample in [&a, &b, &open] {
        assert_eq!(status(&node.url(&sample.path())).await, 403, "{}: no token", sample.name);
    }
    for nonsense in ["?ferry=", "?ferry=AAAA", "?ferry=%00", "?ferry=v1.x.y.z"] {
        assert_eq!(status(&node.url(&format!("{}{nonsense}", a.path()))).await, 403, "{nonsense}");
    }
    // The refusal has no detail that would help to forge the next one.
    let refused = get(&tampered(&location, "ferry")).send().await.text().await.to_lowercase();
    for detail in ["mac", "expir", "kid", "ring"] {
        assert!(!refused.contains(detail), "{refused}");
    }
}

/// Where nothing is guarded, a node serves without a token; a token that is there must still be a good one.
#[tokio::test]
async fn a_bad_token_is_refused_even_where_none_is_wanted() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let sample = samples::write(&cluster.root(), "a.bin", 1000);
    let location = cluster.ask(&sample.path()).await.location().expect("a redirect").to_owned();
    assert_eq!(status(&location).await, 200);
    assert_eq!(status(&cluster.nodes[0].url(&sample.path())).await, 200);
    assert_eq!(status(&tampered(&location, "ferry")).await, 403);
}

/// SEMANTICS.md 2: a redirect can be followed for so long; afterwards a node sends the client home, and home renews it.
#[tokio::test]
async fn an_old_redirect_leads_back_to_the_gateway_which_renews_it() {
    let short = ["--token-lifetime", "1s", "--public-url", "http://files.example"];
    let cluster = Cluster::start_guarded(Topology::nodes(1).gateway_flags(&short)).await;
    let sample = samples::write(&cluster.root(), "signed/a.bin", 100_000);
    let query = signed_elsewhere(USER_KEY, "path", "/signed/a.bin", 60).await;
    let redirect = cluster.ask(&format!("{}?{query}", sample.path())).await;
    let old = redirect.location().expect("a redirect").to_owned();
    assert_eq!(status(&old).await, 200);

    let home = until("the redirect to be too old", Duration::from_secs(10), async || {
        get(&old).send().await.location().map(str::to_owned)
    })
    .await;
    let renewed = home.strip_prefix("http://files.example").expect("the public URL, and no other");
    let received = get(&cluster.url(renewed)).follow().await.finish().await.expect("whole");
    assert_eq!(received.sha256, sample.sha256);
}

#[tokio::test]
async fn an_old_redirect_opens_nothing_where_no_gateway_can_renew_it() {
    let topology = Topology::nodes(1).routes(GUARDED).gateway_flags(&["--token-lifetime", "1s"]);
    let cluster = Cluster::start(topology).await;
    let sample = samples::write(&cluster.root(), "signed/a.bin", 1000);
    let query = signed(&cluster, &[&sample.path()]).await;
    let redirect = cluster.ask(&format!("{}?{query}", sample.path())).await;
    let old = redirect.location().expect("a redirect").to_owned();
    until("the redirect to be refused", Duration::from_secs(10), async || (status(&old).await == 403).then_some(()))
        .await;
}
