//! A node from its start to its end.

mod caching;
mod running;

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64},
    },
};

use ferry_core::{
    address::Authority,
    id::NodeId,
    load::Load,
    node::NodeFacts,
    routes::{Access, Defaults, Routes},
};
use ferry_delivery::{
    Backend as Source, Delivery, Server, Transfers,
    cache::{self, store::OpenError},
    disk::{Disk, RootError},
    metrics::Metrics as DeliveryMetrics,
    origin::{InvalidOrigins, Origins, figures},
    server::{BindError, Limits},
};
use ferry_proto::{DESCRIPTORS, v1::node_service_server::NodeServiceServer};
use ferry_runtime::{
    Clock, Tasks, Workers,
    admin::{ALPN, AdminError, AdminServer, AdminToken, TokenError},
    clock::Voices,
    config::BaseUrl,
    health::Health as Page,
    key_file::KeyFileError,
    metrics::Metrics,
    telemetry::Sampler,
    tls::{self, TlsError},
};

pub use self::running::Running;
use crate::{
    agent::Agent,
    alternates::Alternates,
    arrivals::Arrivals,
    cluster::Cluster,
    config::{Backend, Config, shown},
    door::{Door, Files, Trust},
    drain::Drain,
    figures::Figures,
    fullness::{Capacity, Fullness, Judge},
    handler::Clients,
    health::{Disks, Health},
    identity::{Identity, IdentityError},
    inspection::{self, Inspection, Warming},
    load, user_key,
};

/// Where in the storage path the cluster's facts lie.
const CLUSTER_FILE: &str = "cluster";

