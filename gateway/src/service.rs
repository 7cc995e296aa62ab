//! A gateway from its start to its end.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use ferry_core::{
    id::{GatewayId, in_letters},
    selection::{Sizes, Table},
};
use ferry_delivery::{
    Backend, Delivery, Server, Transfers,
    disk::{Disk, RootError},
    metrics::Metrics as DeliveryMetrics,
    origin::{InvalidBase, InvalidOrigins, OriginSettings, Origins, Settings},
    server::{BindError, Limits},
};
use ferry_proto::{DESCRIPTORS, v1::cluster_service_server::ClusterServiceServer};
use ferry_runtime::{
    Clock, Tasks, Workers,
    admin::{AdminError, AdminServer, AdminToken, TokenError},
    clock::Voices,
    config::BaseUrl,
    coordinators::Links,
    health::Health,
    metrics::Metrics,
    storage_lock::{LockError, StorageLock},
    telemetry::Sampler,
    tls::{self, TlsError},
};
use tokio::sync::mpsc;
use tracing::warn;

use crate::{
    budget::Budget,
    config::Config,
    evidence::Evidence,
    explain,
    fallback::Fallback,
    figures::Figures,
    handler::Front,
    keeper::{Keeper, Update},
    listener::Listener,
    objects::Objects,
    playlist::NodeClient,
    redirect::Redirector,
    table::TableService,
    whereabouts::Whereabouts,
};

