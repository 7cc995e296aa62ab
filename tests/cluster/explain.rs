//! `ferry explain`, and `?explain` on the gateway's admin listener: what they say is what a client then gets.

use std::time::Duration;

use hyper::header;
use serde_json::Value;

use crate::harness::{
    Cluster, Topology,
    client::Answer,
    get,
    tools::{Outcome, ferry, ferry_with, figure},
    until,
};

const NOTICED_WITHIN: Duration = Duration::from_secs(20);
/// So that there are paths that no route knows; the second is for those who ask which nodes get clients.
const FILES: &str = r#"
[[route]]
match = "/files/{path*}"
access = "open"

[[route]]
match = "/which-node/{key}"
access = "open"
"#;

async fn explain(cluster: &Cluster, arguments: &[&str]) -> Outcome {
    let gateway = cluster.gateway.grpc_url();
    let mut all = vec!["explain", "--gateway", &gateway];
    all.extend(arguments);
    ferry(&all).await
}

async fn explained(cluster: &Cluster, path: &str) -> Value {
    explain(cluster, &[path, "--json"]).await.ok().json()
}

/// HOST:PORT of the nodes that a client is told, the primary first, then the alternates in their order.
fn told(explained: &Value) -> Vec<String> {
    let nodes = explained["nodes"].as_array().expect("a list of nodes").iter();
    let chosen = nodes.filter(|node| node["role"] == "primary" || node["role"] == "alternate");
    chosen.map(|node| node["address"].as_str().expect("a place").to_owned()).collect()
}

/// The same by a redirect itself.
fn redirected(answer: &Answer) -> Vec<String> {
    let place = |url: &str| url.split("//").nth(1).and_then(|rest| rest.split('/').next()).map(ToOwned::to_owned);
    let links = answer.headers.get_all(header::LINK).iter().filter_map(|link| link.to_str().ok().and_then(place));
    answer.target().into_iter().chain(links).collect()
}

fn node<'e>(explained: &'e Value, id: &str) -> &'e Value {
    let nodes = explained["nodes"].as_array().expect("a list of nodes");
    nodes.iter().find(|node| node["node_id"] == id).expect("the node is there")
}

#[tokio::test]
async fn what_is_explained_is_what_the_client_gets() {
    let cluster = Cluster::start(Topology::nodes(4)).await;
    for path in ["/a.iso", "/b.iso?x=1", "/dir/c%20d.iso", "/e.iso"] {
        // Processors that are busy for a moment move a key: then it is explained anew.
        until("an explanation and a redirect of one moment", NOTICED_WITHIN, async || {
            let before = told(&explained(&cluster, path).await);
            let got = redirected(&cluster.ask(path).await);
            let after = told(&explained(&cluster, path).await);
            if before != after {
                return None;
            }
            assert_eq!(before, got, "{path}");
            assert_eq!(got.len(), 4, "{path}");
            Some(())
        })
        .await;
    }
    let people = explain(&cluster, &["/a.iso"]).await.ok().stdout;
    assert!(people.starts_with("302 to node-"), "{people}");
    for part in ["/{path*} (open)", "a.iso", "127.0.0.1", "primary", "alternate 3", "elsewhere", "the table of gateway"]
    {
        assert!(people.contains(part), "{part} is not in:\n{people}");
    }
}

#[tokio::test]
async fn asking_why_counts_as_no_request() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    // What this gateway sent there since the last report: it fades, and only a redirect adds to it.
    let load = async || {
        let told = explained(&cluster, "/a").await;
        node(&told, "node-0")["load_bytes_per_second"].as_f64().expect("a number")
    };
    let counted = async || {
        let page = get(&format!("{}/metrics", cluster.gateway.grpc_url())).send().await.text().await;
        let lines = page.lines().filter(|line| line.starts_with("ferry_gateway_requests_total"));
        lines.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let (requests, before) = (counted().await, load().await);
    let admin = cluster.gateway.grpc_url();
    for _ in 0..20 {
        assert_eq!(get(&format!("{admin}/a?explain")).send().await.status, 200);
    }
    let after = load().await;
    assert!(after <= before, "{before} became {after}");
    assert_eq!(counted().await, requests);
    until("redirects to count", NOTICED_WITHIN, async || {
        cluster.targets().await;
        (load().await > after).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_admin_listener_explains_to_whoever_has_only_http() {
    let cluster = Cluster::start(Topology::nodes(2).routes(FILES).gateway_flags(&["--region", "eu"])).await;
    let admin = cluster.gateway.grpc_url();
    let page = async |target: &str| {
        let answer = get(&format!("{admin}{target}")).send().await;
        (answer.status.as_u16(), answer.text().await)
    };
    let (status, text) = page("/files/a?x=1&explain&client=2001:db8::7").await;
    assert_eq!(status, 200, "{text}");
    let told: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&told["answer"], &told["route"]["match"]), (&"redirect".into(), &"/files/{path*}".into()));
    assert_eq!((&told["client"]["address"], &told["client"]["region"]), (&"2001:db8::7".into(), &"eu".into()));
    assert_eq!(told["table"]["gateway_id"].as_str().map(str::is_empty), Some(false));
    let by_command = explained(&cluster, "/files/a?x=1").await;
    let names = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&told), names(&by_command));
    for (target, wanted, why) in [
        ("/elsewhere?explain", 404, "no route knows this path"),
        ("/files/%zz?explain", 400, "cannot be decoded"),
        ("/files/a?explain&client=me", 400, "expected an IP address"),
        ("/files/a", 404, ""),
    ] {
        let (status, text) = page(target).await;
        assert_eq!(status, wanted, "{target}: {text}");
        assert!(text.contains(why), "{target}: {text}");
    }
    assert!(figure(&admin, "ferry_gateway_coordinators").await.is_some(), "its own pages are as they were");
}

