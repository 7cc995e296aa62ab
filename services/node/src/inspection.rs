//! What the node tells of itself on its admin listener, and what operators do with its cache: `NodeService`, `/health`, `/debug/http-client`,
//! `/debug/cache`.

mod cache;
mod pages;
mod warm;

use std::{
    sync::{Arc, OnceLock},
    time::UNIX_EPOCH,
};

use ferry_core::{id::CoordinatorId, load::Load, node::NodeFacts, routes::Routes, time::Tick};
use ferry_delivery::{
    Delivery,
    origin::{AddressStats, Origins, PoolStats},
    transfers::Snapshot,
};
use ferry_proto::v1;
use ferry_runtime::{Clock, Tasks, coordinators::Links};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

pub(crate) use self::{pages::pages, warm::Warming};
use crate::{
    config::CacheConfig, drain::Drain, figures::Figures, fullness::Fullness, health::Disks, identity::Identity,
};

/// What inspection looks at. Of it, only what is in the cache can be changed from here.
#[derive(Debug, Clone)]
pub(crate) struct Inspection {
    pub(crate) facts: NodeFacts,
    pub(crate) identity: Arc<Identity>,
    pub(crate) mode: &'static str,
    pub(crate) began: Tick,
    pub(crate) clock: Clock,
    pub(crate) drain: Drain,
    pub(crate) load: watch::Receiver<Load>,
    pub(crate) delivery: Delivery,
    pub(crate) disks: Disks,
    pub(crate) figures: Figures,
    pub(crate) fullness: Fullness,
    /// How the cache is kept, if there is one.
    pub(crate) cache: Option<CacheConfig>,
    /// What paths mean here.
    pub(crate) routes: Routes,
    pub(crate) warming: Warming,
    pub(crate) tasks: Tasks,
    /// Set once the links are started.
    pub(crate) links: Arc<OnceLock<Links>>,
}

impl Inspection {
    fn pools(&self) -> Vec<PoolStats> {
        self.delivery.origins().map(Origins::pool_stats).unwrap_or_default()
    }

    fn coordinators(&self) -> Vec<v1::CoordinatorLink> {
        let links = self.links.get().map(Links::list).unwrap_or_default();
        let wire = links.into_iter().map(|link| v1::CoordinatorLink {
            url: link.url,
            coordinator_id: link.coordinator.as_ref().map(CoordinatorId::to_string).unwrap_or_default(),
            connected: link.connected,
            trouble: link.trouble.unwrap_or_default(),
        });
        wire.collect()
    }
}

#[tonic::async_trait]
impl v1::node_service_server::NodeService for Inspection {
    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Result<Response<v1::GetStatusResponse>, Status> {
        let load = *self.load.borrow();
        Ok(Response::new(v1::GetStatusResponse {
            facts: Some((&self.facts).into()),
            incarnation: self.identity.incarnation().0,
            load: Some(load.into()),
            draining: self.drain.is_draining(),
            backend_mode: self.mode.to_owned(),
            coordinators: self.coordinators(),
            uptime_seconds: self.clock.now().since(self.began).as_secs(),
            disk_trouble: self.disks.root().map(|trouble| trouble.to_string()).unwrap_or_default(),
            full: self.fullness.is_full(),
            sent_on: self.figures.sent_on_by_reason().into_iter().map(sent_on).collect(),
            cache_trouble: self.disks.cache().map(|trouble| trouble.to_string()).unwrap_or_default(),
        }))
    }

    async fn list_transfers(
        &self,
        _: Request<v1::ListTransfersRequest>,
    ) -> Result<Response<v1::ListTransfersResponse>, Status> {
        let transfers = self.delivery.transfers().list().iter().map(transfer).collect();
        Ok(Response::new(v1::ListTransfersResponse { transfers }))
    }

    async fn get_origin_pool(
        &self,
        _: Request<v1::GetOriginPoolRequest>,
    ) -> Result<Response<v1::GetOriginPoolResponse>, Status> {
        let origins = self.pools().into_iter().map(pool).collect();
        Ok(Response::new(v1::GetOriginPoolResponse { origins }))
    }

    async fn get_cache(&self, _: Request<v1::GetCacheRequest>) -> Result<Response<v1::GetCacheResponse>, Status> {
        Ok(Response::new(v1::GetCacheResponse { cache: self.cache_state(), node_id: self.facts.id.to_string() }))
    }

    async fn list_cached(
        &self,
        request: Request<v1::ListCachedRequest>,
    ) -> Result<Response<v1::ListCachedResponse>, Status> {
        Ok(Response::new(self.cached(request.into_inner()).await?))
    }

    async fn purge_cache(
        &self,
        request: Request<v1::PurgeCacheRequest>,
    ) -> Result<Response<v1::PurgeCacheResponse>, Status> {
        Ok(Response::new(self.purge(request.into_inner()).await?))
    }

    type WarmCacheStream = warm::Progress;

    async fn warm_cache(
        &self,
        request: Request<v1::WarmCacheRequest>,
    ) -> Result<Response<Self::WarmCacheStream>, Status> {
        Ok(Response::new(self.warm(request.get_ref())?))
    }
}

fn sent_on((reason, requests): (&'static str, u64)) -> v1::SentOn {
    v1::SentOn { reason: reason.to_owned(), requests }
}

fn transfer(snapshot: &Snapshot) -> v1::Transfer {
    let started = snapshot.started.duration_since(UNIX_EPOCH).unwrap_or_default();
    v1::Transfer {
        key: snapshot.key.to_string(),
        client: snapshot.client.to_string(),
        started_unix_ms: u64::try_from(started.as_millis()).unwrap_or(u64::MAX),
        sent_bytes: snapshot.sent_bytes,
        length_bytes: snapshot.length_bytes,
    }
}

fn pool(stats: PoolStats) -> v1::OriginPool {
    let bounded = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    v1::OriginPool {
        origin: stats.origin,
        in_flight: bounded(stats.in_flight),
        waiting: bounded(stats.waiting),
        limit: bounded(stats.limit),
        requests: stats.requests,
        failures: stats.failures,
        connections: bounded(stats.connections),
        breaker: stats.breaker.as_str().to_owned(),
        retries: stats.retries,
        resumed: stats.resumed,
        addresses: stats.addresses.iter().map(address).collect(),
    }
}

fn address(stats: &AddressStats) -> v1::OriginAddress {
    v1::OriginAddress {
        address: stats.address.to_string(),
        connections: u32::try_from(stats.connections).unwrap_or(u32::MAX),
        breaker: stats.breaker.as_str().to_owned(),
    }
}