/// Why a node cannot start. Coordinators or origins that are away are no reason.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its identity, or the storage path that holds it.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The files.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The origins.
    #[error(transparent)]
    Origins(#[from] InvalidOrigins),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] OpenError),
    /// A listener for clients.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The admin listener.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The admin token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The user key.
    #[error(transparent)]
    UserKey(#[from] KeyFileError),
}

/// A node that is listening but not yet running.
#[derive(Debug)]
pub struct Node {
    listeners: Vec<Server>,
    admin: AdminServer,
    clients: Clients,
    inspection: Inspection,
    identity: Arc<Identity>,
    config: Config,
    /// What lets a new node into the cluster.
    join: Option<AdminToken>,
    figures: Figures,
    tasks: Tasks,
}

impl Node {
    /// Takes the storage path, opens the root and binds the listeners. Clients are accepted from [`Self::start`] on.
    ///
    /// `metrics` belongs to this node alone: a process with several gives each its own.
    pub async fn bind(
        config: Config,
        clock: Clock,
        metrics: &Metrics,
        tasks: &Tasks,
        sampler: Sampler,
    ) -> Result<Self, StartError> {
        let join = config.join_token_file.as_deref().map(AdminToken::load).transpose()?;
        let token = config.common.admin_token_file.as_deref().map(AdminToken::load).transpose()?;
        let files = config.common.tls.as_ref();
        let tls = files.map(|files| tls::server_config(&files.certificate, &files.key, ALPN)).transpose()?;
        let users = config.user_key_file.as_deref().map(user_key::load).transpose()?;
        let identity =
            Arc::new(Identity::take(&config.storage_path, config.id.clone(), clock.wall(), &mut rand::rng())?);
        let source = open(&config, &identity.id, &clock, tasks).await?;

        let limits = Limits { grace: config.drain_limit, ..Limits::default() };
        let plain = Server::bind(config.listen, limits.clone())?;
        let secure = match (config.common.tls_listen, &tls) {
            (Some(listen), Some(tls)) => Some(Server::bind_tls(listen, Arc::clone(tls), limits)?),
            _ => None,
        };
        let admin = AdminServer::bind(config.admin_listen).await?;
        let (plain_at, secure_at) = (plain.local_addr(), secure.as_ref().map(Server::local_addr));
        let facts = facts(&config, &identity, plain_at, secure_at, admin.local_addr());

        let transfers = Transfers::at_most(config.max_transfers);
        let fullness = Fullness::of(transfers.clone());
        let judge = Judge::new(fullness.clone(), Capacity::of(config.capacity), config.min_client_rate);
        let (figures, delivery_figures) = Figures::register(metrics, &transfers);
        let delivery = Delivery::new(source, transfers.clone(), delivery_figures);
        tend(&delivery, metrics, tasks);
        let (drain, cluster, links) = (Drain::new(), Cluster::new(), Arc::new(OnceLock::new()));
        let (door, disks) = (door(&config, &identity.id, users), Disks::new(delivery.clone(), clock.clone()));
        let health = Arc::new(Health {
            page: Page {
                id: identity.id.to_string(),
                main_server: config.main_server.as_ref().map(BaseUrl::to_string),
                storage_path: Some(config.storage_path.display().to_string()),
                sync_interval: Some(config.sync_interval.as_secs()),
                clock: clock.clone(),
            },
            drain: drain.clone(),
            disks: disks.clone(),
        });
        let routes = door.routes.clone();
        let clients = Clients {
            door,
            delivery: delivery.clone(),
            cluster,
            drain: drain.clone(),
            alternates: Alternates::new(clock.clone()),
            files: whose_files(&config),
            fullness: fullness.clone(),
            arrivals: Arrivals::new(),
            clock: clock.clone(),
            sampler,
            health: Arc::clone(&health),
            figures: figures.clone(),
        };
        let inspection = Inspection {
            facts,
            identity: Arc::clone(&identity),
            mode: config.backend.mode(),
            began: clock.now(),
            clock,
            load: load::watch(
                tasks,
                delivery.clone(),
                stuck_of(&disks),
                measured(judge, &disks, gauges(&figures, &drain, &links)),
            ),
            figures: figures.clone(),
            fullness,
            drain,
            delivery,
            disks,
            cache: config.cache.clone(),
            routes,
            warming: Warming::new(),
            tasks: tasks.clone(),
            links,
        };
        // An admin port on loopback stays plain: no certificate names it, and nobody listens in between.
        let tls = tls.filter(|_| !config.admin_listen.ip().is_loopback());
        let admin = admin
            .service(NodeServiceServer::new(inspection.clone()))
            .descriptors(DESCRIPTORS)
            .http(inspection::pages(&inspection, health))
            .metrics(metrics.clone())
            .token(token)
            .tls(tls);
        let listeners = std::iter::once(plain).chain(secure).collect();
        Ok(Self { listeners, admin, clients, inspection, identity, config, join, figures, tasks: tasks.clone() })
    }

    /// Who it is.
    #[must_use]
    pub fn id(&self) -> &NodeId {
        &self.identity.id
    }

    /// Where clients connect over plain HTTP.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listeners.first().map_or(self.config.listen, Server::local_addr)
    }

    /// Where operators connect.
    #[must_use]
    pub const fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// Serves clients on `workers` and operators here, and attends at the coordinators, in tasks of their own until they are asked to stop. Then
    /// transfers are broken off: [`Running::drain`] comes first where they matter.
    pub fn start(self, workers: &Workers) -> Result<Running, StartError> {
        let Self { listeners, admin, clients, inspection, identity, config, join, figures, tasks } = self;
        let (cluster, arrivals) = (clients.cluster.clone(), clients.arrivals.clone());
        let alone = config.coordinators.is_empty();
        if !alone {
            cluster.keep(config.storage_path.join(CLUSTER_FILE), &inspection.clock, &tasks);
        }
        let running = Running::serve(listeners, workers, &Arc::new(clients), &tasks, &config, &identity, &inspection);
        admin.start(&tasks)?;
        if !alone {
            arrivals.report(&tasks);
            let agent = Agent {
                facts: inspection.facts,
                identity,
                drain: inspection.drain,
                cluster,
                load: inspection.load,
                arrivals,
                voices: Voices::new(inspection.clock.clone()),
                clock: inspection.clock,
                tasks: tasks.clone(),
                ca: config.coordinator_ca,
                join,
                beats: figures.beats,
                workers: workers.clone(),
                served: AtomicBool::new(true),
                sequence: AtomicU64::new(0),
            };
            inspection.links.get_or_init(|| agent.start(config.coordinators));
        }
        Ok(running)
    }
}

/// Opens what the bytes come from, and what keeps them.
async fn open(config: &Config, id: &NodeId, clock: &Clock, tasks: &Tasks) -> Result<Source, StartError> {
    let origins = |settings: &ferry_delivery::origin::Settings| {
        let mut settings = settings.clone();
        settings.loop_id = id.to_string();
        Origins::new(&settings)
    };
    let disk = |root| Disk::open_root_with(root, config.disk.settings.clone());
    let kept = async |origins: &Origins| match &config.cache {
        Some(told) => caching::open(told, origins, clock, tasks).await.map(Some),
        None => Ok(None),
    };
    Ok(match &config.backend {
        Backend::Filesystem(root) => Source::Filesystem(disk(root)?),
        Backend::Http(settings) => {
            let origins = origins(settings)?;
            Source::Http { cache: kept(&origins).await?, origins }
        }
        Backend::Hybrid(root, settings) => {
            let (disk, origins) = (disk(root)?, origins(settings)?);
            Source::Hybrid { disk, cache: kept(&origins).await?, origins }
        }
    })
}

