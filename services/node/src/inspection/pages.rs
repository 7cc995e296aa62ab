//! The HTTP pages of the admin listener.

use std::sync::Arc;

use axum::{Json, Router, routing::get};
use ferry_delivery::origin::{AddressStats, PoolStats};
use ferry_proto::v1;

use super::Inspection;
use crate::health::Health;

/// The HTTP pages of the admin listener. Its `/health` also says how the node stands with each coordinator, which is nobody's
/// business on the clients' side.
pub(crate) fn pages(inspection: &Inspection, health: Arc<Health>) -> Router {
    let (pools, links, cache) = (inspection.clone(), inspection.clone(), inspection.clone());
    let client = move || async move {
        let origins: Vec<_> = pools.pools().iter().map(pool_page).collect();
        Json(serde_json::json!({ "origins": origins }))
    };
    let cache = move || async move { Json(cache.cache_state().as_ref().map(cache_page)) };
    let page = move || async move {
        let coordinators: Vec<_> = links.coordinators().iter().map(link_page).collect();
        let mut page = health.page();
        page["coordinators"] = coordinators.into();
        Json(page)
    };
    Router::new().route("/debug/http-client", get(client)).route("/debug/cache", get(cache)).route("/health", get(page))
}

fn pool_page(stats: &PoolStats) -> serde_json::Value {
    let address = |stats: &AddressStats| {
        serde_json::json!({
            "address": stats.address.to_string(),
            "connections": stats.connections,
            "breaker": stats.breaker.as_str(),
        })
    };
    serde_json::json!({
        "origin": stats.origin,
        "in_flight": stats.in_flight,
        "waiting": stats.waiting,
        "limit": stats.limit,
        "requests": stats.requests,
        "failures": stats.failures,
        "connections": stats.connections,
        "breaker": stats.breaker.as_str(),
        "retries": stats.retries,
        "resumed": stats.resumed,
        "addresses": stats.addresses.iter().map(address).collect::<Vec<_>>(),
    })
}

fn link_page(link: &v1::CoordinatorLink) -> serde_json::Value {
    serde_json::json!({
        "url": link.url,
        "coordinator_id": link.coordinator_id,
        "connected": link.connected,
        "trouble": link.trouble,
    })
}

fn cache_page(cache: &v1::Cache) -> serde_json::Value {
    let limits = cache.limits.as_ref().map(|limits| {
        serde_json::json!({
            "bytes": limits.bytes,
            "free_low_bytes": limits.free_low_bytes,
            "free_high_bytes": limits.free_high_bytes,
            "largest_object_bytes": limits.largest_object_bytes,
            "block_bytes": limits.block_bytes,
            "pinned": limits.pinned,
        })
    });
    let usage = cache.usage.as_ref().map(|usage| {
        serde_json::json!({
            "objects": usage.objects,
            "bytes": usage.bytes,
            "written_bytes": usage.written_bytes,
            "evicted": usage.evicted,
            "damaged_blocks": usage.damaged_blocks,
            "stocked": usage.stocked,
        })
    });
    let stats = cache.stats.as_ref().map(|stats| {
        serde_json::json!({
            "hits": stats.hits,
            "stale": stats.stale,
            "partial": stats.partial,
            "misses": stats.misses,
            "collapsed": stats.collapsed,
            "validated": stats.validated,
            "passed": stats.passed,
            "origin_requests": stats.origin_requests,
            "origin_bytes": stats.origin_bytes,
            "fetch_failures": stats.fetch_failures,
            "given_up": stats.given_up,
            "refused": stats.refused,
            "filling": stats.filling,
            "fetches": stats.fetches,
            "waiting": stats.waiting,
        })
    });
    serde_json::json!({
        "path": cache.path,
        "read_only": cache.read_only,
        "trouble": cache.trouble,
        "limits": limits,
        "usage": usage,
        "stats": stats,
    })
}
