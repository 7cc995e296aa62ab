//! What a node can be told.

mod backend;
mod cache;
mod origins;
mod reach;
mod settings;

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

use ferry_core::{
    address::Authority,
    id::{NodeId, Region, Zone},
    node::{NodeFacts, Weight},
    routes::{Access, Defaults, Methods, QueryRule, RouteFault, RouteSpec, Routes},
};
use ferry_delivery::disk::{self, config::DiskConfig};
use ferry_runtime::{
    admin::check_exposure,
    config::{BaseUrl, ByteSize, Common, Reader, Refusal, Sources},
};

pub(crate) use self::reach::shown;
pub use self::{
    backend::Backend,
    cache::CacheConfig,
    settings::{SECTIONS, TABLES},
};

/// A node's checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every role takes.
    pub common: Common,
    /// Where clients connect over plain HTTP.
    pub listen: SocketAddr,
    /// Where operators connect (gRPC and metrics).
    pub admin_listen: SocketAddr,
    /// What clients are told to reach over plain HTTP; made from the listener if not set.
    pub node_address: Option<Authority>,
    /// The same over TLS; made from the host of the first and the port of the TLS listener if not set.
    pub node_tls_address: Option<Authority>,
    /// The coordinators that are known from the start; with none, the node stands alone.
    pub coordinators: Vec<BaseUrl>,
    /// Whom their certificates must come from.
    pub coordinator_ca: Option<PathBuf>,
    /// What lets a new node into the cluster.
    pub join_token_file: Option<PathBuf>,
    /// Where the bytes come from.
    pub backend: Backend,
    /// How its root is served, if it has one.
    pub disk: DiskConfig,
    /// Where and how what origins sent is kept, if it is.
    pub cache: Option<CacheConfig>,
    /// The node's own routes, if it has any. Without, it serves what a gateway's token names, or the path itself.
    pub routes: Option<Routes>,
    /// The user ring of a node that stands alone.
    pub user_key_file: Option<PathBuf>,
    /// Where its identity is kept.
    pub storage_path: PathBuf,
    /// Its name, if the operator gives it one.
    pub id: Option<NodeId>,
    /// Its region.
    pub region: Option<Region>,
    /// Its failure domain within the region.
    pub zone: Option<Zone>,
    /// Its share of the work.
    pub weight: Weight,
    /// Bytes per second that it can send.
    pub capacity: Option<NonZeroU64>,
    /// Transfers that it has at one time.
    pub max_transfers: Option<NonZeroU32>,
    /// Bytes per second that a new client should get at least.
    pub min_client_rate: Option<NonZeroU64>,
    /// Whether all nodes read the same files.
    pub shared_root: bool,
    /// Key prefixes that it serves; none means every key.
    pub prefixes: Vec<String>,
    /// How long it still accepts connections once it was asked to stop.
    pub drain_grace: Duration,
    /// How long its transfers may take from then on.
    pub drain_limit: Duration,
    /// The server that ferry stands in front of, which `/health` shows.
    pub main_server: Option<BaseUrl>,
    /// How often it would be asked for new files, which `/health` shows.
    pub sync_interval: Duration,
}

/// Checks what was gathered.
pub fn read(sources: &Sources) -> Result<Config, Refusal> {
    let mut reader = sources.reader();
    let common = Common::read(&mut reader);
    let listen = reach::listen(&mut reader);
    let admin_listen = reader.require("admin-listen");
    if let (Some(common), Some(listen)) = (&common, admin_listen)
        && let Err(wanted) = check_exposure(listen, common, "admin")
    {
        reader.fault("admin-listen", wanted);
    }
    let coordinators: Vec<BaseUrl> = reader.list("coordinators");
    let node_address = reach::address(&mut reader, listen, &coordinators);
    let node_tls_address = reader.get("node-tls-address");
    let coordinator_ca = reader.get("coordinator-ca");
    let join_token_file = reader.get("join-token-file");
    let backend = backend::read(&mut reader);
    let disk = disk::config::read(&mut reader);
    let user_key_file: Option<PathBuf> = reader.get("user-key-file");
    let routes = routes(&mut reader, backend.as_ref(), coordinators.is_empty());
    guard(&mut reader, coordinators.is_empty(), routes.as_ref(), user_key_file.is_some());
    let storage_path: Option<PathBuf> = reader.require("storage-path");
    let sending = disk.as_ref().map(|disk| disk.settings.sending);
    let cache = cache::read(&mut reader, backend.as_ref(), storage_path.as_deref(), sending);
    let (id, region, zone, weight) =
        (reader.get("node-id"), reader.get("region"), reader.get("zone"), reader.require("weight"));
    let capacity = capacity(&mut reader);
    let max_transfers = reader.get("max-transfers");
    let min_client_rate = reader.require::<ByteSize>("min-client-rate").map(|rate| NonZeroU64::new(rate.bytes()));
    let shared_root = reader.switch("shared-root");
    let prefixes = prefixes(&mut reader);
    let (drain_grace, drain_limit) = (reader.require("drain-grace"), reader.require("drain-limit"));
    let (main_server, sync_interval) = (reader.get("main-server"), reader.require("sync-interval"));
    reader.conclude(|| {
        Some(Config {
            common: common?,
            listen: listen?,
            admin_listen: admin_listen?,
            node_address,
            node_tls_address,
            coordinators,
            coordinator_ca,
            join_token_file,
            backend: backend?,
            disk: disk?,
            cache,
            routes,
            user_key_file,
            storage_path: storage_path?,
            id,
            region,
            zone,
            weight: weight?,
            capacity,
            max_transfers,
            min_client_rate: min_client_rate?,
            shared_root,
            prefixes,
            drain_grace: drain_grace?,
            drain_limit: drain_limit?,
            main_server,
            sync_interval: sync_interval?,
        })
    })
}

