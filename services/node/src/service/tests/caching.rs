//! A node that keeps what its origin sends, and what operators do with that.

use std::{fs, path::PathBuf, time::Duration};

use ferry_delivery::origin::faulty::{Fault, Faulty, Transport};
use ferry_proto::v1::{self, purge_cache_request::What};
use tokio::time::timeout;
use tonic::{Code, Status};

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

async fn purge(node: &Live, what: What) -> Result<u64, Status> {
    let asked = v1::PurgeCacheRequest { node_id: "n1".to_owned(), what: Some(what) };
    inspector(node).purge_cache(asked).await.map(|answer| answer.into_inner().purged)
}

/// All that was said, and how it ended.
async fn warm(node: &Live, asked: v1::WarmCacheRequest) -> Result<Vec<v1::WarmCacheResponse>, Status> {
    let mut words = inspector(node).warm_cache(asked).await?.into_inner();
    let mut said = Vec::new();
    while let Some(word) = words.message().await? {
        said.push(word);
    }
    Ok(said)
}

fn wanted(path: &str) -> v1::WarmCacheRequest {
    v1::WarmCacheRequest { path: path.to_owned(), ..v1::WarmCacheRequest::default() }
}

async fn names(node: &Live, prefix: &str) -> Vec<String> {
    let asked = v1::ListCachedRequest { prefix: prefix.to_owned(), ..v1::ListCachedRequest::default() };
    let listed = inspector(node).list_cached(asked).await.expect("a list").into_inner();
    listed.objects.into_iter().map(|object| object.name).collect()
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
    let cache = inspector(&node).get_cache(v1::GetCacheRequest {}).await.expect("an answer").into_inner().cache;
    let cache = cache.expect("a cache");
    assert_eq!(
        (cache.path, cache.read_only, cache.trouble.as_str()),
        (directory(&site).display().to_string(), false, "")
    );
    let limits = cache.limits.expect("limits");
    assert_eq!((limits.bytes, limits.largest_object_bytes), (Some(64 << 20), Some(16 << 20)));
    let (usage, stats) = (cache.usage.expect("usage"), cache.stats.expect("stats"));
    assert_eq!((usage.objects, usage.evicted, usage.damaged_blocks), (1, 0, 0));
    assert_eq!((stats.hits, stats.misses, stats.origin_requests, stats.origin_bytes), (1, 1, 1, LENGTH));
    let shown = page(&node, "/debug/cache").await.json();
    assert_eq!((&shown["usage"]["objects"], &shown["stats"]["hits"]), (&1.into(), &1.into()));
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
async fn what_came_of_an_object_is_there_after_a_restart() {
    let (site, origin) = (Site::new(), origin().await);
    let toml = site.toml("origin-resume-timeout = 0\norigin-retries = 0\n");
    let node = start(&site, &origin, &["--config", &toml]).await;
    origin.next([Fault::Close((2 << 20) + 9)]);
    assert!((node.get("/a").await.body.len() as u64) < LENGTH);
    node.stop().await;
    let node = start(&site, &origin, &["--config", &toml]).await;
    let listed = inspector(&node).list_cached(v1::ListCachedRequest::default()).await.expect("a list").into_inner();
    assert_eq!(listed.objects.first().map(|object| object.bytes_here), Some(2 << 20), "{listed:?}");
    node.stop().await;
}

#[tokio::test]
async fn the_cache_is_listed_page_by_page() {
    let (site, origin) = (Site::new(), origin().await);
    let node = start(&site, &origin, &[]).await;
    for target in ["/b/2", "/a", "/b/1?x=1"] {
        assert_eq!(node.get(target).await.status, 200);
    }
    let mut asked = v1::ListCachedRequest { page_size: 2, ..v1::ListCachedRequest::default() };
    let mut pages = Vec::new();
    loop {
        let page = inspector(&node).list_cached(asked.clone()).await.expect("a page").into_inner();
        if page.next_page_token.is_empty() {
            break;
        }
        asked.page_token.clone_from(&page.next_page_token);
        pages.push(page.objects);
    }
    let names: Vec<Vec<_>> = pages.iter().map(|page| page.iter().map(|object| &*object.name).collect()).collect();
    assert_eq!(names, [vec!["a", "b/1?x=1"], vec!["b/2"]]);
    let object = &pages[0][0];
    assert_eq!((object.status, object.length_bytes, object.bytes_here), (200, Some(LENGTH), LENGTH));
    assert_eq!((&*object.etag, object.ttl_seconds), (&*origin.content().etag(1), 600));
    assert_eq!(self::names(&node, "b/").await, ["b/1?x=1", "b/2"]);
    node.stop().await;
}

#[tokio::test]
async fn what_is_purged_is_fetched_anew() {
    let (site, origin) = (Site::new(), origin().await);
    let node = start(&site, &origin, &[]).await;
    for target in ["/a", "/a?x=1", "/b/1", "/b/2", "/c"] {
        assert_eq!(node.get(target).await.status, 200);
    }
    assert_eq!(purge(&node, What::Path("/a".to_owned())).await.expect("purged"), 2, "all queries of a path");
    assert_eq!(purge(&node, What::Path("/a".to_owned())).await.expect("purged"), 0);
    assert_eq!(purge(&node, What::Prefix("/b/".to_owned())).await.expect("purged"), 2);
    assert_eq!(names(&node, "").await, ["c"]);
    let before = origin.seen().len();
    assert!(node.get("/a").await.field("cache-status").contains("fwd=uri-miss"));
    assert_eq!(origin.seen().len(), before + 1);
    assert_eq!(purge(&node, What::Prefix("/".to_owned())).await.expect("purged"), 2);
    assert!(names(&node, "").await.is_empty());
    node.stop().await;
}

#[tokio::test]
async fn a_call_that_is_meant_for_another_node_changes_nothing() {
    let (site, origin) = (Site::new(), origin().await);
    let node = start(&site, &origin, &[]).await;
    assert_eq!(node.get("/a").await.status, 200);
    let what = Some(What::Path("a".to_owned()));
    let refused = inspector(&node).purge_cache(v1::PurgeCacheRequest { node_id: "n2".to_owned(), what }).await;
    let refused = refused.expect_err("it is for n2");
    assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, "this is node n1, and not n2"));
    let refused = warm(&node, v1::WarmCacheRequest { node_id: "n2".to_owned(), ..wanted("b") }).await;
    assert_eq!(refused.expect_err("it is for n2").code(), Code::FailedPrecondition);
    assert_eq!((names(&node, "").await, origin.seen().len()), (vec!["a".to_owned()], 1));
    node.stop().await;
}

