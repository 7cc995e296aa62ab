//! `RoutingService`: one stream per gateway.
//!
//! The generated server encodes each message for each stream. Here an update is encoded once for all gateways, before it comes to their
//! streams; so this is what the generated server would be, with a codec that passes encoded messages on.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::BufMut as _;
use ferry_proto::{convert, v1};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::Stream;
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{Codec, EncodeBuf, Encoder},
    codegen::{self, BoxFuture, Service, StdError, http},
    server::{Grpc, NamedService, ServerStreamingService},
};
use tracing::info;

use super::REQUEST_LIMIT;
use crate::{
    driver::{Handle, Input},
    relay::Relay,
    subscribers::{Outbox, Update},
};

/// Gateways that listen at one time: each is sent every change, and holds what it has not taken yet.
const STREAMS: usize = 1024;

const WATCH: &str = "/ferry.v1.RoutingService/Watch";

/// Serves gateways.
#[derive(Debug, Clone)]
pub(crate) struct Routing {
    handle: Handle,
    relay: Relay,
    streams: Arc<Semaphore>,
}

impl Routing {
    pub(crate) fn new(handle: Handle, relay: Relay) -> Self {
        Self { handle, relay, streams: Arc::new(Semaphore::new(STREAMS)) }
    }
}

impl NamedService for Routing {
    const NAME: &'static str = v1::routing_service_server::SERVICE_NAME;
}

impl<B> Service<http::Request<B>> for Routing
where
    B: codegen::Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let watch = Watch(self.clone());
        Box::pin(async move {
            if request.uri().path() != WATCH {
                return Ok(Status::unimplemented("RoutingService has no such method").into_http());
            }
            let mut grpc = Grpc::new(Encoded).apply_max_message_size_config(Some(REQUEST_LIMIT), None);
            Ok(grpc.server_streaming(watch, request).await)
        })
    }
}

/// The one method.
struct Watch(Routing);

impl ServerStreamingService<v1::WatchRequest> for Watch {
    type Response = Update;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Update, Status>> + Send>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<v1::WatchRequest>) -> Self::Future {
        Box::pin(watch(self.0.clone(), request.into_inner()))
    }
}

async fn watch(
    Routing { handle, relay, streams }: Routing,
    asked: v1::WatchRequest,
) -> Result<Response<<Watch as ServerStreamingService<v1::WatchRequest>>::ResponseStream>, Status> {
    convert::check_version(asked.version).map_err(|why| Status::failed_precondition(why.to_string()))?;
    let guarded = convert::access_from_wire(asked.access());
    let gateway = asked.gateway_id.parse().map_err(|why| Status::invalid_argument(format!("gateway_id: {why}")))?;
    let tag = asked.redirect_tag.map(u16::try_from).transpose();
    let tag = tag.map_err(|_| Status::invalid_argument("redirect_tag: expected 16 bits"))?;
    let turn = streams.try_acquire_owned();
    let turn = turn.map_err(|_| Status::resource_exhausted("as many gateways listen as may: come again"))?;
    info!(%gateway, "gateway listens");
    let (outbox, updates) = Outbox::new(asked.takes_loads);
    handle.put(Input::Subscribe { gateway, guarded, outbox }).await?;
    let evidence = tag.map(|tag| relay.open(tag));
    Ok(Response::new(Box::pin(Together { updates, evidence, _turn: turn })))
}

/// What goes to a gateway: updates, and evidence when there is no update. Ends with the updates, whatever evidence may still come.
struct Together {
    updates: mpsc::Receiver<Update>,
    evidence: Option<mpsc::Receiver<Update>>,
    /// For as long as the stream stands.
    _turn: OwnedSemaphorePermit,
}

impl Stream for Together {
    type Item = Result<Update, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(update) = self.updates.poll_recv(context) {
            return Poll::Ready(update.map(Ok));
        }
        let evidence = self.evidence.as_mut().map(|evidence| evidence.poll_recv(context));
        match evidence {
            Some(Poll::Ready(Some(said))) => Poll::Ready(Some(Ok(said))),
            Some(Poll::Ready(None) | Poll::Pending) | None => Poll::Pending,
        }
    }
}

/// Updates go out as the bytes that they are.
#[derive(Debug, Clone, Copy, Default)]
struct Encoded;

impl Codec for Encoded {
    type Encode = Update;
    type Decode = v1::WatchRequest;
    type Encoder = Self;
    type Decoder = <ferry_proto::Codec<(), v1::WatchRequest> as Codec>::Decoder;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self::Decoder {
        ferry_proto::Codec::<(), v1::WatchRequest>::default().decoder()
    }
}

impl Encoder for Encoded {
    type Item = Update;
    type Error = Status;

    fn encode(&mut self, update: Update, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(update.bytes.len());
        buffer.put(update.bytes);
        Ok(())
    }
}
