//! What the node tells of itself on its admin listener: `NodeService`, `/health`, `/debug/http-client`.

mod pages;

use std::{
    sync::{Arc, OnceLock},
    time::UNIX_EPOCH,
};

use ferry_core::{
    id::{CoordinatorId, Incarnation},
    load::Load,
    node::NodeFacts,
    time::Tick,
};
use ferry_delivery::{
    Delivery,
    origin::{AddressStats, Origins, PoolStats},
    transfers::Snapshot,
};
use ferry_proto::v1;
use ferry_runtime::{Clock, coordinators::Links};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

pub(crate) use self::pages::pages;
use crate::{drain::Drain, health::Disks};

/// What inspection looks at; nothing of it can be changed from here.
#[derive(Debug, Clone)]
pub(crate) struct Inspection {
    pub(crate) facts: NodeFacts,
    pub(crate) incarnation: Incarnation,
    pub(crate) mode: &'static str,
    pub(crate) began: Tick,
    pub(crate) clock: Clock,
    pub(crate) drain: Drain,
    pub(crate) load: watch::Receiver<Load>,
    pub(crate) delivery: Delivery,
    pub(crate) disks: Disks,
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
            incarnation: self.incarnation.0,
            load: Some(load.into()),
            draining: self.drain.is_draining(),
            backend_mode: self.mode.to_owned(),
            coordinators: self.coordinators(),
            uptime_seconds: self.clock.now().since(self.began).as_secs(),
            disk_trouble: self.disks.root().map(|trouble| trouble.to_string()).unwrap_or_default(),
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
