//! `RoutingService`: one stream per gateway.

use std::pin::Pin;

use ferry_proto::{convert, v1};
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};
use tracing::info;

use crate::{
    driver::{Handle, Input},
    subscribers::OUTBOX,
};

/// Serves gateways.
#[derive(Debug, Clone)]
pub(crate) struct Routing {
    handle: Handle,
}

impl Routing {
    pub(crate) const fn new(handle: Handle) -> Self {
        Self { handle }
    }
}

#[tonic::async_trait]
impl v1::routing_service_server::RoutingService for Routing {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::RoutingUpdate, Status>> + Send>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let asked = request.into_inner();
        convert::check_version(asked.version).map_err(|why| Status::failed_precondition(why.to_string()))?;
        let guarded = convert::access_from_wire(asked.access());
        let gateway = asked.gateway_id.parse().map_err(|why| Status::invalid_argument(format!("gateway_id: {why}")))?;
        info!(%gateway, "gateway listens");
        let (outbox, updates) = mpsc::channel(OUTBOX);
        self.handle.put(Input::Subscribe { gateway, guarded, outbox }).await?;
        Ok(Response::new(Box::pin(ReceiverStream::new(updates).map(Ok))))
    }
}