/// Looks after what the delivery keeps open, and lists how its disk, its origins and its cache do.
fn tend(delivery: &Delivery, metrics: &Metrics, tasks: &Tasks) {
    if let Some(disk) = delivery.disk() {
        metrics.register("node", |registry| DeliveryMetrics::watch(registry, disk));
    }
    if let Some(origins) = delivery.origins() {
        metrics.register("node", |registry| figures::watch(registry, origins));
    }
    if let Some(cache) = delivery.cache() {
        metrics.register("node", |registry| cache::figures::watch(registry, cache));
    }
    let (delivery, stop) = (delivery.clone(), tasks.stop_token());
    tasks.spawn("open files", async move {
        stop.run_until_cancelled(delivery.tend()).await;
    });
}

fn stuck_of(disks: &Disks) -> impl Fn() -> Option<ferry_delivery::disk::Health> + Send + use<> {
    let disks = disks.clone();
    move || disks.stuck()
}

fn door(config: &Config, id: &NodeId, users: Option<ferry_core::ring::KeyRing>) -> Door {
    let wish = || {
        let defaults = Defaults { access: Some(Access::Open), query: config.backend.default_query() };
        Routes::compile(&[Routes::everything(Access::Open)], &defaults).expect("a route that takes everything is sound")
    };
    Door {
        node: id.clone(),
        own_routes: config.routes.is_some(),
        routes: config.routes.clone().unwrap_or_else(wish).with_index(config.disk.index.clone()),
        trust: if config.coordinators.is_empty() { Trust::Users(users) } else { Trust::Cluster },
    }
}

/// What the node registers.
fn facts(
    config: &Config,
    identity: &Identity,
    plain: SocketAddr,
    secure: Option<SocketAddr>,
    admin: SocketAddr,
) -> NodeFacts {
    let address = config.node_address.clone().unwrap_or_else(|| shown(plain));
    let beside = |at: SocketAddr| {
        let host = address.as_str().rsplit_once(':').map_or("localhost", |(host, _)| host);
        format!("{host}:{}", at.port()).parse::<Authority>().ok()
    };
    NodeFacts {
        id: identity.id.clone(),
        tls_address: secure.and_then(|at| config.node_tls_address.clone().or_else(|| beside(at))),
        admin_address: if admin.ip().is_unspecified() { beside(admin) } else { Some(shown(admin)) },
        region: config.region.clone(),
        zone: config.zone.clone(),
        weight: config.weight,
        capacity: config.capacity,
        max_transfers: config.max_transfers,
        prefixes: config.prefixes.clone(),
        software: concat!("ferry ", env!("CARGO_PKG_VERSION")).to_owned(),
        address: Some(address),
        reports_arrivals: true,
    }
}

/// Whose word on a file counts.
fn whose_files(config: &Config) -> Files {
    match &config.backend {
        Backend::Filesystem(_) if config.shared_root => Files::Shared,
        Backend::Filesystem(_) => Files::Own,
        Backend::Http(_) | Backend::Hybrid(..) => Files::AtOrigins,
    }
}

/// Does with each measurement what there is to do, before it is told to anybody.
fn measured<G: Fn(&Load) + Send + 'static>(
    mut judge: Judge,
    disks: &Disks,
    gauges: G,
) -> impl FnMut(&mut Load) + Send + use<G> {
    let disks = disks.clone();
    move |load| {
        judge.measured(load);
        disks.look();
        gauges(load);
    }
}

/// Gauges that nobody sets at an event, brought up to date with each measurement.
fn gauges(
    figures: &Figures,
    drain: &Drain,
    links: &Arc<OnceLock<ferry_runtime::coordinators::Links>>,
) -> impl Fn(&Load) + Send + use<> {
    let (figures, drain, links) = (figures.clone(), drain.clone(), Arc::clone(links));
    move |load| {
        figures.full.set((load.fullness.get() >= 1.0).into());
        let connected = links.get().map_or(0, ferry_runtime::coordinators::Links::connected);
        figures.coordinators.set(i64::try_from(connected).unwrap_or(i64::MAX));
        figures.draining.set(drain.is_draining().into());
    }
}

#[cfg(test)]
mod tests;
