//! Keeps the routing table: merges what the coordinators say, publishes it to the requests, and copies it to disk.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use ferry_core::{
    id::{CoordinatorId, Incarnation, NodeId},
    membership::Probe,
    merge::{Body, Epoch, Merge, Peer, StreamId},
    selection::Table,
    time::Tick,
};
use ferry_runtime::{
    Clock, Tasks,
    atomic_file::WriteError,
    descriptors,
    probe::{self, Prober},
    storage_lock::StorageLock,
};
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{info, warn};

use crate::{
    figures::Figures,
    saved::{self, Lasting},
    sight::Sight,
    snapshot::{Current, Painter},
};

/// A look that took so much longer than it may was not the node's doing: this process was stopped, or starved.
const AWAY_FOR: Duration = Duration::from_millis(500);

/// Updates that wait for the keeper; a coordinator's stream waits behind them.
const INBOX: usize = 64;
/// The copy on disk is replaced as soon as something of the table changes that outlasts a beat, but not more often than this, and for at
/// most a twentieth of the time: a large table on a slow disk is written rarely.
const SAVE_EVERY: Duration = Duration::from_millis(50);
const SAVE_SHARE: u32 = 20;
/// How far the offset of the clock may have moved, in milliseconds, before the copy is replaced for that.
const OFFSET_NEWS: u64 = 1000;
/// After a failure: a full disk is reported now and then, not at every change.
const SAVE_AGAIN: Duration = Duration::from_secs(5);

/// What happens on the streams of the coordinators.
#[derive(Debug)]
pub(crate) enum Update {
    /// A message came.
    Said {
        stream: StreamId,
        /// It is the stream's first.
        first: bool,
        epoch: Epoch,
        body: Box<Body>,
    },
    /// A stream broke.
    Closed { stream: StreamId, coordinator: CoordinatorId },
    /// This gateway looked at a node itself; nothing came of it if the gateway was away meanwhile, or lacked a socket.
    Probed { id: NodeId, incarnation: Incarnation, probe: Option<Probe> },
}

/// The keeper's state.
#[derive(Debug)]
pub(crate) struct Keeper {
    merge: Merge,
    clock: Clock,
    sight: Sight,
    probes: Arc<Semaphore>,
    prober: Prober,
    /// Where probes say what they found.
    found: mpsc::Sender<Update>,
    painter: Painter,
    figures: Figures,
    peers: watch::Sender<Vec<Peer>>,
    path: PathBuf,
    /// Nodes that were probed and are not published.
    seen: BTreeSet<NodeId>,
    /// The copy on disk lacks something.
    dirty: bool,
    /// How far the coordinators' clock is ahead, in milliseconds, as the copy has it.
    saved_offset: i64,
    may_save_at: Tick,
}

impl Keeper {
    /// Fills `table`. Starts from the copy on disk, if there is a sound one. From then on the clock shows the cluster's time as that copy has it.
    pub(crate) fn new(
        path: PathBuf,
        table: Table,
        clock: Clock,
        figures: Figures,
    ) -> (Self, Current, watch::Receiver<Vec<Peer>>, mpsc::Sender<Update>, mpsc::Receiver<Update>) {
        let current = Current::begin(table);
        let mut saved_offset = 0;
        let merge = match saved::load(&path) {
            Ok(None) => Merge::default(),
            Ok(Some(saved)) => {
                let age = clock.wall().since(saved.at);
                let nodes = saved.merge.views().count();
                info!(nodes, age_seconds = age.as_secs(), "starting from the routing table's copy on disk");
                figures.table_saved.set(1);
                current.start_from(saved.at);
                if let Some(offset) = saved.clock_offset_millis {
                    clock.restore_offset(offset);
                    saved_offset = offset;
                }
                saved.merge
            }
            Err(why) => {
                warn!(error = &why as &dyn std::error::Error, "starting without a routing table");
                Merge::default()
            }
        };
        let (peers, seen) = watch::channel(Vec::new());
        let (sender, inbox) = mpsc::channel(INBOX);
        let (painter, may_save_at) = (Painter::new(current.clone()), clock.now());
        let (sight, probes, found) =
            (Sight::new(may_save_at), Arc::new(Semaphore::new(probe::at_once(descriptors::limit()))), sender.clone());
        let mut keeper = Self {
            merge,
            clock,
            sight,
            probes,
            prober: Prober::default(),
            found,
            painter,
            figures,
            peers,
            path,
            seen: BTreeSet::new(),
            dirty: false,
            saved_offset,
            may_save_at,
        };
        keeper.publish();
        (keeper, current, seen, sender, inbox)
    }

