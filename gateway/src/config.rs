//! What a gateway can be told.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ferry_core::{
    id::{GatewayId, Region, Zone},
    routes::{Access, Defaults, Methods, QueryRule, RouteFault, RouteSpec, Routes},
};
use ferry_delivery::disk::{self, config::DiskConfig};
use ferry_runtime::{
    admin::check_exposure,
    config::{BaseUrl, COMMON, Common, Reader, Refusal, Setting, Sources},
};

use crate::whereabouts;

/// All that a gateway can be told.
pub const TABLES: &[&[Setting]] = &[COMMON, SETTINGS, whereabouts::SETTINGS, disk::config::SETTINGS];

/// The structured parts of its TOML file.
pub const SECTIONS: &[&str] = &["route", whereabouts::SECTION, whereabouts::COSTS, disk::config::CONTENT_TYPES];

/// The gateway's own settings.
const SETTINGS: &[Setting] = &[
    Setting::text("listen", "ADDRESS:PORT", "Where clients connect").default("0.0.0.0:8080"),
    Setting::text("admin-listen", "ADDRESS:PORT", "Where operators connect (gRPC health, metrics)")
        .default("127.0.0.1:9080"),
    Setting::list("coordinators", "URL", "The coordinators; one is enough to find the others"),
    Setting::text("coordinator-ca", "FILE", "Authorities that the coordinators' certificates must come from (PEM)"),
    Setting::text("main-server", "URL", "The server that ferry stands in front of").env(&["MAIN_SERVER_URL"]),
    Setting::text("root", "DIR", "Files that the gateway serves itself when no node can"),
    Setting::text("origin", "URL", "Where it fetches them from instead; the main server if neither is set"),
    Setting::text("fallback-limit", "N", "Transfers of its own at one time; beyond it, 503").default("64"),
    Setting::text("public-url", "URL", "Where clients reach this gateway; expired redirects come back to it"),
    Setting::text("storage-path", "DIR", "Keeps the copy of the routing table")
        .default("./storage/gateway")
        .env(&["STORAGE_PATH"]),
    Setting::text("gateway-id", "ID", "This gateway's name; made from its listener if not set"),
    Setting::text(
        "region",
        "NAME",
        "Where this gateway's clients are, unless it knows better: nodes there are preferred",
    ),
    Setting::text("zone", "NAME", "Their zone within the region"),
    Setting::text("drain-grace", "TIME", "How long it still answers as ever once it was asked to stop").default("10s"),
    Setting::text("drain-limit", "TIME", "How long a stop waits for transfers of its own").default("1h"),
    Setting::text("token-lifetime", "TIME", "How long a redirect can be followed").default("5m"),
    Setting::text("meetings", "open|signed", "Adds the routes of the meetings, with this access"),
];

/// A gateway's checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every role takes.
    pub common: Common,
    /// Where clients connect over plain HTTP.
    pub listen: SocketAddr,
    /// Where operators connect.
    pub admin_listen: SocketAddr,
    /// The coordinators that are known from the start.
    pub coordinators: Vec<BaseUrl>,
    /// Whom their certificates must come from.
    pub coordinator_ca: Option<PathBuf>,
    /// The server behind.
    pub main_server: Option<BaseUrl>,
    /// Files of its own.
    pub root: Option<PathBuf>,
    /// How they are served.
    pub disk: DiskConfig,
    /// An origin of its own.
    pub origin: Option<BaseUrl>,
    /// Transfers of its own at one time.
    pub fallback_limit: usize,
    /// Where clients reach it.
    pub public_url: Option<BaseUrl>,
    /// Where the table's copy lies.
    pub storage_path: PathBuf,
    /// Its name.
    pub id: Option<GatewayId>,
    /// Where its clients are.
    pub region: Option<Region>,
    /// Their zone within the region.
    pub zone: Option<Zone>,
    /// By what it knows where each of them is.
    pub(crate) whereabouts: whereabouts::Settings,
    /// How long it still answers as ever once it was asked to stop.
    pub drain_grace: Duration,
    /// How long a stop waits for transfers of its own.
    pub drain_limit: Duration,
    /// How long a redirect can be followed.
    pub token_lifetime: Duration,
    /// What a path means.
    pub routes: Routes,
}

