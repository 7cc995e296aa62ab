//! One task for each coordinator that is configured or discovered.

use std::{
    collections::{BTreeMap, HashSet, btree_map::Entry},
    future::Future,
    sync::Arc,
    time::Duration,
};

use ferry_core::{backoff::Backoff, id::CoordinatorId, merge::Peer};
use rand::RngExt as _;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::board::{Board, LinkId, Status};
use crate::{
    Tasks,
    config::{BaseUrl, FromSetting},
};

/// Redials: quick at first, because a coordinator that restarts is back at once and nobody should take the gap for a death.
const REDIAL_BASE: Duration = Duration::from_millis(100);
const REDIAL_CAP: Duration = Duration::from_secs(3);

/// A refusal is for people to resolve: asking again sooner helps nobody.
const REFUSED_WAIT: Duration = Duration::from_secs(10);

/// A stream that stood for so long was no accident: the next redial is quick again. One that is welcomed and thrown out at once
/// must not be redialled ten times a second for ever.
const STOOD: Duration = Duration::from_secs(1);

/// Discovered coordinators that are dialled; a cluster has five at most.
const MOST_DISCOVERED: usize = 16;

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It broke, or never stood: worth trying again soon. What happened, for people.
    Lost(String),
    /// The coordinator does not want us, and says why. It is asked again every ten seconds.
    Refused(String),
}

/// One coordinator's place among the links, for whoever runs the stream to it.
#[derive(Debug, Clone)]
pub struct Link {
    id: LinkId,
    url: BaseUrl,
    board: Board,
}

/// All links of one process; a cheap handle.
#[derive(Debug, Clone)]
pub struct Links {
    board: Board,
}

impl Link {
    /// Where the coordinator is.
    #[must_use]
    pub const fn url(&self) -> &BaseUrl {
        &self.url
    }

    /// Says that the coordinator took us in, and who it is. An older link to the same one is dropped now.
    pub fn welcomed(&self, coordinator: &CoordinatorId) {
        self.board.welcomed(self.id, coordinator);
    }
}

impl Links {
    /// Keeps a stream to each configured coordinator, and to each discovered one that is not reached through another URL.
    ///
    /// `run` opens one stream and serves it until it ends; it is dropped where it waits when a newer link reaches the same
    /// coordinator. When the tasks are asked to stop, it must end by itself, and is not called again. A discovered coordinator that
    /// is no longer listed is left once its stream is lost: a stream that stands is better evidence than a list.
    pub fn start<F, R>(tasks: &Tasks, configured: Vec<BaseUrl>, discovered: watch::Receiver<Vec<Peer>>, run: F) -> Self
    where
        F: Fn(Link) -> R + Send + Sync + 'static,
        R: Future<Output = Ending> + Send + 'static,
    {
        let board = Board::new();
        let keeper = Keeper { tasks: tasks.clone(), board: board.clone(), run: Arc::new(run) };
        let mut known = HashSet::new();
        for url in configured {
            if known.insert(url.origin()) {
                // Never cancelled: a configured coordinator is for good.
                keeper.spawn(url, None, CancellationToken::new());
            }
        }
        tasks.spawn("discovered coordinators", keeper.follow(known, discovered));
        Self { board }
    }

    /// Every link as it stands.
    #[must_use]
    pub fn list(&self) -> Vec<Status> {
        self.board.list()
    }

    /// How many coordinators we are welcome at now.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.board.list().iter().filter(|status| status.connected).count()
    }

    /// Waits until at least `count` links are welcome. The caller sets the limit; cancelling it changes nothing.
    pub async fn until_connected(&self, count: usize) {
        self.board.until_connected(count).await;
    }
}

/// A discovered coordinator at one place.
type Name = (CoordinatorId, String);

struct Keeper<F> {
    tasks: Tasks,
    board: Board,
    run: Arc<F>,
}

