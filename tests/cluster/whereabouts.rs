//! Clients of several regions at one gateway: by the word of a proxy that it trusts, by their networks, by a database. docs/regions.md.

use std::{fs, time::Duration};

use http::{HeaderName, Method};

use crate::harness::{Cluster, Topology, get, mmdb, roles::Role, tools::figure, until, workshop::Workshop};

const NOTICED_WITHIN: Duration = Duration::from_secs(30);
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// East and west by networks; north is where the gateway itself is.
const REGIONS: &str = r#"
[[client-region]]
region = "east"
networks = ["192.0.2.0/24", "2001:db8:e::/48"]

[[client-region]]
region = "west"
networks = ["192.0.2.128/25", "2001:db8:a::/48"]

[[region-cost]]
from = "east"
to = "north"
cost = 10

[[region-cost]]
from = "east"
to = "west"
cost = 90
"#;

/// One node in each region, and a gateway in the north that was told this much.
async fn three_regions(workshop: Workshop, toml: &str, flags: &[&str]) -> Cluster {
    let flags = [&["--region", "north"], flags].concat();
    let mut cluster = Cluster::start_in(workshop, Topology::nodes(0).routes(toml).gateway_flags(&flags)).await;
    let coordinator = cluster.coordinators[0].grpc_url();
    for region in ["east", "west", "north"] {
        let node = Role::node(&cluster.workshop, region, &coordinator).root(&cluster.root());
        cluster.nodes.push(node.flags(&["--region", region, "--capacity", "10GB"]).started());
    }
    cluster
}

/// The region to which a client is sent that a proxy on this machine speaks of so.
async fn sent_to(cluster: &Cluster, forwarded_for: &str) -> Option<&'static str> {
    // By HEAD, of which nobody remembers where it led: who asks again for what he did not get is sent elsewhere (P7).
    let request = get(&cluster.url("/file.bin")).method(Method::HEAD).header(FORWARDED_FOR, forwarded_for);
    let answer = request.try_send().await.ok()?;
    let target = answer.target()?;
    let at = cluster.nodes.iter().position(|node| node.address() == target)?;
    Some(["east", "west", "north"][at])
}

async fn until_sent(cluster: &Cluster, forwarded_for: &str, region: &str) {
    until(&format!("clients from {forwarded_for} to go {region}"), NOTICED_WITHIN, async || {
        (sent_to(cluster, forwarded_for).await? == region).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_trusted_proxys_clients_are_served_where_they_are_and_next_where_that_costs_the_least() {
    let mut cluster = three_regions(Workshop::open(), REGIONS, &["--trusted-proxies", "127.0.0.0/8"]).await;
    for (client, region) in [
        ("192.0.2.1", "east"),
        ("192.0.2.200", "west"),
        ("2001:db8:a::1", "west"),
        ("203.0.113.1", "north"),
        ("192.0.2.200, 192.0.2.1, 127.0.0.9", "east"),
        ("nobody", "north"),
    ] {
        until_sent(&cluster, client, region).await;
    }
    cluster.nodes[0].program.kill().await;
    until_sent(&cluster, "192.0.2.1", "north").await;
    cluster.nodes[2].program.kill().await;
    until_sent(&cluster, "192.0.2.1", "west").await;
}

#[tokio::test]
async fn what_anybody_else_says_of_a_client_means_nothing() {
    let cluster = three_regions(Workshop::open(), REGIONS, &["--trusted-proxies", "198.51.100.0/24"]).await;
    until_sent(&cluster, "203.0.113.1", "north").await;
    for client in ["192.0.2.1", "192.0.2.200", "198.51.100.1"] {
        for _ in 0..5 {
            assert_eq!(sent_to(&cluster, client).await, Some("north"), "{client}");
        }
    }
}

#[tokio::test]
async fn a_database_that_turns_to_garbage_is_kept_as_it_was() {
    let workshop = Workshop::open();
    let file = workshop.path().join("places.mmdb");
    fs::write(&file, mmdb::database(10, &[("192.0.2.0/24", "EU", "FR", "")])).expect("a file");
    let toml = format!("maxmind-file = {:?}\n[[client-region]]\nregion = \"west\"\ncountries = [\"FR\"]\n", file);
    let cluster = three_regions(workshop, &toml, &["--trusted-proxies", "127.0.0.1"]).await;
    until_sent(&cluster, "192.0.2.1", "west").await;

    let refused = async |wanted: u64| {
        until("the gateway to have looked at the file", NOTICED_WITHIN, async || {
            let seen = figure(&cluster.gateway.grpc_url(), "ferry_gateway_client_database_refused").await?;
            (seen == wanted).then_some(())
        })
        .await;
    };
    fs::write(&file, "garbage").expect("written over");
    refused(1).await;
    assert_eq!(sent_to(&cluster, "192.0.2.1").await, Some("west"));
    // A newer one, with another network in it.
    let (new, network) = (file.with_extension("new"), [("203.0.113.0/24", "EU", "FR", "")]);
    fs::write(&new, mmdb::database(11, &network)).expect("a file");
    fs::rename(&new, &file).expect("beside it");
    refused(0).await;
    assert_eq!(sent_to(&cluster, "192.0.2.1").await, Some("north"));
    assert_eq!(sent_to(&cluster, "203.0.113.1").await, Some("west"));
    let built = figure(&cluster.gateway.grpc_url(), "ferry_gateway_client_database_build_timestamp_seconds").await;
    assert_eq!(built, Some(11));
}
