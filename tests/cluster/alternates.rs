//! SEMANTICS.md 1: a client that knows RFC 6249 needs no gateway when the node dies to which it was sent.

use std::collections::BTreeSet;

use hyper::{HeaderMap, header};

use crate::harness::{Cluster, Topology, get, samples, samples::MIB, tools::ferry};

/// The path with what opens it.
async fn signed(cluster: &Cluster, path: &str) -> String {
    let coordinator = cluster.coordinators[0].grpc_url();
    let printed = ferry(&["sign", path, "--coordinator", &coordinator]).await.ok().stdout;
    let (_, query) = printed.trim().split_once('?').expect("a signed URL has a query");
    format!("{path}?{query}")
}

/// The linked URLs, the one to try first before the others.
fn duplicates(headers: &HeaderMap) -> Vec<String> {
    let links = headers.get_all(header::LINK).iter().map(|link| link.to_str().expect("plain text"));
    let mut found: Vec<(u32, String)> = links
        .map(|link| {
            let (url, parameters) = link.strip_prefix('<').and_then(|rest| rest.split_once('>')).expect("<URL>");
            let priority = parameters.strip_prefix("; rel=duplicate; pri=").expect("a duplicate with its priority");
            (priority.parse().expect("a number"), url.to_owned())
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, url)| url).collect()
}

/// HOST:PORT of a URL.
fn place(url: &str) -> String {
    url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("an http URL").to_owned()
}

#[tokio::test]
async fn a_download_goes_on_at_an_alternate_when_its_node_dies_and_no_gateway_is_left() {
    let mut cluster = Cluster::start_guarded(Topology::nodes(3)).await;
    let sample = samples::write(&cluster.root(), "signed/big.bin", 16 * MIB);
    let redirect = cluster.ask(&signed(&cluster, &sample.path()).await).await;
    assert_eq!(redirect.status, 302);
    let location = redirect.location().expect("a redirect").to_owned();
    let links = duplicates(&redirect.headers);
    let places: BTreeSet<String> = links.iter().chain([&location]).map(|url| place(url)).collect();
    let nodes: BTreeSet<String> = cluster.nodes.iter().map(|node| node.address().to_owned()).collect();
    assert_eq!((links.len(), places), (2, nodes), "each node once");

    let mut begun = get(&location).kib_per_second(4096).send().await;
    assert_eq!(begun.status, 200);
    let validator = begun.header(&header::ETAG).to_owned();
    begun.receive(2 * MIB).await;
    cluster.gateway.program.kill().await;
    let victim = cluster.nodes.iter().position(|node| node.address() == place(&location)).expect("one of the nodes");
    cluster.nodes[victim].program.kill().await;
    assert!(begun.finish().await.is_err(), "a download from a killed node cannot end well");

    for link in links {
        let rest = get(&link).rest_from(2 * MIB).header(header::IF_RANGE, &validator).send().await;
        assert_eq!(rest.status, 206, "{link}: the same token, the same bytes");
        let whole = std::fs::read(cluster.root().join(&sample.name)).expect("the sample can be read");
        let rest = rest.finish().await.expect("whole");
        assert_eq!(rest.sha256, samples::digest_of_bytes(&whole[2 * 1024 * 1024..]));
    }
}

#[tokio::test]
async fn a_token_of_a_link_opens_nothing_else() {
    let cluster = Cluster::start_guarded(Topology::nodes(2)).await;
    let sample = samples::write(&cluster.root(), "signed/a.bin", 1000);
    samples::write(&cluster.root(), "signed/b.bin", 1000);
    let redirect = cluster.ask(&signed(&cluster, &sample.path()).await).await;
    let [link] = &duplicates(&redirect.headers)[..] else { panic!("one alternate: {:?}", redirect.headers) };
    assert_eq!(get(link).send().await.status, 200);
    assert_eq!(get(&link.replace("/a.bin", "/b.bin")).send().await.status, 403);
    let (bare, _) = link.split_once('?').expect("a token");
    assert_eq!(get(bare).send().await.status, 403);
}
