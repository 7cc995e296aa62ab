//! Nodes in front of an HTTP server (`http` mode).

use ferry_delivery::origin::faulty::{Fault, Faulty, Transport};
use hyper::header;
use sha2::{Digest as _, Sha256};

use crate::harness::{
    Cluster, Topology, get,
    origin::Origin,
    samples::{self, MIB},
    workshop::Workshop,
};

async fn cluster_over_origin() -> (Cluster, Origin) {
    let workshop = Workshop::open();
    let origin = Origin::start(&workshop, workshop.folder("behind")).await;
    let cluster = Cluster::start_in(workshop, Topology::nodes(2).origin(&origin.url())).await;
    (cluster, origin)
}

#[tokio::test]
async fn what_the_origin_has_arrives_through_a_node() {
    let (cluster, _origin) = cluster_over_origin().await;
    let behind = cluster.workshop.folder("behind");
    let mut all = samples::named_by_people(&behind);
    all.push(samples::write(&behind, "big.bin", 24 * MIB));
    for sample in all {
        let received = get(&cluster.url(&sample.path())).follow().await.finish().await.expect("whole");
        assert_eq!(received.sha256, sample.sha256, "{}", sample.name);
    }
}

#[tokio::test]
async fn a_range_of_it_arrives_alone_and_a_missing_object_is_404() {
    let (cluster, _origin) = cluster_over_origin().await;
    let sample = samples::write(&cluster.workshop.folder("behind"), "big.bin", MIB);
    let answer = get(&cluster.url(&sample.path())).header(header::RANGE, "bytes=1000-1999").follow().await;
    assert_eq!(answer.status, 206);
    assert_eq!(answer.header(&header::CONTENT_RANGE), format!("bytes 1000-1999/{MIB}"));
    assert_eq!(answer.finish().await.expect("whole").length, 1000);
    assert_eq!(get(&cluster.url("/no/such.bin")).follow().await.status, 404);
}

/// Ferry's own parameters, cookies and what names the client stay on this side.
#[tokio::test]
async fn the_origin_sees_the_object_and_nothing_of_the_client() {
    let (cluster, origin) = cluster_over_origin().await;
    let sample = samples::write(&cluster.workshop.folder("behind"), "a.bin", 1000);
    let asked = get(&cluster.url(&sample.path()))
        .header(header::COOKIE, "session=secret")
        .header(header::AUTHORIZATION, "Bearer secret");
    assert_eq!(asked.follow().await.status, 200);
    let seen = origin.seen();
    let fetches: Vec<_> = seen.iter().filter(|seen| seen.target.contains("a.bin")).collect();
    assert!(!fetches.is_empty(), "the origin was not asked");
    for fetch in fetches {
        assert!(!fetch.target.contains("ferry="), "{} {}", fetch.method, fetch.target);
        for name in [header::COOKIE, header::AUTHORIZATION] {
            assert!(!fetch.headers.contains_key(&name), "{name} reached the origin");
        }
    }
}

#[tokio::test]
async fn an_origin_that_is_away_is_a_gateway_error_and_not_the_end_of_the_node() {
    let (mut cluster, origin) = cluster_over_origin().await;
    let sample = samples::write(&cluster.workshop.folder("behind"), "a.bin", 1000);
    let url = cluster.nodes[0].url(&sample.path());
    drop(origin);
    crate::harness::until("the origin to be gone", std::time::Duration::from_secs(10), async || {
        matches!(get(&url).send().await.status.as_u16(), 502..=504).then_some(())
    })
    .await;
    assert!(cluster.nodes[0].program.is_running());
}

/// A cluster in front of an origin of one object that misbehaves on command.
async fn cluster_over_faulty(length: u64) -> (Cluster, Faulty) {
    let origin = Faulty::start(Transport::Plain, length).await;
    let cluster = Cluster::start(Topology::nodes(1).origin(&origin.url())).await;
    (cluster, origin)
}

#[tokio::test]
async fn an_origin_that_breaks_off_is_not_seen_by_the_client() {
    let length = 8 * MIB;
    let (cluster, origin) = cluster_over_faulty(length).await;
    origin.next([Fault::Status(503), Fault::Close(3 * MIB), Fault::Unheard, Fault::Reset(MIB), Fault::Status(502)]);
    let received = get(&cluster.url("/big.bin")).follow().await.finish().await.expect("whole");
    assert_eq!(received.length, length);
    assert_eq!(received.sha256, samples::hex(&Sha256::digest(origin.content().bytes(1, 0..length))));
    assert!(origin.seen().len() >= 6, "all of that happened: {:?}", origin.seen());
}

#[tokio::test]
async fn an_object_that_changed_in_mid_body_ends_short_and_is_never_mixed() {
    let (cluster, origin) = cluster_over_faulty(8 * MIB).await;
    origin.next([Fault::Close(3 * MIB), Fault::Careless]);
    let answer = get(&cluster.url("/big.bin")).follow().await;
    assert_eq!(answer.status, 200);
    assert!(answer.finish().await.is_err(), "bytes of two versions look like a whole object");
}
