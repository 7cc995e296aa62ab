//! The table of a node's settings.

use ferry_delivery::{disk::config as disk, semantics::caching::config as policy};
use ferry_runtime::config::{COMMON, Setting};

use super::{cache, origins};

/// All that a node can be told.
pub const TABLES: &[&[Setting]] =
    &[COMMON, SETTINGS, origins::SETTINGS, disk::SETTINGS, cache::SETTINGS, policy::SETTINGS];

/// The structured parts of its TOML file.
pub const SECTIONS: &[&str] = &["route", disk::CONTENT_TYPES];

/// The node's own settings.
const SETTINGS: &[Setting] = &[
    Setting::text("listen", "ADDRESS:PORT", "Where clients connect").default("0.0.0.0:8001"),
    Setting::text("host", "ADDRESS", "The address of `listen` alone"),
    Setting::text("port", "PORT", "The port of `listen` alone"),
    Setting::text(
        "admin-listen",
        "ADDRESS:PORT",
        "Where operators connect (gRPC, metrics); speaks TLS where there is an identity and it is not loopback",
    )
    .default("127.0.0.1:9001"),
    Setting::text(
        "node-address",
        "HOST:PORT",
        "What clients reach this node by; the listener's own address if not set, localhost if that is every address",
    )
    .env(&["NODE_ADDRESS"]),
    Setting::text("node-tls-address", "HOST:PORT", "What clients reach it by over TLS"),
    Setting::list("coordinators", "URL", "The coordinators; one is enough to find the others"),
    Setting::text("join-token-file", "FILE", "A file with the token that lets a new node into the cluster"),
    Setting::text("coordinator-ca", "FILE", "Authorities that the coordinators' certificates must come from (PEM)"),
    Setting::text("backend-mode", "filesystem|http|hybrid", "Where the bytes come from; from what is set if not said")
        .env(&["BACKEND_MODE"]),
    Setting::text("root", "DIR", "The files").env(&["BACKEND_FILESYSTEM_ROOT"]),
    Setting::text("meetings", "open|signed", "Adds the routes of the meetings, with this access"),
    Setting::text(
        "user-key-file",
        "FILE",
        "The user ring of a node that stands alone (base64 or hex, 16 bytes or more)",
    ),
    Setting::text("storage-path", "DIR", "Keeps who the node is").default("./storage").env(&["STORAGE_PATH"]),
    Setting::text("node-id", "ID", "The node's name; generated and kept if not set").env(&["NODE_ID"]),
    Setting::text("region", "NAME", "Its region"),
    Setting::text("zone", "NAME", "What fails together with it within the region"),
    Setting::text("weight", "N", "Its share of the work beside the others").default("100"),
    Setting::text("capacity", "SIZE", "Bytes that it can send per second, such as 1GB"),
    Setting::text("max-transfers", "N", "Transfers that it has at one time; any number if not set"),
    Setting::text(
        "min-client-rate",
        "SIZE",
        "Bytes per second that a new client should get at least; where it would not, it is sent on to another node. 0 sends nobody on",
    )
    .default("64KiB"),
    Setting::switch("shared-root", "Whether all nodes read the same files, so that what is missing here is missing everywhere"),
    Setting::list("prefixes", "PREFIX", "Key prefixes that it serves; every key if not set"),
    Setting::text("drain-grace", "TIME", "How long it still accepts connections once it was asked to stop")
        .default("10s"),
    Setting::text("drain-limit", "TIME", "How long its transfers may take from then on").default("1h"),
    Setting::text("main-server", "URL", "The server that ferry stands in front of").env(&["MAIN_SERVER_URL"]),
    Setting::text("sync-interval", "TIME", "How often the main server is asked for new files")
        .default("300s")
        .env(&["SYNC_INTERVAL"]),
];
