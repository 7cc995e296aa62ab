//! `GET /health`: the seed's JSON.

use std::path::PathBuf;

use ferry_core::id::NodeId;
use ferry_runtime::Clock;
use serde::Serialize;

use crate::drain::Drain;

/// What is known of the node's health; a cheap clone would do, but it is shared.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) id: NodeId,
    pub(crate) main_server: Option<String>,
    pub(crate) storage_path: PathBuf,
    pub(crate) sync_interval_seconds: u64,
    pub(crate) drain: Drain,
    pub(crate) clock: Clock,
}

/// The page. Its names and types are the seed's.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    status: &'static str,
    node_id: String,
    timestamp: f64,
    main_server: Option<String>,
    storage_path: String,
    sync_interval: u64,
}

impl Health {
    pub(crate) fn page(&self) -> Page {
        Page {
            status: if self.drain.is_draining() { "draining" } else { "healthy" },
            node_id: self.id.to_string(),
            timestamp: self.clock.wall().0 as f64 / 1000.0,
            main_server: self.main_server.clone(),
            storage_path: self.storage_path.display().to_string(),
            sync_interval: self.sync_interval_seconds,
        }
    }
}
