//! Where the bytes come from: a root, origins, or both.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use ferry_core::routes::QueryRule;
use ferry_delivery::origin::{Base, OriginSettings, Settings, Trust};
use ferry_runtime::config::Reader;
use http::uri::Authority;

/// Whence the bytes.
#[derive(Debug, Clone)]
pub enum Backend {
    /// Files below a root.
    Filesystem(PathBuf),
    /// HTTP origins. Their `loop_id` becomes the node's id.
    Http(Settings),
    /// The root first, then the origins.
    Hybrid(PathBuf, Settings),
}

impl Backend {
    /// The word for it in a configuration.
    #[must_use]
    pub const fn mode(&self) -> &'static str {
        match self {
            Self::Filesystem(_) => "filesystem",
            Self::Http(_) => "http",
            Self::Hybrid(..) => "hybrid",
        }
    }

    /// What of a query is part of a key, where no route says: to an origin it may mean anything, to a disk nothing.
    pub(crate) const fn default_query(&self) -> QueryRule {
        match self {
            Self::Filesystem(_) => QueryRule::Ignore,
            Self::Http(_) | Self::Hybrid(..) => QueryRule::Keep,
        }
    }
}

/// Reads all that concerns it. What the mode leaves unused may stand there: the seeds' configurations have it all at once.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Backend> {
    let origins = origins(reader);
    let has_origin = ["origin", "origins", "backend-host"].iter().any(|name| reader.is_set(name));
    let has_root = reader.is_set("root");
    let (wants_root, wants_origin) = match reader.get::<String>("backend-mode").as_deref() {
        Some("filesystem") => (true, false),
        Some("http") => (false, true),
        Some("hybrid") => (true, true),
        Some(_) => {
            reader.fault("backend-mode", "expected filesystem, http or hybrid");
            return None;
        }
        None if !has_root && !has_origin => {
            // A file that cannot be read may well have named one: its fault is enough.
            if reader.is_sound() {
                reader.refuse(nothing_to_serve(reader.is_set("main-server")));
            }
            return None;
        }
        None => (has_root, has_origin),
    };
    if wants_root && !has_root {
        reader.fault("root", "this backend-mode wants a folder with files");
    }
    if wants_origin && !has_origin {
        reader.fault("origin", "this backend-mode wants an origin, such as http://127.0.0.1:8000");
    }
    let root = if wants_root { root(reader) } else { None };
    match (wants_root, wants_origin) {
        (true, false) => Some(Backend::Filesystem(root?)),
        (true, true) => Some(Backend::Hybrid(root?, origins?)),
        (false, _) => Some(Backend::Http(origins?)),
    }
}

fn nothing_to_serve(has_main_server: bool) -> &'static str {
    if has_main_server {
        "main-server alone is not enough in this build, which neither registers there nor syncs yet: set root or origin too"
    } else {
        "there is nothing to serve: set root (a folder with files) or origin (the URL of an HTTP server)"
    }
}

/// A root that cannot be read is said now, with everything else that is wrong; it is opened later.
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

fn origins(reader: &mut Reader<'_>) -> Option<Settings> {
    let bases = bases(reader);
    let trust = if reader.get::<bool>("backend-ssl-verify").unwrap_or(true) { Trust::System } else { Trust::Anyone };
    let host = reader.get::<String>("proxy-host-header").and_then(|text| {
        let host = text.parse::<Authority>().ok().filter(|host| !host.as_str().contains('@'));
        if host.is_none() {
            reader.fault("proxy-host-header", "expected HOST or HOST:PORT, such as files.example");
        }
        host
    });
    let limit = reader.require::<NonZeroUsize>("http-connector-limit");
    let limit_per_origin = reader.require::<NonZeroUsize>("http-connector-limit-per-host");
    let keep_alive = reader.require("http-keepalive-timeout");
    let (connect, head) = (wait(reader, "http-connect-timeout"), wait(reader, "http-total-timeout"));
    let origins = bases.into_iter().map(|base| OriginSettings {
        host: host.clone(),
        trust: trust.clone(),
        ..OriginSettings::new(base)
    });
    Some(Settings {
        limit: limit?.get(),
        limit_per_origin: limit_per_origin?.get(),
        keep_alive: keep_alive?,
        connect: connect?,
        head: head?,
        ..Settings::new(origins.collect(), "node")
    })
}

/// A limit of nothing would refuse every origin.
fn wait(reader: &mut Reader<'_>, name: &str) -> Option<Duration> {
    let wait: Duration = reader.require(name)?;
    if wait.is_zero() {
        reader.fault(name, "must be longer than nothing");
    }
    Some(wait)
}

/// `origins`, else `origin`, else the seeds' four names.
fn bases(reader: &mut Reader<'_>) -> Vec<Base> {
    let several: Vec<String> = reader.list("origins");
    let one: Option<String> = reader.get("origin");
    let (host, port) = (reader.get::<String>("backend-host"), reader.get::<u16>("backend-port"));
    let https = reader.switch("backend-use-https");
    let (name, texts) = match (several.is_empty(), one, host) {
        (false, Some(_), _) => {
            reader.fault("origin", "`origins` is set too: put it there");
            return Vec::new();
        }
        (false, None, _) => ("origins", several),
        (true, Some(one), _) => ("origin", vec![one]),
        (true, None, Some(host)) => {
            let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
            let scheme = if https { "https" } else { "http" };
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            ("backend-host", vec![format!("{scheme}://{host}{port}")])
        }
        (true, None, None) => return Vec::new(),
    };
    let mut bases = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse() {
            Ok(base) => bases.push(base),
            Err(invalid) => reader.fault(name, invalid),
        }
    }
    bases
}