/// Why a gateway cannot start. Coordinators that are away are no reason.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The clients' listener.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The operators' listener.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The admin token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The fallback's files.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The fallback's origin.
    #[error(transparent)]
    Origin(#[from] InvalidOrigins),
    /// The fallback's origin.
    #[error(transparent)]
    Base(#[from] InvalidBase),
    /// Where the table's copy lies.
    #[error("the storage path {path} cannot be used")]
    Storage {
        /// Which folder.
        path: std::path::PathBuf,
        /// What the operating system says.
        #[source]
        cause: std::io::Error,
    },
    /// Another gateway keeps its table there.
    #[error("another gateway uses the storage path {}: every gateway wants one of its own", .0.display())]
    Taken(std::path::PathBuf),
    /// The lock of the storage path.
    #[error(transparent)]
    Lock(LockError),
}

/// A gateway that is listening but not yet running.
#[derive(Debug)]
pub struct Gateway {
    servers: Vec<Server>,
    admin: AdminServer,
    front: Arc<Front>,
    keeper: Keeper,
    inbox: mpsc::Receiver<Update>,
    listener: Listener,
    coordinators: Vec<BaseUrl>,
    peers: tokio::sync::watch::Receiver<Vec<ferry_core::merge::Peer>>,
    /// The grace, and the limit.
    drain: (Duration, Duration),
    stopping: Arc<AtomicBool>,
    lock: StorageLock,
    tasks: Tasks,
}

impl Gateway {
    /// Reads the table's copy, opens the fallback's source and binds the listeners.
    pub async fn bind(
        config: Config,
        clock: Clock,
        metrics: &Metrics,
        tasks: &Tasks,
        sampler: Sampler,
    ) -> Result<Self, StartError> {
        let token = config.common.admin_token_file.as_deref().map(AdminToken::load).transpose()?;
        let lock = lock(&config.storage_path)?;
        let servers = listen(&config)?;
        let local = servers[0].local_addr();
        let id = config.id.clone().unwrap_or_else(|| name_from(local));
        let figures = Figures::register(metrics);
        let fallback = fallback(&config, &id, metrics, tasks)?;
        let path = config.storage_path.join("routing-table");
        let table = Table::default().with_costs(Arc::clone(&config.whereabouts.costs));
        // Before the coordinators' voices: with it the clock takes up what an earlier life knew of the time.
        let (keeper, current, peers, updates, inbox) = Keeper::new(path, table, clock.clone(), figures.clone());
        Figures::watch_age(metrics, current.clone(), clock.clone());
        let health = Health {
            id: id.to_string(),
            main_server: config.main_server.as_ref().map(BaseUrl::to_string),
            storage_path: Some(config.storage_path.display().to_string()),
            sync_interval: None,
            clock: clock.clone(),
        };
        let (evidence, objects) = (Arc::new(Evidence::new(figures.clone())), Arc::<Objects>::default());
        let listener = Listener {
            id: id.clone(),
            guarded: config.routes.guarded(),
            ca: config.coordinator_ca.clone(),
            token: token.clone(),
            voices: Voices::new(clock.clone()),
            evidence: Arc::clone(&evidence),
            objects: Arc::clone(&objects),
            clock: clock.clone(),
            updates,
            streams: Arc::default(),
        };
        let admin_tls = config.common.tls.as_ref();
        let admin_tls = admin_tls
            .map(|files| tls::server_config(&files.certificate, &files.key, ferry_runtime::admin::ALPN))
            .transpose()?;
        let stopping = Arc::<AtomicBool>::default();
        if let Some(database) = &config.whereabouts.database {
            database.watch(figures.places.clone(), tasks);
        }
        let whereabouts = Whereabouts::new(config.whereabouts, config.region, config.zone);
        let front = Arc::new(Front {
            routes: config.routes.with_index(config.disk.index),
            current,
            clock,
            figures,
            redirector: Redirector {
                lifetime: config.token_lifetime,
                home: config.public_url.map(|url| url.to_string()),
            },
            fallback,
            objects,
            nodes: NodeClient::new(id.to_string()),
            sampler,
            health,
            stopping: Arc::clone(&stopping),
            evidence,
            whereabouts,
            sizes: Sizes::default(),
        });
        let (page, ends) = (front.health.clone(), Arc::clone(&stopping));
        let table = TableService { id, front: Arc::clone(&front) };
        let admin = AdminServer::bind(config.admin_listen)
            .await?
            .service(ClusterServiceServer::new(table.clone()))
            .descriptors(DESCRIPTORS)
            .metrics(metrics.clone())
            .http(Router::new().route("/health", get(move || async move { page.response(status(&ends)) })))
            .otherwise(explain::pages(table))
            .token(token)
            .tls(admin_tls);
        Ok(Self {
            servers,
            admin,
            front,
            keeper,
            inbox,
            listener,
            coordinators: config.coordinators,
            peers,
            drain: (config.drain_grace, config.drain_limit),
            stopping,
            lock,
            tasks: tasks.clone(),
        })
    }

    /// Where clients connect over plain HTTP.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.servers[0].local_addr()
    }

    /// Where operators connect.
    #[must_use]
    pub const fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// Serves, clients on `workers` and the rest in tasks of its own, until they are asked to stop. The returned view tells what the gateway knows.
    pub fn start(self, workers: &Workers) -> Result<Running, StartError> {
        let Self { servers, admin, front, keeper, inbox, listener, coordinators, peers, drain, stopping, lock, tasks } =
            self;
        admin.start(&tasks)?;
        let clients = tasks.child();
        let (grace, limit) = drain;
        let running = Running { front: Arc::clone(&front), clients: clients.clone(), stopping, grace, limit };
        let (judge, stop) = (Arc::clone(&front), tasks.stop_token());
        tasks.spawn("evidence", async move {
            stop.run_until_cancelled(judge.judge()).await;
        });
        tasks.essential("routing table", keeper.run(inbox, lock, tasks.clone()));
        Links::start(&tasks, coordinators, peers, move |link| listener.clone().run(link));
        for server in servers {
            clients.essential("clients", server.serve(workers.clone(), Arc::clone(&front), clients.stop_token()));
        }
        Ok(running)
    }
}

/// A gateway that runs.
#[derive(Debug, Clone)]
pub struct Running {
    front: Arc<Front>,
    /// The listeners and their connections.
    clients: Tasks,
    stopping: Arc<AtomicBool>,
    grace: Duration,
    limit: Duration,
}