    /// Runs until the tasks are asked to stop. Holds the storage path until then: nobody else replaces the copy.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Update>, _lock: StorageLock, tasks: Tasks) {
        let stop = tasks.stop_token();
        let mut saving: Option<Saving> = None;
        let mut updates = Vec::with_capacity(INBOX);
        loop {
            let now = self.clock.now();
            let silence = self.merge.next_deadline(now);
            let save = (self.dirty && saving.is_none()).then_some(self.may_save_at);
            let sight = self.sight.next_deadline(now, &self.merge);
            let deadline = [silence, save, sight].into_iter().flatten().min();
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
                    match outcome {
                        Some(saved) => self.note_saved(saved),
                        // A writer that panicked has not written; its panic is in the log.
                        None => (self.dirty, self.may_save_at) = (true, self.clock.now() + SAVE_AGAIN),
                    }
                }
                () = self.clock.sleep_until(deadline) => {
                    self.merge.pass(self.clock.now());
                    self.publish();
                }
            }
            self.probe(&tasks);
            if self.dirty && saving.is_none() && self.clock.now() >= self.may_save_at {
                saving = Some(self.save());
                self.dirty = false;
            }
        }
    }

    fn take(&mut self, update: Update) {
        let (stream, first, epoch, body) = match update {
            Update::Said { stream, first, epoch, body } => (stream, first, epoch, body),
            Update::Closed { stream, coordinator } => {
                return self.merge.closed(self.clock.now(), &coordinator, stream);
            }
            Update::Probed { id, incarnation, probe } => {
                self.sight.probed(self.clock.now(), &id, incarnation, probe);
                self.seen.insert(id);
                return;
            }
        };
        if first {
            self.merge.opened(&epoch.coordinator, stream);
        }
        if let Err(why) = self.merge.apply(self.clock.now(), &epoch, *body) {
            self.figures.stale_updates.inc();
            warn!(coordinator = %epoch.coordinator, sequence = epoch.sequence, %why, "ignored an update");
        }
    }

    fn publish(&mut self) {
        let now = self.clock.now();
        let changes = self.merge.take_changes();
        // An expiry is judged by the cluster's time, over a restart too (P2).
        let turned = self.clock.offset_millis().abs_diff(self.saved_offset) >= OFFSET_NEWS;
        if changes.lasting || turned {
            self.dirty = true;
            self.figures.table_saved.set(0);
        }
        let mut nodes = self.sight.look(now, &self.merge, &changes.nodes);
        nodes.extend(changes.nodes);
        nodes.append(&mut self.seen);
        if changes.lasting || !nodes.is_empty() {
            let (sight, merge) = (&self.sight, &self.merge);
            let word = |id: &NodeId| sight.word(now, merge, id);
            let snapshot = self.painter.publish(merge.facts(), nodes, word, now);
            self.figures.nodes.set(snapshot.table.census());
        }
        self.figures.coordinators.set(i64::try_from(self.merge.live_coordinators(now)).unwrap_or(i64::MAX));
        if let Some(age) = self.merge.age(now) {
            self.painter.hear(now - age);
            self.figures.heard(self.clock.wall().0.saturating_sub(millis(age)));
        }
        let peers = &self.merge.facts().coordinators;
        self.peers.send_if_modified(|known| {
            let changed = known != peers;
            known.clone_from(peers);
            changed
        });
    }

    /// Looks at the nodes whose turn it is.
    fn probe(&mut self, tasks: &Tasks) {
        for (id, incarnation) in self.sight.take_due(self.clock.now()) {
            let Some(facts) = self.merge.view(&id).map(|view| Arc::clone(&view.facts)) else { continue };
            let (found, probes) = (self.found.clone(), Arc::clone(&self.probes));
            let (prober, clock) = (self.prober.clone(), self.clock.clone());
            self.figures.probes.inc();
            tasks.spawn("probe", async move {
                let Ok(_turn) = probes.acquire().await else { return };
                let began = clock.now();
                let probe = prober.probe(&facts).await;
                let was_here = clock.now().since(began) < probe::LIMIT + AWAY_FOR;
                let probe = probe.filter(|probe| was_here || *probe == Probe::Well);
                // The keeper ends only with the process; then nobody waits for this.
                let _ = found.send(Update::Probed { id, incarnation, probe }).await;
            });
        }
    }

    /// Begins to replace the copy on disk, beside the loop: a disk that hangs must not stop the table (P2, P5).
    fn save(&mut self) -> Saving {
        let (path, clock, began) = (self.path.clone(), self.clock.clone(), self.clock.now());
        self.saved_offset = clock.offset_millis();
        let lasting = Lasting::of(&self.merge, clock.wall(), self.saved_offset);
        tokio::task::spawn_blocking(move || {
            let outcome = saved::save(&path, &lasting.table());
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

/// Ends when the copy that is being written is done, with nothing if its writer panicked; never if none is.
async fn finished(saving: &mut Option<Saving>) -> Option<Saved> {
    match saving {
        Some(writing) => writing.await.ok(),
        None => std::future::pending().await,
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
