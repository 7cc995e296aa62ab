//! Keeps the routing table: merges what the coordinators say, publishes it to the requests, and copies it to disk.

use std::{path::PathBuf, time::Duration};

use ferry_core::{
    id::CoordinatorId,
    merge::{Body, Epoch, Merge, Peer},
    time::Tick,
};
use ferry_runtime::{Clock, Tasks, atomic_file::WriteError};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::{
    figures::Figures,
    saved,
    snapshot::{Current, Painter},
};

/// Updates that wait for the keeper; a coordinator's stream waits behind them.
const INBOX: usize = 64;
/// The copy on disk is replaced as soon as something of the table changes that outlasts a beat, but not more often than this, and for at
/// most a twentieth of the time: a large table on a slow disk is written rarely.
const SAVE_EVERY: Duration = Duration::from_millis(50);
const SAVE_SHARE: u32 = 20;
/// After a failure: a full disk is reported now and then, not at every change.
const SAVE_AGAIN: Duration = Duration::from_secs(5);

/// What happens on the streams of the coordinators.
#[derive(Debug)]
pub(crate) enum Update {
    /// A message came.
    Said {
        /// It is the first of a new stream.
        first: bool,
        epoch: Epoch,
        body: Box<Body>,
    },
    /// A stream broke.
    Closed(CoordinatorId),
}

/// The keeper's state.
#[derive(Debug)]
pub(crate) struct Keeper {
    merge: Merge,
    clock: Clock,
    painter: Painter,
    figures: Figures,
    peers: watch::Sender<Vec<Peer>>,
    path: PathBuf,
    /// The copy on disk lacks something.
    dirty: bool,
    may_save_at: Tick,
}

impl Keeper {
    /// Starts from the copy on disk, if there is a sound one.
    pub(crate) fn new(
        path: PathBuf,
        clock: Clock,
        figures: Figures,
    ) -> (Self, Current, watch::Receiver<Vec<Peer>>, mpsc::Sender<Update>, mpsc::Receiver<Update>) {
        let merge = match saved::load(&path) {
            Ok(None) => Merge::default(),
            Ok(Some(saved)) => {
                let age = clock.wall().since(saved.at);
                let nodes = saved.merge.views().count();
                info!(nodes, age_seconds = age.as_secs(), "starting from the routing table's copy on disk");
                figures.table_saved.set(1);
                saved.merge
            }
            Err(why) => {
                warn!(error = &why as &dyn std::error::Error, "starting without a routing table");
                Merge::default()
            }
        };
        let current = Current::default();
        let (peers, seen) = watch::channel(Vec::new());
        let (sender, inbox) = mpsc::channel(INBOX);
        let (painter, may_save_at) = (Painter::new(current.clone()), clock.now());
        let mut keeper = Self { merge, clock, painter, figures, peers, path, dirty: false, may_save_at };
        keeper.publish();
        (keeper, current, seen, sender, inbox)
    }

    /// Runs until the tasks are asked to stop.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Update>, tasks: Tasks) {
        let stop = tasks.stop_token();
        let mut saving: Option<Saving> = None;
        let mut updates = Vec::with_capacity(INBOX);
        loop {
            let now = self.clock.now();
            let silence = self.merge.next_deadline(now);
            let save = (self.dirty && saving.is_none()).then_some(self.may_save_at);
            let deadline = [silence, save].into_iter().flatten().min();
            tokio::select! {
                biased; // stop before work, work before timers
                () = stop.cancelled() => return,
                // What waits is taken together: one table for all of it.
                _ = inbox.recv_many(&mut updates, INBOX) => {
                    updates.drain(..).for_each(|update| self.take(update));
                    self.publish();
                }
                outcome = finished(&mut saving) => {
                    saving = None;
                    self.note_saved(outcome);
                }
                () = self.clock.sleep_until(deadline) => {
                    self.merge.pass(self.clock.now());
                    self.publish();
                }
            }
            if self.dirty && saving.is_none() && self.clock.now() >= self.may_save_at {
                saving = Some(self.save());
                self.dirty = false;
            }
        }
    }

    fn take(&mut self, update: Update) {
        let (first, epoch, body) = match update {
            Update::Said { first, epoch, body } => (first, epoch, body),
            Update::Closed(coordinator) => return self.merge.closed(self.clock.now(), &coordinator),
        };
        if first {
            self.merge.opened(&epoch.coordinator);
        }
        if let Err(why) = self.merge.apply(self.clock.now(), &epoch, *body) {
            self.figures.stale_updates.inc();
            warn!(coordinator = %epoch.coordinator, sequence = epoch.sequence, %why, "ignored an update");
        }
    }

    fn publish(&mut self) {
        let now = self.clock.now();
        let changes = self.merge.take_changes();
        if changes.lasting {
            self.dirty = true;
            self.figures.table_saved.set(0);
        }
        if changes.lasting || !changes.nodes.is_empty() {
            let snapshot = self.painter.publish(&self.merge, changes.nodes, now);
            self.figures.nodes.set(snapshot.table.census());
        }
        self.figures.coordinators.set(i64::try_from(self.merge.live_coordinators(now)).unwrap_or(i64::MAX));
        self.figures.heard(self.merge.age(now).map(|age| self.clock.wall().0.saturating_sub(millis(age))));
        let peers = &self.merge.facts().coordinators;
        self.peers.send_if_modified(|known| {
            let changed = known != peers;
            known.clone_from(peers);
            changed
        });
    }

    /// Begins to replace the copy on disk, beside the loop: a disk that hangs must not stop the table (P2, P5).
    fn save(&self) -> Saving {
        let (path, clock, began) = (self.path.clone(), self.clock.clone(), self.clock.now());
        let table = saved::lasting(&self.merge, clock.wall());
        tokio::task::spawn_blocking(move || {
            let outcome = saved::save(&path, &table);
            Saved { outcome, took: clock.now().since(began) }
        })
    }

    fn note_saved(&mut self, saved: Saved) {
        let now = self.clock.now();
        self.may_save_at = now + SAVE_EVERY.max(saved.took * SAVE_SHARE);
        if let Err(why) = saved.outcome {
            self.figures.save_failures.inc();
            self.may_save_at = now + SAVE_AGAIN;
            self.dirty = true;
            warn!(error = &why as &dyn std::error::Error, "the routing table's copy was not written");
        } else if !self.dirty {
            // Nothing has changed meanwhile.
            self.figures.table_saved.set(1);
        }
    }
}

/// A copy that is being written.
type Saving = tokio::task::JoinHandle<Saved>;

/// How it went.
struct Saved {
    outcome: Result<(), WriteError>,
    took: Duration,
}

/// Ends when the copy that is being written is done; never if none is.
async fn finished(saving: &mut Option<Saving>) -> Saved {
    match saving {
        // A writer that panicked has not written; its panic is in the log.
        Some(writing) => match writing.await {
            Ok(saved) => saved,
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
