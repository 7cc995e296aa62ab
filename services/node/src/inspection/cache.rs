//! The cache, as operators see it: its state, what is in it, and what is to be forgotten.

use std::time::{SystemTime, UNIX_EPOCH};

use ferry_core::{chain::Chain, object::ObjectPath, routes::Routes};
use ferry_delivery::cache::{
    Cache, CacheStats, Cached, Purge,
    store::{Mode, Space, StoreError, Usage},
};
use ferry_proto::v1;
use tonic::Status;
use tracing::info;

use super::Inspection;
use crate::config::CacheConfig;

/// How many objects a page has where nobody says, and at most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// What is wrong with a path that somebody names.
pub(super) fn invalid(field: &str, why: &dyn std::fmt::Display) -> Status {
    Status::invalid_argument(format!("{field}: {why}"))
}

impl Inspection {
    /// The cache, where there is one.
    pub(super) fn cache(&self) -> Result<&Cache, Status> {
        self.delivery.cache().ok_or_else(|| Status::failed_precondition("this node has no cache"))
    }

    /// Refuses what is meant for another node.
    pub(super) fn is_meant(&self, node_id: &str) -> Result<(), Status> {
        let own = self.facts.id.as_str();
        if node_id.is_empty() || node_id == own {
            return Ok(());
        }
        Err(Status::failed_precondition(format!("this is node {own}, and not {node_id}")))
    }

    /// How the cache does.
    pub(super) fn cache_state(&self) -> Option<v1::Cache> {
        let (cache, config) = (self.delivery.cache()?, self.cache.as_ref()?);
        Some(v1::Cache {
            path: cache.store().path().display().to_string(),
            read_only: config.store.mode == Mode::ReadOnly,
            limits: Some(limits(config)),
            usage: Some(usage(&cache.store().usage())),
            stats: Some(stats(&cache.stats())),
            trouble: self.disks.cache().map(|trouble| trouble.to_string()).unwrap_or_default(),
        })
    }

    /// One page of what is there.
    pub(super) async fn cached(&self, asked: v1::ListCachedRequest) -> Result<v1::ListCachedResponse, Status> {
        let most = match usize::try_from(asked.page_size) {
            Ok(0) => PAGE,
            Ok(size) => size.min(LARGEST_PAGE),
            Err(_) => LARGEST_PAGE,
        };
        let after = Some(asked.page_token.as_str()).filter(|token| !token.is_empty());
        let listed = self.cache()?.list(&asked.prefix, after, most).await;
        // What left the cache meanwhile is in no page, so a short page is not the last one; an empty one is.
        let next_page_token = listed.last().map(|last| last.key.clone()).unwrap_or_default();
        Ok(v1::ListCachedResponse { objects: listed.iter().map(object).collect(), next_page_token })
    }

    /// Forgets; true on this node when it returns.
    pub(super) async fn purge(&self, asked: v1::PurgeCacheRequest) -> Result<v1::PurgeCacheResponse, Status> {
        self.is_meant(&asked.node_id)?;
        let cache = self.cache()?;
        let mut purged = 0;
        for purge in purges(asked.what, &self.routes)? {
            purged += cache.purge(&purge).await.map_err(|error| refused(&error))?;
            info!(what = ?purge, purged, "an operator had the cache forget");
        }
        Ok(v1::PurgeCacheResponse { purged })
    }
}

/// What a request means to have forgotten. A path may be the object's own, and that of a URL by which clients ask for it.
fn purges(what: Option<v1::purge_cache_request::What>, routes: &Routes) -> Result<Vec<Purge>, Status> {
    use v1::purge_cache_request::What;
    match what {
        None => Err(Status::invalid_argument("path or prefix: one of them is wanted")),
        Some(What::Prefix(prefix)) if prefix.is_empty() => {
            Err(Status::invalid_argument("prefix: it is empty; / stands for everything"))
        }
        Some(What::Prefix(prefix)) => Ok(vec![Purge::Below(prefix.strip_prefix('/').unwrap_or(&prefix).to_owned())]),
        Some(What::Path(path)) => {
            let path = ObjectPath::from_decoded(path.strip_prefix('/').unwrap_or(&path));
            let path = path.map_err(|why| invalid("path", &why))?;
            let routed = routes.match_target(&path, None).map(|found| found.key.path).filter(|key| *key != path);
            Ok(std::iter::once(path).chain(routed).map(Purge::Path).collect())
        }
    }
}

