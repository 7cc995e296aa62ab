//! What each role of `ferry up` is told: the same settings that it would get as a process of its own.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use ferry_runtime::config::{BaseUrl, ByteSize, Common, Environment, Reader, Sources};

use super::folder::State;
use crate::cli::{COORDINATOR, GATEWAY, NODE, Role};

/// More nodes than this in one process teach nobody anything.
const MOST_NODES: usize = 64;

/// A cluster to start.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) dir: Option<PathBuf>,
    pub(super) origin: Option<BaseUrl>,
    /// Where the nodes' caches are; `off` for none.
    pub(super) cache: Option<PathBuf>,
    pub(super) cache_size: Option<ByteSize>,
    pub(super) listen: SocketAddr,
    pub(super) nodes: usize,
    pub(super) state: Option<PathBuf>,
}

impl Plan {
    pub(super) fn read(reader: &mut Reader<'_>, dir: Option<&str>) -> Option<Self> {
        let origin = reader.get("origin");
        if dir.is_none() && !reader.is_set("origin") {
            reader.refuse("expected a folder to serve (ferry up DIR), or --origin URL");
        }
        if let Some(dir) = dir
            && let Err(why) = std::fs::read_dir(dir)
        {
            reader.refuse(format!("DIR = {dir:?}: expected a folder that can be read: {why}"));
        }
        let nodes: Option<usize> = reader.require::<u32>("nodes").and_then(|nodes| usize::try_from(nodes).ok());
        if nodes.is_some_and(|nodes| nodes == 0 || nodes > MOST_NODES) {
            reader.fault("nodes", format!("expected 1 to {MOST_NODES}"));
        }
        let (cache, cache_size): (Option<PathBuf>, _) = (reader.get("cache"), reader.get("cache-size"));
        for name in ["cache", "cache-size"] {
            if reader.is_set(name) && !reader.is_set("origin") {
                reader.fault(name, "without --origin there is nothing to keep");
            }
        }
        if cache_size.is_some() && reader.is_set("origin") && cache.is_none() && dir.is_none() {
            reader.fault(
                "cache-size",
                "wants --cache beside it: before an origin alone, nothing is kept unless it is said where",
            );
        }
        let listen = reader.require("listen");
        let state = reader.get("state");
        Some(Self { dir: dir.map(PathBuf::from), origin, cache, cache_size, listen: listen?, nodes: nodes?, state })
    }

    pub(super) fn coordinator(&self, state: &State) -> Sources {
        let store = format!("embedded:{}", state.inside("coordinator.redb"));
        told(&COORDINATOR, &[("listen", free(7000)), ("store", store)])
    }

    pub(super) fn node(&self, state: &State, number: usize, coordinator: &str) -> Sources {
        let port = |base: u16| base.saturating_add(u16::try_from(number).unwrap_or(u16::MAX)).saturating_sub(1);
        let mut settings = vec![
            ("listen", free(port(8001))),
            ("admin-listen", free(port(9001))),
            ("coordinators", coordinator.to_owned()),
            ("storage-path", state.inside(&format!("node-{number}"))),
            ("node-id", format!("node-{number}")),
        ];
        // Every node reads that very folder.
        settings.extend(self.dir.iter().flat_map(|dir| [("root", text(dir)), ("shared-root", "true".to_owned())]));
        settings.extend(self.origin.iter().map(|origin| ("origin", origin.to_string())));
        settings.extend(self.cache.iter().map(|cache| ("cache", cache_of(cache, number))));
        settings.extend(self.cache_size.iter().map(|size| ("cache-size", size.to_string())));
        told(&NODE, &settings)
    }

    pub(super) fn gateway(&self, state: &State, common: &Common, coordinator: &str) -> Sources {
        let mut settings = vec![
            ("listen", self.listen.to_string()),
            ("admin-listen", free(9080)),
            ("coordinators", coordinator.to_owned()),
            ("storage-path", state.inside("gateway")),
        ];
        settings.extend(self.dir.iter().map(|dir| ("root", text(dir))));
        settings.extend(self.origin.iter().map(|origin| ("origin", origin.to_string())));
        settings.extend(common.tls_listen.iter().map(|listen| ("tls-listen", listen.to_string())));
        if let Some(files) = &common.tls {
            settings.push(("tls-cert", text(&files.certificate)));
            settings.push(("tls-key", text(&files.key)));
        }
        told(&GATEWAY, &settings)
    }
}

/// No two nodes share a cache.
fn cache_of(cache: &Path, number: usize) -> String {
    if cache == Path::new("off") { text(cache) } else { text(&cache.join(format!("node-{number}"))) }
}

/// The role's configuration as flags; the environment was `up`'s, not the role's.
fn told(role: &Role, settings: &[(&str, String)]) -> Sources {
    let flags = settings.iter().map(|(name, value)| format!("--{name}={value}"));
    let flags = std::iter::once(role.name.to_owned()).chain(flags);
    let matches = role.command().get_matches_from(flags);
    Sources::gather(role.name, role.tables, role.sections, &matches, &Environment::default())
}

/// The usual port on loopback, or any free one where it is taken.
fn free(port: u16) -> String {
    let usual = SocketAddr::from(([127, 0, 0, 1], port));
    match TcpListener::bind(usual) {
        Ok(_) => usual.to_string(),
        Err(_) => SocketAddr::from(([127, 0, 0, 1], 0)).to_string(),
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