impl Running {
    /// How many nodes a client could be sent to now.
    #[must_use]
    pub fn selectable_nodes(&self) -> usize {
        self.front.current.load().table.iter().filter(|candidate| candidate.state().selectable()).count()
    }

    /// Answers as ever for the drain grace, but for `/health`, so that whoever sends clients here may go elsewhere; then closes the listeners, and waits
    /// until everything that clients were promised is sent, all of it within the drain limit. The caller stops the tasks
    /// afterwards.
    pub async fn drain(&self) {
        self.stopping.store(true, Relaxed);
        let grace = self.grace.min(self.limit);
        tokio::time::sleep(grace).await;
        if let Err(cut) = self.clients.clone().finish(self.limit - grace).await {
            warn!(%cut, "the drain took too long: breaking off what is left");
        }
    }
}

/// What `/health` says.
pub(crate) fn status(stopping: &AtomicBool) -> &'static str {
    if stopping.load(Relaxed) { "draining" } else { "healthy" }
}

/// The storage path, made if need be, for this process alone. A node may live in the same one: it has a lock of another name.
fn lock(storage: &Path) -> Result<StorageLock, StartError> {
    std::fs::create_dir_all(storage).map_err(|cause| StartError::Storage { path: storage.to_owned(), cause })?;
    StorageLock::take(&storage.join("routing-table.lock")).map_err(|why| match why {
        LockError::Taken(_) => StartError::Taken(storage.to_owned()),
        LockError::Unusable { .. } => StartError::Lock(why),
    })
}

fn listen(config: &Config) -> Result<Vec<Server>, StartError> {
    // What a connection may still send after a stop is the drain's to limit.
    let limits = || Limits { grace: config.drain_limit, ..Limits::default() };
    let mut servers = vec![Server::bind(config.listen, limits())?];
    if let (Some(listen), Some(files)) = (config.common.tls_listen, &config.common.tls) {
        let tls = tls::server_config(&files.certificate, &files.key, ferry_runtime::admin::ALPN)?;
        servers.push(Server::bind_tls(listen, tls, limits())?);
    }
    Ok(servers)
}

/// The root, the origin, or the main server, in this order; both of the first two if both are there.
fn fallback(config: &Config, id: &GatewayId, metrics: &Metrics, tasks: &Tasks) -> Result<Fallback, StartError> {
    let budget = Budget::new(config.fallback_limit);
    let open = |root| Disk::open_root_with(root, config.disk.settings.clone());
    let disk = config.root.as_ref().map(open).transpose()?;
    let behind = match &disk {
        Some(_) => config.origin.as_ref(),
        None => config.origin.as_ref().or(config.main_server.as_ref()),
    };
    let origins = behind
        .map(|url| -> Result<Origins, StartError> {
            let origin = OriginSettings::new(url.to_string().parse()?);
            Ok(Origins::new(&Settings::new(vec![origin], id.to_string()))?)
        })
        .transpose()?;
    let backend = match (disk, origins) {
        (None, None) => return Ok(Fallback::new(None, budget)),
        (Some(disk), None) => Backend::Filesystem(disk),
        (None, Some(origins)) => Backend::Http { origins, cache: None },
        (Some(disk), Some(origins)) => Backend::Hybrid { disk, origins, cache: None },
    };
    let transfers = Transfers::new();
    let figures = metrics.register("gateway", |registry| DeliveryMetrics::register(registry, &transfers));
    let delivery = Delivery::new(backend, transfers, figures);
    if let Some(disk) = delivery.disk() {
        metrics.register("gateway", |registry| DeliveryMetrics::watch(registry, disk));
    }
    let (tended, stop) = (delivery.clone(), tasks.stop_token());
    tasks.spawn("open files", async move {
        stop.run_until_cancelled(tended.tend()).await;
    });
    Ok(Fallback::new(Some(delivery), budget))
}

/// A name that is the same after a restart.
fn name_from(listen: SocketAddr) -> GatewayId {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("g-{}-{}", in_letters(&host, 50), listen.port()).parse().expect("letters, digits, dots and dashes")
}