impl<F, R> Keeper<F>
where
    F: Fn(Link) -> R + Send + Sync + 'static,
    R: Future<Output = Ending> + Send + 'static,
{
    /// Starts and leaves discovered links as the list changes.
    async fn follow(self, configured: HashSet<String>, mut discovered: watch::Receiver<Vec<Peer>>) {
        let mut running: BTreeMap<Name, CancellationToken> = BTreeMap::new();
        loop {
            let listed = listed(&configured, &discovered.borrow_and_update());
            running.retain(|key, leave| {
                let stays = listed.contains_key(key);
                if !stays {
                    leave.cancel();
                }
                stays
            });
            for (key, url) in listed {
                if let Entry::Vacant(place) = running.entry(key) {
                    let leave = CancellationToken::new();
                    self.spawn(url, Some(place.key().0.clone()), leave.clone());
                    place.insert(leave);
                }
            }
            tokio::select! {
                biased;
                () = self.tasks.stopped() => return,
                changed = discovered.changed() => if changed.is_err() {
                    // Nobody will tell of changes any more: those that run go on.
                    return;
                },
            }
        }
    }

    fn spawn(&self, url: BaseUrl, coordinator: Option<CoordinatorId>, leave: CancellationToken) {
        let id = self.board.add(url.origin(), coordinator);
        let link = Link { id, url, board: self.board.clone() };
        let (tasks, run) = (self.tasks.clone(), Arc::clone(&self.run));
        self.tasks.spawn("coordinator link", async move {
            tokio::select! {
                biased;
                () = left(&link.board, id, &leave) => {}
                () = keep(&link, &tasks, &*run) => {}
            }
            link.board.remove(id);
        });
    }
}

/// The discovered coordinators that are dialled, with the URLs that do it.
fn listed(configured: &HashSet<String>, discovered: &[Peer]) -> BTreeMap<Name, BaseUrl> {
    let mut listed = BTreeMap::new();
    for peer in discovered.iter().take(MOST_DISCOVERED) {
        match BaseUrl::parse(&peer.url) {
            Ok(url) if configured.contains(&url.origin()) => {}
            Ok(url) => {
                listed.insert((peer.id.clone(), url.origin()), url);
            }
            Err(expected) => {
                warn!(coordinator = %peer.id, url = peer.url, expected, "a coordinator has no usable URL");
            }
        }
    }
    listed
}

/// Ends when the link should be left, and its stream does not stand.
async fn left(board: &Board, id: LinkId, leave: &CancellationToken) {
    leave.cancelled().await;
    board.unconnected(id).await;
}

/// Dials, serves and redials until the tasks are asked to stop.
async fn keep<F, R>(link: &Link, tasks: &Tasks, run: &F)
where
    F: Fn(Link) -> R,
    R: Future<Output = Ending>,
{
    let mut redial = Backoff::new(REDIAL_BASE, REDIAL_CAP);
    let mut refused: Option<String> = None;
    while !tasks.is_stopping() {
        tokio::select! {
            biased;
            () = tasks.stopped() => return,
            () = link.board.alone(link.id) => {}
        }
        let began = Instant::now();
        let ending = tokio::select! {
            biased; // what a stream said last is heard before it is dropped
            ending = run(link.clone()) => Some(ending),
            () = link.board.displaced(link.id) => None,
        };
        if tasks.is_stopping() {
            return;
        }
        let was_connected = link.board.is_connected(link.id);
        if was_connected {
            refused = None;
        }
        if was_connected && began.elapsed() >= STOOD {
            redial.reset();
        }
        let wait = match ending {
            None => {
                debug!(url = %link.url, "another link reaches this coordinator");
                link.board.lost(link.id, None);
                Duration::ZERO
            }
            Some(Ending::Lost(why)) => {
                // A row of failures is said once.
                if was_connected || redial.attempts() == 0 {
                    warn!(url = %link.url, why, "no stream to the coordinator; redialling");
                }
                link.board.lost(link.id, Some(why));
                rand::rng().random_range(redial.next_wait())
            }
            Some(Ending::Refused(why)) => {
                // Once, and again when the reason changes: the same line every ten seconds would bury the rest.
                if refused.as_ref() != Some(&why) {
                    error!(url = %link.url, why, "the coordinator refuses us");
                }
                refused = Some(why.clone());
                link.board.lost(link.id, Some(why));
                REFUSED_WAIT
            }
        };
        tokio::select! {
            biased;
            () = tasks.stopped() => return,
            () = sleep(wait) => {}
        }
    }
}

#[cfg(test)]
mod tests;
