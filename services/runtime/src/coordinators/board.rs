//! What every link is doing, seen by all of them: so two names of one coordinator are told apart from two coordinators.
//!
//! Pure but for the watch that shares it.

use std::{collections::BTreeMap, sync::Arc};

use ferry_core::id::CoordinatorId;
use tokio::sync::watch;

/// Names a link for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinkId(u64);

/// One link, for inspection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where it leads.
    pub url: String,
    /// The coordinator there, once it said who it is (or others did).
    pub coordinator: Option<CoordinatorId>,
    /// Whether it is welcome there now.
    pub connected: bool,
    /// The last refusal or loss, for people; `None` while all is well, or while another link leads to the same coordinator.
    pub trouble: Option<String>,
}

#[derive(Debug)]
struct Entry {
    status: Status,
    /// Which welcome of all links its last one was; the highest is the newest.
    welcome: u64,
}

/// All links of one process; a cheap clone of the same board.
#[derive(Debug, Clone)]
pub(super) struct Board {
    entries: Arc<watch::Sender<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    welcomes: u64,
    links: BTreeMap<LinkId, Entry>,
}

impl Board {
    pub(super) fn new() -> Self {
        Self { entries: Arc::new(watch::Sender::new(Entries::default())) }
    }

    pub(super) fn add(&self, url: String, coordinator: Option<CoordinatorId>) -> LinkId {
        let mut added = LinkId(0);
        self.entries.send_modify(|entries| {
            added = LinkId(entries.next);
            entries.next += 1;
            let status = Status { url, coordinator, connected: false, trouble: None };
            entries.links.insert(added, Entry { status, welcome: 0 });
        });
        added
    }

    pub(super) fn remove(&self, id: LinkId) {
        self.entries.send_modify(|entries| {
            entries.links.remove(&id);
        });
    }

    pub(super) fn welcomed(&self, id: LinkId, coordinator: &CoordinatorId) {
        self.entries.send_modify(|entries| {
            entries.welcomes += 1;
            let welcome = entries.welcomes;
            if let Some(entry) = entries.links.get_mut(&id) {
                entry.welcome = welcome;
                entry.status.coordinator = Some(coordinator.clone());
                entry.status.connected = true;
                entry.status.trouble = None;
            }
        });
    }

    pub(super) fn lost(&self, id: LinkId, trouble: Option<String>) {
        self.entries.send_modify(|entries| {
            if let Some(entry) = entries.links.get_mut(&id) {
                entry.status.connected = false;
                entry.status.trouble = trouble;
            }
        });
    }

    pub(super) fn list(&self) -> Vec<Status> {
        self.entries.borrow().links.values().map(|entry| entry.status.clone()).collect()
    }

    pub(super) fn is_connected(&self, id: LinkId) -> bool {
        self.entries.borrow().links.get(&id).is_some_and(|entry| entry.status.connected)
    }

    /// Waits until no other link leads to the same coordinator.
    pub(super) async fn alone(&self, id: LinkId) {
        self.until(|entries| entries.twins(id).next().is_none()).await;
    }

    /// Waits until a newer link leads to the same coordinator.
    pub(super) async fn displaced(&self, id: LinkId) {
        let newer = |entries: &Entries| {
            let own = entries.links.get(&id).map_or(0, |entry| entry.welcome);
            entries.twins(id).any(|twin| twin.welcome > own)
        };
        self.until(newer).await;
    }

    /// Waits until the link has no stream that stands.
    pub(super) async fn unconnected(&self, id: LinkId) {
        self.until(|entries| entries.links.get(&id).is_none_or(|entry| !entry.status.connected)).await;
    }

    /// Waits until at least `count` links are connected.
    pub(super) async fn until_connected(&self, count: usize) {
        let connected = |entries: &Entries| entries.links.values().filter(|entry| entry.status.connected).count();
        self.until(|entries| connected(entries) >= count).await;
    }

    /// Waits for a change after which `reached` holds; at once if it does.
    async fn until(&self, mut reached: impl FnMut(&Entries) -> bool) {
        // An error means that the sender is gone, and we hold it.
        let _ = self.entries.subscribe().wait_for(|entries| reached(entries)).await;
    }
}

impl Entries {
    /// Other links that are welcome at the coordinator to which this one leads.
    fn twins(&self, id: LinkId) -> impl Iterator<Item = &Entry> {
        let coordinator = self.links.get(&id).and_then(|entry| entry.status.coordinator.as_ref());
        self.links
            .iter()
            .filter(move |(other, entry)| {
                **other != id
                    && entry.status.connected
                    && coordinator.is_some()
                    && entry.status.coordinator.as_ref() == coordinator
            })
            .map(|(_, entry)| entry)
    }
}
