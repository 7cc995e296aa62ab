//! SEMANTICS.md 1: a redirect names the digest of the bytes that a client will get, once nodes have told of it.

use std::time::Duration;

use ferry_delivery::semantics::repr_digest;
use sha2::{Digest as _, Sha256};

use crate::harness::{Cluster, Topology, get, until};

const NOTICED_WITHIN: Duration = Duration::from_secs(20);
const LENGTH: usize = 3_000_000;

#[tokio::test]
async fn a_redirect_names_the_digest_of_what_nodes_have_served() {
    let cluster = Cluster::start(Topology::nodes(2).node_flags(&["--etag", "digest"])).await;
    let content = vec![b'f'; LENGTH];
    std::fs::write(cluster.root().join("film.bin"), &content).expect("a file of our own");
    let expected: [u8; 32] = Sha256::digest(&content).into();
    let url = cluster.url("/film.bin");
    let first = get(&url).send().await;
    assert_eq!((first.status.as_u16(), repr_digest::sha256(&first.headers)), (302, None), "nobody has told of it");
    until("a redirect with a digest", NOTICED_WITHIN, async || {
        // The node that served the whole knows its digest a moment later, and says so after another transfer.
        let received = get(&url).follow().await.finish().await.ok()?;
        assert_eq!(received.length, LENGTH as u64);
        repr_digest::sha256(&get(&url).send().await.headers)
    })
    .await;
    let named = get(&url).send().await;
    assert_eq!(repr_digest::sha256(&named.headers), Some(expected));
    // Both ways to a redirect say it: with a range, it is the ordinary one.
    let ranged = get(&url).rest_from(5).send().await;
    assert_eq!((ranged.status.as_u16(), repr_digest::sha256(&ranged.headers)), (302, Some(expected)));
    let another = get(&cluster.url("/other.bin")).send().await;
    assert_eq!(repr_digest::sha256(&another.headers), None, "it is of that object alone");
}
