//! A node that runs, and how it ends without losing anything (P6).

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use ferry_delivery::{Delivery, Server};
use ferry_runtime::{Tasks, Workers, coordinators::Links};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{config::Config, drain::Drain, handler::Clients, identity::Identity, inspection::Inspection};

/// A running node; a cheap handle.
#[derive(Debug, Clone)]
pub struct Running {
    drain: Drain,
    delivery: Delivery,
    /// Asks the listeners to close.
    closing: CancellationToken,
    /// Cancelled as each listener has closed, and its connections have ended.
    closed: Vec<CancellationToken>,
    grace: Duration,
    limit: Duration,
    links: Arc<OnceLock<Links>>,
    /// The storage path is ours for as long as anybody can stop the node.
    _identity: Arc<Identity>,
}

impl Running {
    /// Accepts clients on all listeners.
    pub(super) fn serve(
        listeners: Vec<Server>,
        workers: &Workers,
        clients: &Arc<Clients>,
        tasks: &Tasks,
        config: &Config,
        identity: &Arc<Identity>,
        inspection: &Inspection,
    ) -> Self {
        let closing = CancellationToken::new();
        let mut closed = Vec::with_capacity(listeners.len());
        for listener in listeners {
            let ended = CancellationToken::new();
            let (stop, said, clients) = (tasks.stop_token(), ended.clone().drop_guard(), Arc::clone(clients));
            let serving = listener.serve(workers.clone(), clients, closing.clone());
            tasks.essential("clients", async move {
                // A stop breaks off what a drain would have finished.
                let _cut = stop.run_until_cancelled(serving).await;
                drop(said);
                // A listener that closed because of a drain did what it was asked.
                stop.cancelled().await;
            });
            closed.push(ended);
        }
        let (grace, limit) = (config.drain_grace, config.drain_limit);
        let (drain, delivery) = (inspection.drain.clone(), inspection.delivery.clone());
        let links = Arc::clone(&inspection.links);
        Self { drain, delivery, closing, closed, grace, limit, links, _identity: Arc::clone(identity) }
    }

    /// Waits until a coordinator welcomed the node; for ever on a node that stands alone. The caller sets the limit.
    pub async fn until_attending(&self) {
        match self.links.get() {
            Some(links) => links.until_connected(1).await,
            None => std::future::pending().await,
        }
    }

    /// Finishes what was begun: says at once to the coordinators that it wants no new clients, serves those that are on their
    /// way for the drain grace, then listens on for those that it can send elsewhere, until every transfer has ended, all of it within the drain
    /// limit. The caller stops the tasks afterwards, which says goodbye and breaks off what is left.
    ///
    /// Cancelling it leaves the node draining.
    pub async fn drain(&self) {
        let limit = Instant::now() + self.limit;
        self.drain.stop();
        sleep(self.grace.min(self.limit)).await;
        self.drain.close();
        // Late as they are, redirects from before lead here for as long as their tokens last.
        let _late = timeout_at(limit, self.delivery.transfers().idle()).await;
        self.closing.cancel();
        let all_closed = async {
            for closed in &self.closed {
                closed.cancelled().await;
            }
        };
        match timeout_at(limit, all_closed).await {
            Ok(()) => info!("drained"),
            Err(_) => {
                let transfers = self.delivery.transfers().under_way();
                warn!(transfers, limit = ?self.limit, "the drain took too long: breaking off what is left");
            }
        }
        // What came last is listed within the same limit; what does not get there is fetched again by the next process.
        if let Some(cache) = self.delivery.cache()
            && timeout_at(limit, cache.store().settle()).await.is_err()
        {
            warn!("what came last was not listed in the cache");
        }
    }
}