#[tokio::test]
async fn what_is_warm_needs_no_origin() {
    let (site, origin) = (Site::new(), origin().await);
    let node = start(&site, &origin, &[]).await;
    let said = warm(&node, v1::WarmCacheRequest { node_id: "n1".to_owned(), ..wanted("/a") }).await.expect("warm");
    let last = said.last().expect("a last word");
    assert_eq!((last.bytes, last.length_bytes, last.complete), (LENGTH, Some(LENGTH), true));
    assert!(said.iter().rev().skip(1).all(|word| !word.complete), "{said:?}");
    let asked = origin.seen().len();
    let answer = node.get("/a").await;
    assert!(answer.field("cache-status").contains("hit"), "{}", answer.field("cache-status"));
    assert!(origin.content().has(1, 0, &answer.body) && answer.body.len() as u64 == LENGTH);
    assert_eq!(origin.seen().len(), asked);
    node.stop().await;
}

#[tokio::test]
async fn ranges_are_warmed_and_no_more() {
    let (site, origin) = (Site::new(), origin().await);
    let node =
        start(&site, &origin, &["--config", &site.toml("cache-finish = 0\ncache-fill-ahead = \"1MiB\"\n")]).await;
    let ranges = vec![v1::ByteRange { first: 0, last: Some(9) }, v1::ByteRange { first: LENGTH - 5, last: None }];
    let said = warm(&node, v1::WarmCacheRequest { ranges, ..wanted("a") }).await.expect("warm");
    assert_eq!(said.last().map(|word| (word.bytes, word.complete)), Some((15, true)));
    let backwards = vec![v1::ByteRange { first: 5, last: Some(4) }];
    let refused = warm(&node, v1::WarmCacheRequest { ranges: backwards, ..wanted("a") }).await;
    assert_eq!(refused.expect_err("nothing lies there").code(), Code::InvalidArgument);
    node.stop().await;
}

