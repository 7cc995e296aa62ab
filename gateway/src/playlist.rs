//! What the gateway hands out itself: playlists, whose own address decides where a player asks for the segments, and routes
//! with `deliver = "proxy"`. From its own source where it has one, else from the selected node, then from its alternates.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ferry_core::{id::NodeId, tokens::Reach};
use ferry_delivery::{
    Answer, Request,
    origin::{Fetch, OriginSettings, Origins, Settings},
};
use http::{HeaderMap, StatusCode};
use tracing::warn;

/// Nodes to which connections are kept; more than a cluster has.
const MOST_NODES: usize = 4096;

/// A node that does not answer is passed over long before a player gives up.
const CONNECT: Duration = Duration::from_secs(1);
const HEAD: Duration = Duration::from_secs(2);

/// Fetches from nodes, as from an origin.
#[derive(Debug)]
pub(crate) struct NodeClient {
    loop_id: String,
    origins: Mutex<HashMap<String, Origins>>,
}

impl NodeClient {
    pub(crate) fn new(loop_id: String) -> Self {
        Self { loop_id, origins: Mutex::default() }
    }

    /// The first good answer of the nodes, in their order, and whose it is; `None` if none has one.
    pub(crate) async fn fetch<'n>(
        &self,
        request: &Request,
        nodes: impl Iterator<Item = Reach<'n>>,
        target: &str,
    ) -> Option<(Answer, &'n NodeId)> {
        let (extra, mut lacking) = (HeaderMap::new(), None);
        for reach in nodes {
            let Some(origins) = self.origins(reach) else { continue };
            let fetch = Fetch { method: request.method.clone(), target, client: &request.headers, extra: &extra };
            match origins.fetch(fetch).await {
                Ok(answer) if is_final(answer.status) => return Some((answer, reach.node)),
                // Another may have it, where each has files of its own.
                Ok(answer) if answer.status == StatusCode::NOT_FOUND => lacking = Some((answer, reach.node)),
                Ok(answer) => warn!(node = %reach.node, status = %answer.status, "a node did not give a playlist"),
                Err(why) => {
                    warn!(node = %reach.node, error = &why as &dyn std::error::Error, "a node did not give a playlist");
                }
            }
        }
        lacking
    }

    fn origins(&self, reach: Reach<'_>) -> Option<Origins> {
        let url = format!("{}://{}", reach.scheme(), reach.authority);
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = origins.get(&url) {
            return Some(known.clone());
        }
        if origins.len() >= MOST_NODES {
            origins.clear();
        }
        let settings = OriginSettings::new(url.parse().ok()?);
        let limits = Settings::new(vec![settings], self.loop_id.clone());
        // What one node does not give is asked of the next.
        let settings = Settings { connect: CONNECT, head: HEAD, retries: 0, ..limits };
        let made = Origins::new(&settings).ok()?;
        origins.insert(url, made.clone());
        Some(made)
    }
}

/// Whether another node would say the same. A node that refuses the token or fails says nothing about the object.
const fn is_final(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 206 | 304 | 412 | 416)
}
