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
    let (pools, links) = (inspection.clone(), inspection.clone());
    let client = move || async move {
        let origins: Vec<_> = pools.pools().iter().map(pool_page).collect();
        Json(serde_json::json!({ "origins": origins }))
    };
    let page = move || async move {
        let coordinators: Vec<_> = links.coordinators().iter().map(link_page).collect();
        let mut page = health.page();
        page["coordinators"] = coordinators.into();
        Json(page)
    };
    Router::new().route("/debug/http-client", get(client)).route("/health", get(page))
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
