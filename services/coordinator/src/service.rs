//! A coordinator from its start to its end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use ferry_core::{
    id::{CoordinatorId, Incarnation, in_letters},
    merge::Peer,
};
use ferry_proto::{
    DESCRIPTORS,
    v1::{self, cluster_service_server::ClusterServiceServer, membership_service_server::MembershipServiceServer},
};
use ferry_runtime::{
    Clock, Tasks,
    admin::{ALPN, AdminError, AdminServer, AdminToken, TokenError},
    health::Health,
    key_file::KeyFileError,
    metrics::Metrics,
    tls::{self, TlsError},
};
use ferry_store::{Embedded, Etcd, Store};
use prost::Message as _;

use crate::{
    config::{Config, StoreChoice},
    driver::{Announce, Driver, Parts},
    figures::Figures,
    grpc::{Attendance, Cluster, REQUEST_LIMIT, Routing},
    records::{COORDINATORS, Records},
    relay::Relay,
    rings,
};

/// How long the others believe in a coordinator that stopped saying that it is there.
const PRESENCE: Duration = Duration::from_secs(6);

/// Why a coordinator cannot start. An etcd that is away is no reason.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener.
    #[error(transparent)]
    Listen(#[from] AdminError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The admin token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The store's file, or impossible options for etcd.
    #[error("the store cannot be opened")]
    Store(#[from] ferry_store::Error),
    /// The configured user key.
    #[error(transparent)]
    UserKey(#[from] KeyFileError),
}

/// A coordinator that is listening but not yet running.
#[derive(Debug)]
pub struct Coordinator {
    server: AdminServer,
    driver: Driver,
    inbox: tokio::sync::mpsc::Receiver<crate::driver::Input>,
    store: Arc<dyn Store>,
    me: Peer,
    tasks: Tasks,
}

impl Coordinator {
    /// Opens the store and binds the listener. `announce` is told the user ring's first key if this coordinator makes it.
    pub async fn bind(
        config: Config,
        clock: Clock,
        metrics: &Metrics,
        tasks: &Tasks,
        announce: Option<Announce>,
    ) -> Result<Self, StartError> {
        let token = config.common.admin_token_file.as_deref().map(AdminToken::load).transpose()?;
        let join = config.join_token_file.as_deref().map(AdminToken::load).transpose()?;
        // Whoever may decide about nodes may also bring one.
        let doors: Vec<_> = join.into_iter().chain(token.clone()).collect();
        let files = config.common.tls.as_ref();
        let tls = files.map(|files| tls::server_config(&files.certificate, &files.key, ALPN)).transpose()?;
        let user_key = config.user_key_file.as_deref().map(rings::load_user_key).transpose()?;
        let store = open(config.store).await?;
        let server = AdminServer::bind(config.listen).await?;
        let url = config.advertise.map_or_else(|| own_url(server.local_addr(), tls.is_some()), |url| url.origin());
        let id = config.id.unwrap_or_else(|| name_from(&url));
        let me = Peer { id, url };
        let figures = Figures::register(metrics);
        let (driver, handle, inbox) = Driver::new(Parts {
            me: me.clone(),
            incarnation: Incarnation(clock.wall().0),
            clock: clock.clone(),
            tasks: tasks.clone(),
            store: Arc::clone(&store),
            figures: figures.clone(),
            user_key,
            announce,
        });
        let cluster = Cluster::new(handle.clone(), Records::new(Arc::clone(&store)), me.id.to_string());
        let relay = Relay::new(figures.clone());
        let attendance = Attendance::new(handle.clone(), tasks.clone(), doors, figures, relay.clone());
        let server = server
            .service(MembershipServiceServer::new(attendance).max_decoding_message_size(REQUEST_LIMIT))
            .service(Routing::new(handle, relay))
            .service(ClusterServiceServer::new(cluster).max_decoding_message_size(REQUEST_LIMIT))
            .descriptors(DESCRIPTORS)
            .http(health(&me.id, clock))
            .metrics(metrics.clone())
            .token(token)
            // A node proves itself by its own secret, a new one by the join token.
            .open("/ferry.v1.MembershipService/")
            .tls(tls);
        Ok(Self { server, driver, inbox, store, me, tasks: tasks.clone() })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Where the others reach it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.me.url
    }

    /// Serves, in tasks of its own, until they are asked to stop.
    pub fn start(self) -> Result<(), StartError> {
        let Self { server, driver, inbox, store, me, tasks } = self;
        let record = v1::CoordinatorRecord::from(&me).encode_to_vec();
        let key = format!("{COORDINATORS}{}", me.id);
        tasks.spawn("presence", store.present(&key, record.into(), PRESENCE, tasks.stop_token()));
        tasks.essential("coordinator", driver.run(inbox));
        Ok(server.start(&tasks)?)
    }
}

async fn open(choice: StoreChoice) -> Result<Arc<dyn Store>, ferry_store::Error> {
    Ok(match choice {
        StoreChoice::Embedded(path) => {
            if let Some(folder) = path.parent() {
                // A folder that cannot be made is reported by the opening, which names the file.
                let _ = std::fs::create_dir_all(folder);
            }
            Arc::new(Embedded::open(path).await?)
        }
        StoreChoice::Etcd(options) => Arc::new(Etcd::new(options)?),
    })
}

/// A listener on every address is reached by the machine's name.
fn own_url(listen: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    if listen.ip().is_unspecified() {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        format!("{scheme}://{name}:{}", listen.port())
    } else {
        format!("{scheme}://{listen}")
    }
}

/// A name that is the same after a restart.
fn name_from(url: &str) -> CoordinatorId {
    let authority = url.split_once("://").map_or(url, |(_, authority)| authority);
    format!("c-{}", in_letters(authority, 61)).parse().expect("letters, digits, dots and dashes")
}

fn health(id: &CoordinatorId, clock: Clock) -> Router {
    let page = Health { id: id.to_string(), main_server: None, storage_path: None, sync_interval: None, clock };
    Router::new().route("/health", get(move || async move { page.response("healthy") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_made_from_a_url_is_a_name() {
        for (url, name) in [
            ("http://127.0.0.1:7000", "c-127.0.0.1-7000"),
            ("http://[::1]:7000", "c----1--7000"),
            ("https://coordinator-1.example:7000", "c-coordinator-1.example-7000"),
        ] {
            assert_eq!(name_from(url).as_str(), name);
        }
    }
}
