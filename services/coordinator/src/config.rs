//! What a coordinator can be told.

use std::{net::SocketAddr, path::PathBuf};

use ferry_core::id::CoordinatorId;
use ferry_runtime::{
    admin::check_exposure,
    config::{BaseUrl, Common, Reader, Refusal, Setting, Sources},
};
use ferry_store::{Credentials, DEFAULT_PREFIX, EtcdOptions, EtcdTls};

/// The coordinator's own settings, besides the common ones.
pub const SETTINGS: &[Setting] = &[
    Setting::text("listen", "ADDRESS:PORT", "Where nodes, gateways and operators connect (gRPC)")
        .default("127.0.0.1:7000"),
    Setting::text(
        "advertise-url",
        "URL",
        "Where the other members reach this listener; made from the listener if not set",
    ),
    Setting::text("coordinator-id", "ID", "This coordinator's name; made from its URL if not set"),
    Setting::text("store", "embedded:PATH|etcd", "Where registrations, decisions and keys are kept")
        .default("embedded:./ferry-state/coordinator.redb"),
    Setting::list("etcd-endpoints", "URL", "The members of the etcd cluster"),
    Setting::text("etcd-prefix", "PREFIX", "Put before every key in etcd").default(DEFAULT_PREFIX),
    Setting::text("etcd-ca", "FILE", "Authorities that etcd's certificate must come from (PEM)"),
    Setting::text("etcd-cert", "FILE", "The certificate for etcd (PEM)"),
    Setting::text("etcd-key", "FILE", "Its private key (PEM)"),
    Setting::text("etcd-user", "NAME", "The etcd user"),
    Setting::text("etcd-password", "TEXT", "The etcd user's password").secret(),
    Setting::text("join-token-file", "FILE", "A file with the token that a node must bring which nobody knows yet"),
    Setting::text(
        "user-key-file",
        "FILE",
        "The first key of the user ring (base64 or hex, 16 bytes or more); generated if not set",
    ),
];

/// A coordinator's checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every role takes.
    pub common: Common,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where others reach it, if that differs from what the listener says.
    pub advertise: Option<BaseUrl>,
    /// Its name, if given.
    pub id: Option<CoordinatorId>,
    /// Where it keeps what must last.
    pub store: StoreChoice,
    /// What a node must bring that nobody knows yet.
    pub join_token_file: Option<PathBuf>,
    /// The user ring's first key, if an operator brings one.
    pub user_key_file: Option<PathBuf>,
}

/// Which store.
#[derive(Debug, Clone)]
pub enum StoreChoice {
    /// One file, for one coordinator.
    Embedded(PathBuf),
    /// etcd, for any number of them.
    Etcd(EtcdOptions),
}

/// Checks what was gathered.
pub fn read(sources: &Sources) -> Result<Config, Refusal> {
    let mut reader = sources.reader();
    let common = Common::read(&mut reader);
    let listen = reader.require::<SocketAddr>("listen");
    if let (Some(common), Some(listen)) = (&common, listen) {
        if let Err(wanted) = check_exposure(listen, common, "gRPC") {
            reader.fault("listen", wanted);
        }
        if common.tls_listen.is_some() {
            reader
                .fault("tls-listen", "a coordinator has one listener: with tls-cert and tls-key, `listen` speaks TLS");
        }
    }
    let advertise = reader.get("advertise-url");
    let id = reader.get("coordinator-id");
    let store = store(&mut reader);
    let user_key_file = reader.get("user-key-file");
    let join_token_file = reader.get("join-token-file");
    reader.conclude(|| {
        Some(Config { common: common?, listen: listen?, advertise, id, store: store?, join_token_file, user_key_file })
    })
}

fn store(reader: &mut Reader<'_>) -> Option<StoreChoice> {
    let etcd = etcd(reader);
    let chosen: String = reader.require("store")?;
    match chosen.split_once(':') {
        Some(("embedded", path)) if !path.is_empty() => Some(StoreChoice::Embedded(path.into())),
        None if chosen == "etcd" => {
            if etcd.endpoints.is_empty() && reader.is_sound() {
                reader.fault("etcd-endpoints", "expected at least one URL, such as http://127.0.0.1:2379");
            }
            Some(StoreChoice::Etcd(etcd))
        }
        _ => {
            reader.fault("store", "expected embedded:PATH or etcd");
            None
        }
    }
}

fn etcd(reader: &mut Reader<'_>) -> EtcdOptions {
    let endpoints = reader.list::<BaseUrl>("etcd-endpoints");
    let prefix: Option<String> = reader.require("etcd-prefix");
    let identity = match (reader.get("etcd-cert"), reader.get("etcd-key")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (Some(_), None) => {
            reader.fault("etcd-cert", "wants etcd-key beside it");
            None
        }
        (None, Some(_)) => {
            reader.fault("etcd-key", "wants etcd-cert beside it");
            None
        }
        (None, None) => None,
    };
    let tls = reader.get("etcd-ca").map(|ca| EtcdTls { ca, identity: identity.clone() });
    if identity.is_some() && tls.is_none() {
        reader.fault("etcd-cert", "wants etcd-ca beside it");
    }
    let credentials = match (reader.get("etcd-user"), reader.get("etcd-password")) {
        (Some(user), Some(password)) => Some(Credentials { user, password }),
        (Some(_), None) => {
            reader.fault("etcd-user", "wants etcd-password beside it");
            None
        }
        _ => None,
    };
    EtcdOptions {
        endpoints: endpoints.iter().map(BaseUrl::origin).collect(),
        prefix: prefix.unwrap_or_default(),
        tls,
        credentials,
    }
}