/// The node's own routes; `None` if it has none.
fn routes(reader: &mut Reader<'_>, backend: Option<&Backend>, alone: bool) -> Option<Routes> {
    let mut specs: Vec<RouteSpec> = reader.tables("route").unwrap_or_default();
    match reader.get::<String>("meetings").as_deref() {
        None => {}
        Some("open") => specs.extend(Routes::meetings(Access::Open)),
        Some("signed") => specs.extend(Routes::meetings(Access::Signed)),
        Some(_) => {
            reader.fault("meetings", "expected \"open\" or \"signed\": this build cannot ask the main server yet");
        }
    }
    if specs.is_empty() {
        return None;
    }
    let query = backend.map_or(QueryRule::Ignore, Backend::default_query);
    match Routes::compile(&specs, &Defaults { access: Some(Access::Open), query }) {
        Ok(routes) => {
            // A list that nobody acts on would be a promise.
            for route in routes.iter().filter(|route| *route.methods() != Methods::None) {
                let expected = match (backend, route.access()) {
                    (Some(Backend::Filesystem(_)), _) => {
                        "nothing: with backend-mode filesystem there is no origin to pass it to"
                    }
                    (_, Access::Signed) if !alone => {
                        "nothing: in a cluster, what is signed is asked for with a gateway's token, which is for GET and HEAD"
                    }
                    (_, Access::Open | Access::Signed) => continue,
                };
                let (field, value) = ("methods", "(some)".to_owned());
                reader.refuse(RouteFault { index: route.index(), field, value, expected: expected.to_owned() });
            }
            Some(routes)
        }
        Err(faults) => {
            faults.iter().for_each(|fault| reader.refuse(fault));
            None
        }
    }
}

/// User tokens are verified by a node that stands alone, and by no other: a stolen node of a cluster mints none.
fn guard(reader: &mut Reader<'_>, alone: bool, routes: Option<&Routes>, has_key: bool) {
    let signed = routes.is_some_and(Routes::guarded);
    if has_key && !alone {
        reader.fault(
            "user-key-file",
            "a node of a cluster verifies no user tokens: its gateways do, and sign the way to it",
        );
    } else if signed && alone && !has_key {
        reader.fault("user-key-file", "a node that stands alone wants it for its signed routes");
    }
}

fn capacity(reader: &mut Reader<'_>) -> Option<NonZeroU64> {
    let bytes = NonZeroU64::new(reader.get::<ByteSize>("capacity")?.bytes());
    if bytes.is_none() {
        reader.fault("capacity", "expected at least one byte per second");
    }
    bytes
}

fn prefixes(reader: &mut Reader<'_>) -> Vec<String> {
    let prefixes: Vec<String> = reader.list("prefixes");
    let (most, longest, all) = (NodeFacts::MOST_PREFIXES, NodeFacts::LONGEST_PREFIX, NodeFacts::PREFIX_BYTES);
    let bytes = || prefixes.iter().map(String::len);
    if prefixes.len() > most || bytes().any(|one| one > longest) || bytes().sum::<usize>() > all {
        let wanted = format!("at most {most} prefixes, of at most {longest} bytes each and {all} in all");
        reader.fault("prefixes", wanted);
    }
    prefixes
}

#[cfg(test)]
mod tests;