#[tokio::test]
async fn whoever_may_not_be_chosen_is_told_with_the_reason() {
    let mut cluster = Cluster::start_guarded(Topology::nodes(3)).await;
    cluster.nodes_command(&["drain", "node-0"]).await.ok();
    cluster.nodes[1].program.kill().await;
    until("two nodes to be out", NOTICED_WITHIN, async || {
        let told = explained(&cluster, "/a").await;
        let reasons = [&node(&told, "node-0")["reason"], &node(&told, "node-1")["reason"]];
        (reasons == ["draining", "down"]).then_some(())
    })
    .await;
    let refused = explained(&cluster, "/signed/a").await;
    assert_eq!(refused["answer"], "refused");
    let words = refused["words"].as_str().expect("words");
    assert!(words.starts_with("403: ") && words.contains("would be sent to node-2"), "{words}");
    cluster.nodes[2].program.kill().await;
    until("nobody to be left", NOTICED_WITHIN, async || {
        let told = explained(&cluster, "/a").await;
        (told["answer"] == "unavailable" && told["choice"].is_null()).then_some(())
    })
    .await;
    assert_eq!(cluster.ask("/a").await.status, 503);
}

#[tokio::test]
async fn a_question_that_has_no_answer_is_refused_with_its_reason() {
    let cluster = Cluster::start(Topology::nodes(1).routes(FILES)).await;
    let refused = async |arguments: &[&str], code, why: &str| {
        let outcome = explain(&cluster, arguments).await;
        assert_eq!(outcome.code, Some(code), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(why), "{arguments:?}: {outcome:?}");
    };
    refused(&["/elsewhere"], 1, "no route knows this path").await;
    refused(&["/files/%zz"], 64, "a percent sign that encodes nothing").await;
    refused(&["files/a"], 64, "begins with /").await;
    refused(&["/files/a", "--client", "me"], 64, "expected an IP address").await;
    refused(&[], 64, "PATH").await;
    let of = async |gateway: &str| ferry_with(&["explain", "/a"], &[("FERRY_GATEWAY", gateway)]).await;
    let coordinator = of(&cluster.coordinators[0].grpc_url()).await;
    assert_eq!(coordinator.code, Some(1), "{coordinator:?}");
    assert!(coordinator.stderr.contains("ask a gateway"), "{coordinator:?}");
    let nobody = of("http://127.0.0.1:9").await;
    assert!(nobody.stderr.contains("nobody listens at http://127.0.0.1:9"), "{nobody:?}");
}

#[tokio::test]
async fn who_lacks_the_admin_token_learns_nothing() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let token = cluster.workshop.file("token", "sixteen-letters-at-least\n").display().to_string();
    let mut other =
        crate::harness::roles::Role::gateway(&cluster.workshop, "guarded", &cluster.coordinators[0].grpc_url());
    other.program.args(&["--admin-token-file", &token]);
    let guarded = other.started().listening().await;
    let page = format!("{}/a?explain", guarded.grpc_url());
    // It is bound after the listener for clients.
    until("the admin listener to answer", NOTICED_WITHIN, async || get(&page).try_send().await.ok()).await;
    assert_eq!(get(&page).send().await.status, 401);
    let with = get(&page).header(header::AUTHORIZATION, "Bearer sixteen-letters-at-least").send().await;
    assert_eq!(with.status, 200);
    let url = guarded.grpc_url();
    let without = ferry(&["explain", "/a", "--gateway", &url]).await;
    assert!(without.code == Some(1) && without.stderr.contains("admin token"), "{without:?}");
    ferry(&["explain", "/a", "--gateway", &url, "--admin-token-file", &token]).await.ok();
}
