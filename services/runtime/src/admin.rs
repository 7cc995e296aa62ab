//! The admin listener: gRPC and HTTP on one port.
//!
//! Every role has one. It carries the role's gRPC services, reflection (v1 and v1alpha), the standard health service,
//! `GET /metrics`, and the HTTP routes that the role adds. It decides who may ask (a bearer token, if there is one) and whether the
//! port may be open at all ([`check_exposure`]); what is answered is the role's.

mod exposure;
mod serve;
mod token;

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::Request,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket};
use tonic::{body::Body, server::NamedService, service::RoutesBuilder};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::{Service, ServiceExt as _};

pub use self::{
    exposure::check_exposure,
    token::{AdminToken, TokenError},
};
use self::{serve::Acceptor, token::Guard};
use crate::{
    Tasks,
    metrics::{self, Metrics},
};

/// Protocols that the listener offers over TLS.
pub const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

/// What a gRPC message may weigh, for services and clients that set a limit: a table of some ten thousand nodes fits.
pub const MESSAGE_LIMIT: usize = 16 << 20;

/// Why there is no admin listener.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken, or not ours.
    #[error("could not listen on {listen}")]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// What the operating system says.
        #[source]
        cause: io::Error,
    },
    /// A descriptor set is none.
    #[error("the descriptors of the gRPC services cannot be read")]
    Descriptors(#[source] tonic_reflection::server::Error),
}

/// What a table of nodes may weigh: of as many as there may be, which say as much of themselves as they may.
pub const TABLE_LIMIT: usize = 64 << 20;

/// Connections that the kernel keeps until they are accepted, if it allows as many (`net.core.somaxconn`). What finds no room there
/// tries again after a second or three, which is as long as a node waits: thousands that come at once would lose half of their attempts.
const BACKLOG: u32 = 4096;

/// A bound listener that is told what to serve, and then started.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    listen: SocketAddr,
    grpc: RoutesBuilder,
    names: Vec<&'static str>,
    descriptors: Vec<&'static [u8]>,
    http: Router,
    otherwise: Router,
    health: HealthReporter,
    guard: Guard,
    tls: Option<Arc<ServerConfig>>,
}

impl AdminServer {
    /// Binds, so that the port is known (0 takes a free one) and a taken one is a fault now. Connections wait in the kernel's
    /// queue until [`Self::start`].
    pub async fn bind(listen: SocketAddr) -> Result<Self, AdminError> {
        let failed = |cause| AdminError::Bind { listen, cause };
        let listener = bind(listen).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            listen: bound,
            grpc: RoutesBuilder::default(),
            names: Vec::new(),
            descriptors: Vec::new(),
            http: Router::new(),
            otherwise: Router::new(),
            health: HealthReporter::new(),
            guard: Guard::default(),
            tls: None,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.listen
    }

    /// Sets what the health service says. Each service and the whole are SERVING from [`Self::start`] until the stop.
    #[must_use]
    pub fn health(&self) -> HealthReporter {
        self.health.clone()
    }

    /// Adds a gRPC service.
    #[must_use]
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: Service<axum::http::Request<Body>, Error = std::convert::Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.grpc.add_service(service);
        self
    }

    /// Adds an encoded `FileDescriptorSet` for reflection.
    #[must_use]
    pub fn descriptors(mut self, set: &'static [u8]) -> Self {
        self.descriptors.push(set);
        self
    }

    /// Adds HTTP routes, such as `/health`.
    #[must_use]
    pub fn http(mut self, routes: Router) -> Self {
        self.http = self.http.merge(routes);
        self
    }

    /// Answers what no other path of the listener is, and no gRPC.
    #[must_use]
    pub fn otherwise(mut self, routes: Router) -> Self {
        self.otherwise = routes;
        self
    }

    /// Adds `GET /metrics`.
    #[must_use]
    pub fn metrics(self, metrics: Metrics) -> Self {
        let page = move || async move { ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.encode()) };
        self.http(Router::new().route("/metrics", get(page)))
    }

    /// Lets in only who carries the token, except to the health service, `/health`, and what [`Self::open`] names.
    #[must_use]
    pub fn token(mut self, token: Option<AdminToken>) -> Self {
        self.guard.token = token;
        self
    }

    /// Opens paths to those without a token: a prefix such as `/ferry.v1.MembershipService/`, whose callers prove themselves otherwise.
    #[must_use]
    pub fn open(mut self, prefix: &'static str) -> Self {
        self.guard.open.push(prefix);
        self
    }

    /// Serves TLS only, with a configuration that offers [`ALPN`].
    #[must_use]
    pub fn tls(mut self, tls: Option<Arc<ServerConfig>>) -> Self {
        self.tls = tls;
        self
    }

    /// Serves on `tasks` until they are asked to stop; then each connection may finish what it carries, within a few seconds.
    /// A role that drains for longer gives a group of its own, and stops it last.
    ///
    /// Fails only if the descriptors are broken.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(self, tasks: &Tasks) -> Result<(), AdminError> {
        let Self { listener, grpc, names, descriptors, http, otherwise, health, guard, tls, .. } = self;
        let guarded = axum::middleware::from_fn_with_state(Arc::new(guard), token::check);
        let router = router(grpc, &descriptors, health.clone(), http, otherwise)?.layer(guarded);
        let acceptor = Acceptor { listener, router, tls, tasks: tasks.clone() };
        tasks.spawn("admin", async move {
            for name in &names {
                health.set_service_status(name, ServingStatus::Serving).await;
            }
            acceptor.run().await;
            for name in names.iter().copied().chain([""]) {
                health.set_service_status(name, ServingStatus::NotServing).await;
            }
        });
        Ok(())
    }
}

/// As `TcpListener::bind` does it, with a longer queue.
fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait until the kernel has forgotten the connections of the last life.
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}

fn router(
    mut grpc: RoutesBuilder,
    descriptors: &[&'static [u8]],
    health: HealthReporter,
    http: Router,
    otherwise: Router,
) -> Result<Router, AdminError> {
    let builder = || {
        let base = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        descriptors.iter().fold(base, |builder, set| builder.register_encoded_file_descriptor_set(set))
    };
    grpc.add_service(builder().build_v1().map_err(AdminError::Descriptors)?);
    grpc.add_service(builder().build_v1alpha().map_err(AdminError::Descriptors)?);
    let health = tonic_health::server::HealthService::from_health_reporter(health);
    grpc.add_service(tonic_health::pb::health_server::HealthServer::new(health));
    Ok(grpc.routes().into_axum_router().merge(http).fallback(move |request| unknown(otherwise.clone(), request)))
}

/// What is no route: UNIMPLEMENTED in gRPC's words for gRPC; for everybody else what `otherwise` says, which is 404 if it has nothing.
async fn unknown(otherwise: Router, request: Request) -> Response {
    if token::is_grpc(request.headers()) {
        return tonic::Status::unimplemented("no such service").into_http::<axum::body::Body>();
    }
    let Ok(response) = otherwise.oneshot(request).await;
    response
}
