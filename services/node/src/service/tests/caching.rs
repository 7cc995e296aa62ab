//! A node that keeps what its origin sends.

use std::{fs, path::PathBuf, time::Duration};

use ferry_delivery::origin::faulty::{Faulty, Transport};
use ferry_proto::v1;
use tokio::time::timeout;

use super::{
    operators::{inspector, page},
    site::{LIMIT, Live, Site},
};
use crate::StartError;

/// Three blocks and a bit.
const LENGTH: u64 = (3 << 20) + 5;

async fn origin() -> Faulty {
    let origin = Faulty::start(Transport::Plain, LENGTH).await;
    origin.say("cache-control", "max-age=600");
    origin
}

/// A node with a cache in its folder.
async fn start(site: &Site, origin: &Faulty, flags: &[&str]) -> Live {
    let (url, cache) = (origin.url(), directory(site).display().to_string());
    site.start(&[&["--origin", &url, "--cache", &cache], flags].concat()).await
}

fn directory(site: &Site) -> PathBuf {
    site.folder.path().join("cache")
}

#[tokio::test]
async fn what_was_fetched_is_given_out_again() {
    let (site, origin) = (Site::new(), origin().await);
    let node = start(&site, &origin, &["--cache-size", "64MiB"]).await;
    for status in ["fwd=uri-miss", "hit"] {
        let answer = node.get("/a").await;
        assert!(answer.status == 200 && origin.content().has(1, 0, &answer.body), "{status}");
        assert!(answer.field("cache-status").contains(status), "{}", answer.field("cache-status"));
    }
    assert_eq!(origin.seen().len(), 1);
    let figures = String::from_utf8(page(&node, "/metrics").await.body).expect("text");
    for line in [
        "ferry_node_delivery_cache_hits_total 1",
        "ferry_node_delivery_cache_objects 1",
        "ferry_node_delivery_cache_well 1",
        "ferry_node_delivery_cache_damaged_blocks_total 0",
    ] {
        assert!(figures.lines().any(|found| found == line), "{line} is not in:\n{figures}");
    }
    node.stop().await;
}

#[tokio::test]
async fn what_was_fetched_is_there_after_a_restart() {
    let (site, origin) = (Site::new(), origin().await);
    for _ in 0..2 {
        let node = start(&site, &origin, &[]).await;
        assert!(origin.content().has(1, 0, &node.get("/a").await.body));
        node.stop().await;
    }
    assert_eq!(origin.seen().len(), 1, "what came was not listed before the end");
}

#[tokio::test]
async fn a_cache_that_another_node_has_is_named() {
    let (one, other, origin) = (Site::new(), Site::new(), origin().await);
    let node = start(&one, &origin, &[]).await;
    let (url, cache) = (origin.url(), directory(&one).display().to_string());
    let refused = other.try_start(&["--origin", &url, "--cache", &cache]).await.err().expect("it is taken");
    assert!(matches!(refused, StartError::Cache(_)) && refused.to_string().contains(&cache), "{refused}");
    node.stop().await;
}

#[tokio::test]
async fn blocks_that_are_not_what_was_written_are_the_node_s_health() {
    let (site, origin) = (Site::new(), origin().await);
    let node = start(&site, &origin, &[]).await;
    assert_eq!(node.get("/a").await.status, 200);
    assert_eq!(node.get("/health").await.json()["status"], "healthy");
    node.stop().await;
    let shelves = fs::read_dir(directory(&site)).expect("a directory").map(|entry| entry.expect("an entry").path());
    let files = shelves.filter(|path| path.is_dir()).flat_map(|shelf| fs::read_dir(shelf).expect("a shelf"));
    let data = files
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|end| end == "data"));
    let data = data.expect("the object's bytes");
    let mut bytes = fs::read(&data).expect("readable");
    bytes[5] ^= 1;
    fs::write(&data, bytes).expect("writable");
    let node = start(&site, &origin, &["--config", &site.toml("cache-scrub-rate = \"1GiB\"\n")]).await;
    let noticed = async {
        loop {
            let health = node.get("/health").await.json();
            if health["status"] == "degraded" {
                return health;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let health = timeout(LIMIT, noticed).await.expect("the scrub finds it");
    assert!(health["cache"].as_str().is_some_and(|text| text.contains("not what was written: 1")), "{health}");
    let status = inspector(&node).get_status(v1::GetStatusRequest {}).await.expect("an answer").into_inner();
    assert!(status.cache_trouble.contains("not what was written") && status.disk_trouble.is_empty(), "{status:?}");
    assert!(origin.content().has(1, 0, &node.get("/a").await.body), "nobody is given the bad block");
    node.stop().await;
}