/// Checks what was gathered.
pub fn read(sources: &Sources) -> Result<Config, Refusal> {
    let mut reader = sources.reader();
    let common = Common::read(&mut reader);
    let listen = reader.require("listen");
    let admin_listen = reader.require("admin-listen");
    if let (Some(common), Some(listen)) = (&common, admin_listen)
        && let Err(wanted) = check_exposure(listen, common, "admin")
    {
        reader.fault("admin-listen", wanted);
    }
    let coordinators: Vec<BaseUrl> = reader.list("coordinators");
    let main_server: Option<BaseUrl> = reader.get("main-server");
    let origin: Option<BaseUrl> = reader.get("origin");
    let root = root(&mut reader);
    let disk = disk::config::read(&mut reader);
    let serves_itself = ["root", "origin", "main-server"].iter().any(|name| reader.is_set(name));
    if coordinators.is_empty() && !reader.is_set("coordinators") && !serves_itself {
        reader.fault(
            "coordinators",
            "expected at least one URL, such as http://127.0.0.1:7000; or a root or an origin to serve alone",
        );
    }
    let fallback_limit = reader.require("fallback-limit");
    let token_lifetime = token_lifetime(&mut reader);
    let public_url = reader.get("public-url");
    let coordinator_ca = reader.get("coordinator-ca");
    let storage_path = reader.require("storage-path");
    let id = reader.get("gateway-id");
    let (region, zone) = (reader.get("region"), reader.get("zone"));
    let whereabouts = whereabouts::read(&mut reader);
    let (drain_grace, drain_limit) = (reader.require("drain-grace"), reader.require("drain-limit"));
    // As its fallback has it: beside a root, the main server is nobody's origin.
    let behind = origin.is_some() || (main_server.is_some() && root.is_none());
    let routes = routes(&mut reader, main_server.is_some(), behind, root.is_some());
    reader.conclude(|| {
        Some(Config {
            common: common?,
            listen: listen?,
            admin_listen: admin_listen?,
            coordinators,
            coordinator_ca,
            main_server,
            root,
            disk: disk?,
            origin,
            fallback_limit: fallback_limit?,
            public_url,
            storage_path: storage_path?,
            id,
            region,
            zone,
            whereabouts: whereabouts?,
            drain_grace: drain_grace?,
            drain_limit: drain_limit?,
            token_lifetime: token_lifetime?,
            routes: routes?,
        })
    })
}

fn root(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let root: PathBuf = reader.get("root")?;
    match std::fs::read_dir(&root) {
        Ok(_) => Some(root),
        Err(why) => {
            reader.fault("root", format!("expected a folder that can be read: {why}"));
            None
        }
    }
}

fn token_lifetime(reader: &mut Reader<'_>) -> Option<Duration> {
    let lifetime: Duration = reader.require("token-lifetime")?;
    if lifetime < Duration::from_secs(1) || lifetime > Duration::from_secs(24 * 3600) {
        reader.fault("token-lifetime", "must be between 1s and 24h");
    }
    Some(lifetime)
}

/// With a main server behind, nothing is a download, and nothing is open, unless somebody says so.
fn routes(reader: &mut Reader<'_>, has_main_server: bool, has_origin: bool, has_root: bool) -> Option<Routes> {
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
        if has_main_server && reader.is_sound() {
            reader.fault(
                "main-server",
                "with a main server, say what is a download: [[route]] in the file, or --meetings",
            );
        }
        specs.push(Routes::everything(Access::Open));
    }
    let defaults = Defaults {
        access: (!has_main_server).then_some(Access::Open),
        query: if has_root { QueryRule::Ignore } else { QueryRule::Keep },
    };
    match Routes::compile(&specs, &defaults) {
        Ok(routes) => {
            // A list that nobody acts on would be a promise. Fields are another matter: routes are the same here and on the nodes.
            for route in routes.iter().filter(|route| *route.methods() != Methods::None && !has_origin) {
                let expected = "nothing: this gateway has no origin to pass it to".to_owned();
                let (field, value) = ("methods", "(some)".to_owned());
                reader.refuse(RouteFault { index: route.index(), field, value, expected });
            }
            Some(routes)
        }
        Err(faults) => {
            for fault in faults {
                reader.refuse(fault);
            }
            None
        }
    }
}