#[tokio::test]
async fn what_cannot_be_warmed_is_said() {
    let (site, origin) = (Site::new(), origin().await);
    let toml = site.toml("origin-retries = 0\n[[route]]\nmatch = \"/files/{path*}\"\n");
    let node = start(&site, &origin, &["--config", &toml]).await;
    let code = async |path: &str| warm(&node, wanted(path)).await.expect_err("not warm").code();
    assert_eq!(code("elsewhere").await, Code::NotFound, "no route");
    assert_eq!(code("files/../a").await, Code::InvalidArgument);
    origin.next([Fault::Status(404)]);
    assert_eq!(code("files/gone").await, Code::NotFound);
    origin.next([Fault::Status(403)]);
    assert_eq!(code("files/a").await, Code::FailedPrecondition);
    origin.next([Fault::Unheard]);
    assert_eq!(code("files/a").await, Code::Unavailable);
    origin.say("cache-control", "no-store");
    assert_eq!(code("files/secret").await, Code::FailedPrecondition);
    node.stop().await;
}

#[tokio::test]
async fn whoever_stops_listening_stops_the_fetch() {
    let (site, origin) = (Site::new(), origin().await);
    let toml = site.toml("origin-resume-timeout = 0\norigin-retries = 0\n");
    let node = start(&site, &origin, &["--config", &toml]).await;
    origin.next([Fault::Hang(100)]);
    // The connection stays, so that it is the call's task that ends, and no other.
    let mut operator = inspector(&node);
    let mut words = operator.warm_cache(wanted("a")).await.expect("it begins").into_inner();
    let word = timeout(LIMIT, words.message()).await.expect("a word in time").expect("no fault");
    assert!(word.is_some_and(|word| !word.complete));
    let busy = node.tasks.running();
    drop(words);
    let ended = async {
        while node.tasks.running() >= busy {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, ended).await.expect("nobody listens");
    origin.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn a_node_without_a_cache_says_so() {
    let (site, origin) = (Site::new(), origin().await);
    let node = site.start(&["--origin", &origin.url()]).await;
    let cache = inspector(&node).get_cache(v1::GetCacheRequest {}).await.expect("an answer").into_inner().cache;
    assert!(cache.is_none());
    assert!(page(&node, "/debug/cache").await.json().is_null());
    assert_eq!(purge(&node, What::Path("a".to_owned())).await.expect_err("no cache").code(), Code::FailedPrecondition);
    assert_eq!(warm(&node, wanted("a")).await.expect_err("no cache").code(), Code::FailedPrecondition);
    let listed = inspector(&node).list_cached(v1::ListCachedRequest::default()).await;
    assert_eq!(listed.expect_err("no cache").code(), Code::FailedPrecondition);
    node.stop().await;
}

#[tokio::test]
async fn a_cache_that_is_only_read_is_given_out_and_stays_as_it_is() {
    let (site, origin) = (Site::new(), origin().await);
    let node = start(&site, &origin, &[]).await;
    assert_eq!(node.get("/a").await.status, 200);
    node.stop().await;
    let node = start(&site, &origin, &["--config", &site.toml("cache-read-only = true\n")]).await;
    assert!(node.get("/a").await.field("cache-status").contains("hit"));
    assert_eq!(node.get("/b").await.status, 200);
    assert_eq!(names(&node, "").await, ["a"]);
    let refused = purge(&node, What::Path("a".to_owned())).await.expect_err("it is only read");
    assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, "the cache is read-only"));
    node.stop().await;
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

#[tokio::test]
async fn a_cache_that_somebody_deletes_is_made_anew_and_heard_of() {
    let (site, origin) = (Site::new(), origin().await);
    let node = start(&site, &origin, &[]).await;
    assert_eq!(node.get("/a").await.status, 200);
    fs::remove_dir_all(directory(&site)).expect("our own directory");
    let noticed = async {
        loop {
            // Whatever there is of it, clients are served.
            let answer = node.get("/a").await;
            assert!(origin.content().has(1, 0, &answer.body) && answer.body.len() as u64 == LENGTH);
            let health = node.get("/health").await.json();
            if health["status"] == "degraded" {
                return health;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let health = timeout(LIMIT, noticed).await.expect("it is looked for");
    assert!(health["cache"].as_str().is_some_and(|text| text.contains("its directory was gone")), "{health}");
    let status = inspector(&node).get_status(v1::GetStatusRequest {}).await.expect("an answer").into_inner();
    assert!(status.cache_trouble.contains("its directory was gone"), "{status:?}");
    assert_eq!(node.get("/b").await.status, 200);
    assert!(node.get("/b").await.field("cache-status").contains("hit"));
    node.stop().await;
    let node = start(&site, &origin, &[]).await;
    assert!(node.get("/b").await.field("cache-status").contains("hit"), "it is on the disk");
    node.stop().await;
}