fn refused(error: &StoreError) -> Status {
    let text = Chain(error).to_string();
    match error {
        StoreError::ReadOnly => Status::failed_precondition(text),
        StoreError::TooLong => Status::invalid_argument(text),
        StoreError::Disk(_) | StoreError::Away(_) => Status::unavailable(text),
    }
}

fn limits(config: &CacheConfig) -> v1::CacheLimits {
    let Space { bytes, free_low, free_high, admission, pinned } = &config.store.space;
    let limited = |bytes: u64| (bytes < u64::MAX).then_some(bytes);
    v1::CacheLimits {
        bytes: limited(*bytes),
        free_low_bytes: *free_low,
        free_high_bytes: *free_high,
        largest_object_bytes: limited(admission.largest),
        block_bytes: config.store.block_bytes,
        pinned: pinned.clone(),
    }
}

fn usage(usage: &Usage) -> v1::CacheUsage {
    let Usage { objects, bytes, written, evicted, damaged, stocked, .. } = *usage;
    v1::CacheUsage { objects: objects as u64, bytes, written_bytes: written, evicted, damaged_blocks: damaged, stocked }
}

fn stats(stats: &CacheStats) -> v1::CacheStats {
    v1::CacheStats {
        hits: stats.hits,
        stale: stats.stale,
        partial: stats.partial,
        misses: stats.misses,
        collapsed: stats.collapsed,
        validated: stats.validated,
        passed: stats.passed,
        origin_requests: stats.asked,
        origin_bytes: stats.origin_bytes,
        fetch_failures: stats.failed,
        given_up: stats.given_up,
        refused: stats.refused,
        filling: stats.filling as u64,
        fetches: stats.fetches as u64,
        waiting: stats.waiting as u64,
    }
}

fn object(cached: &Cached) -> v1::CachedObject {
    v1::CachedObject {
        name: cached.name.clone(),
        status: u32::from(cached.status.as_u16()),
        length_bytes: cached.length,
        bytes_here: cached.bytes_here,
        bytes_on_disk: cached.bytes_on_disk,
        age_seconds: cached.age.as_secs(),
        ttl_seconds: cached.ttl,
        etag: cached.etag.clone().unwrap_or_default(),
        hits: cached.hits,
        created_unix_ms: millis(cached.created),
        last_used_unix_ms: millis(cached.last_used),
        sha256: cached.digest.map(Vec::from).unwrap_or_default(),
    }
}

fn millis(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use ferry_core::routes::{Access, Defaults, QueryRule, RouteSpec};
    use tonic::Code;
    use v1::purge_cache_request::What;

    use super::*;

    fn routes() -> Routes {
        let spec = RouteSpec {
            r#match: "/meetings/{id}/package".to_owned(),
            key: Some("files/{id}.zip".to_owned()),
            ..RouteSpec::default()
        };
        let defaults = Defaults { access: Some(Access::Open), query: QueryRule::Keep };
        Routes::compile(&[spec, Routes::everything(Access::Open)], &defaults).expect("good routes")
    }

    fn path(path: &str) -> Purge {
        Purge::Path(ObjectPath::from_decoded(path).expect("a path"))
    }

    #[test]
    fn a_path_is_an_object_s_or_leads_to_one() {
        let purged = |what| purges(Some(what), &routes()).expect("a good request");
        for spelled in ["/a b/c.zip", "a b/c.zip"] {
            assert_eq!(purged(What::Path(spelled.to_owned())), [path("a b/c.zip")]);
        }
        assert_eq!(
            purged(What::Path("/meetings/7/package".to_owned())),
            [path("meetings/7/package"), path("files/7.zip")]
        );
        assert_eq!(purged(What::Prefix("/os/".to_owned())), [Purge::Below("os/".to_owned())]);
        assert_eq!(purged(What::Prefix("/".to_owned())), [Purge::Below(String::new())]);
    }

    #[test]
    fn nothing_is_forgotten_by_mistake() {
        let empty = || String::new();
        for what in [
            None,
            Some(What::Prefix(empty())),
            Some(What::Path(empty())),
            Some(What::Path("/".to_owned())),
            Some(What::Path("/a/../b".to_owned())),
            Some(What::Path("/a//b".to_owned())),
        ] {
            let refused = purges(what.clone(), &routes()).expect_err("a bad request");
            assert_eq!(refused.code(), Code::InvalidArgument, "{what:?}");
        }
    }
}
