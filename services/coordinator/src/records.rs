//! The coordinator's records in the store: read, decided on, written with compare-and-swap.

use std::sync::Arc;

use ferry_core::{
    id::{GatewayId, NodeId},
    membership::{Record, Registration},
    node::{Duty, Intent, NodeFacts, Weight},
    time::UnixMillis,
};
use ferry_proto::{VERSION, convert, v1};
use ferry_store::{Change, Error, Expected, Store, Versioned};
use prost::Message as _;

pub(crate) const NODES: &str = "nodes/";
pub(crate) const RINGS: &str = "rings/";
pub(crate) const GUARDS: &str = "guards/";
pub(crate) const COORDINATORS: &str = "coordinators/";

/// How often a decision is taken again because somebody else's came first.
const ATTEMPTS: usize = 5;
/// How often a write whose answer was lost is looked for. An operator waits meanwhile: two of the store's limits for each time.
const LOOKS: usize = 1;

/// What a write came to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("there is no node {0}")]
    Unknown(NodeId),
    #[error("the record of node {id} is damaged")]
    Damaged {
        id: NodeId,
        #[source]
        cause: convert::InvalidRecord,
    },
    #[error("the decision could not be stored")]
    Store(#[from] Error),
}

/// Reads and writes node records.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    store: Arc<dyn Store>,
}

impl Records {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Creates the record of a node that nobody knew; if somebody was faster, theirs is returned.
    pub(crate) async fn create(&self, registration: &Registration, now: UnixMillis) -> Result<Record, WriteError> {
        let id = &registration.facts.id;
        let record = Record {
            facts: registration.facts.clone(),
            secret: registration.secret,
            first_seen: now,
            intent: Intent::default(),
        };
        let mut looks = 0..LOOKS;
        loop {
            match self.store.compare_and_swap(&key(id), Expected::Absent, put(&record)).await {
                Ok(revision) => return Ok(Record { intent: Intent { revision, ..record.intent }, ..record }),
                // Whose it is makes no difference here: also one's own, whose answer was lost.
                Err(Error::Conflict { current: Some(current) }) => return decode(id, &current),
                Err(error) if error.is_passing() && looks.next().is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes what a node now says of itself.
    pub(crate) async fn save_facts(&self, id: &NodeId, facts: &Arc<NodeFacts>) -> Result<Record, WriteError> {
        self.update(id, |record| record.facts = facts.clone()).await
    }

    /// Writes an operator's decision on whether the node gets clients.
    pub(crate) async fn set_duty(&self, id: &NodeId, duty: Duty) -> Result<Record, WriteError> {
        self.update(id, |record| record.intent.duty = duty).await
    }

    /// Writes an operator's decision on the node's share of the work, or that there is none.
    pub(crate) async fn set_weight(&self, id: &NodeId, weight: Option<Weight>) -> Result<Record, WriteError> {
        self.update(id, |record| record.intent.weight = weight).await
    }

    /// Removes a node; returns the revision of the removal.
    pub(crate) async fn remove(&self, id: &NodeId) -> Result<u64, WriteError> {
        let key = key(id);
        let mut current = self.store.get(&key).await?;
        let mut looks = 0..LOOKS;
        for _ in 0..ATTEMPTS {
            let Some(found) = current else { return Err(WriteError::Unknown(id.clone())) };
            match self.store.compare_and_swap(&key, Expected::Revision(found.revision), Change::Delete).await {
                Ok(revision) => return Ok(revision),
                Err(Error::Conflict { current: now }) => current = now,
                Err(error) if error.is_passing() && looks.next().is_some() => {
                    // A listing, for it says at which revision the record is gone.
                    let mut listing = self.store.list(&key).await?;
                    match listing.entries.remove(&key) {
                        None => return Ok(listing.revision),
                        still => current = still,
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended(id))
    }

    /// Writes whether a gateway has a route that is not open.
    pub(crate) async fn set_guard(&self, gateway: &GatewayId, guarded: bool) -> Result<(), WriteError> {
        let key = format!("{GUARDS}{gateway}");
        let found = self.store.get(&key).await?;
        let (expected, change) = match (found, guarded) {
            (None, false) | (Some(_), true) => return Ok(()),
            (None, true) => {
                (Expected::Absent, Change::Put(v1::GuardRecord { version: VERSION }.encode_to_vec().into()))
            }
            (Some(found), false) => (Expected::Revision(found.revision), Change::Delete),
        };
        match self.store.compare_and_swap(&key, expected, change).await {
            // Another coordinator heard the same word.
            Ok(_) | Err(Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads, changes and writes. A write whose answer was lost is read back: if it is there, nothing is left to be done.
    async fn update(&self, id: &NodeId, change: impl Fn(&mut Record)) -> Result<Record, WriteError> {
        let mut current = self.store.get(&key(id)).await?;
        let mut looks = 0..LOOKS;
        for _ in 0..ATTEMPTS {
            let Some(found) = current else { return Err(WriteError::Unknown(id.clone())) };
            let old = decode(id, &found)?;
            let mut new = old.clone();
            change(&mut new);
            if new == old {
                return Ok(old);
            }
            match self.store.compare_and_swap(&key(id), Expected::Revision(found.revision), put(&new)).await {
                Ok(revision) => {
                    new.intent.revision = revision;
                    return Ok(new);
                }
                Err(Error::Conflict { current: now }) => current = now,
                Err(error) if error.is_passing() && looks.next().is_some() => {
                    current = self.store.get(&key(id)).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended(id))
    }
}

/// Where a node's record lies.
pub(crate) fn key(id: &NodeId) -> String {
    format!("{NODES}{id}")
}

fn put(record: &Record) -> Change {
    Change::Put(v1::NodeRecord::from(record).encode_to_vec().into())
}

fn decode(id: &NodeId, found: &Versioned) -> Result<Record, WriteError> {
    convert::node_record(&found.value, found.revision).map_err(|cause| WriteError::Damaged { id: id.clone(), cause })
}

fn contended(id: &NodeId) -> WriteError {
    Error::Unavailable { why: format!("the record of {id} kept changing under {ATTEMPTS} attempts") }.into()
}

#[cfg(test)]
mod tests {
    use ferry_core::{id::Incarnation, membership::SecretDigest};
    use ferry_store::{Embedded, Faulty};

    use super::*;

    fn registration(id: &str, secret: u8) -> Registration {
        Registration {
            facts: Arc::new(NodeFacts {
                address: Some("127.0.0.1:1".parse().expect("valid")),
                ..NodeFacts::named(id.parse().expect("valid"))
            }),
            secret: SecretDigest([secret; 32]),
            incarnation: Incarnation(1),
            draining: false,
        }
    }

    async fn records(folder: &tempfile::TempDir) -> (Records, ferry_store::Faults) {
        let store = Embedded::open(folder.path().join("store")).await.expect("a new store opens");
        let (store, faults) = Faulty::new(Arc::new(store));
        (Records::new(Arc::new(store)), faults)
    }

    #[tokio::test]
    async fn the_first_to_register_a_name_owns_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (records, _) = records(&folder).await;
        let first = records.create(&registration("a", 1), UnixMillis(5)).await.expect("created");
        let second = records.create(&registration("a", 2), UnixMillis(6)).await.expect("read");
        assert_eq!(first, second);
        assert_eq!(second.secret, SecretDigest([1; 32]));
    }

    #[tokio::test]
    async fn a_drain_is_stored_and_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let (records, _) = records(&folder).await;
        let id: NodeId = "a".parse().expect("valid");
        let created = records.create(&registration("a", 1), UnixMillis(5)).await.expect("created");
        let drained = records.set_duty(&id, Duty::Drain).await.expect("stored");
        assert!(drained.intent.drains() && drained.intent.revision > created.intent.revision);
        assert_eq!(
            records.set_duty(&id, Duty::Drain).await.expect("stored"),
            drained,
            "saying it twice writes nothing"
        );
        let removed = records.remove(&id).await.expect("removed");
        assert!(removed > drained.intent.revision);
        assert!(matches!(records.set_duty(&id, Duty::Serve).await, Err(WriteError::Unknown(_))));
    }

    /// The store's leader is replaced, or the network breaks, between a write and its answer.
    #[tokio::test]
    async fn a_write_whose_answer_is_lost_is_read_back_and_made_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let (records, faults) = records(&folder).await;
        let revision = async || records.store.list("").await.expect("readable").revision;
        let id: NodeId = "a".parse().expect("valid");
        let before = revision().await;
        faults.lose_answers(1);
        let created = records.create(&registration("a", 1), UnixMillis(5)).await.expect("created");
        assert_eq!((created.intent.revision, created.secret), (before + 1, SecretDigest([1; 32])));
        faults.lose_answers(1);
        let drained = records.set_duty(&id, Duty::Drain).await.expect("stored");
        assert!(drained.intent.drains());
        assert_eq!(drained.intent.revision, before + 2);
        faults.lose_answers(1);
        assert_eq!(records.remove(&id).await.expect("removed"), before + 3);
        assert_eq!(revision().await, before + 3, "each was made once");
    }

    #[tokio::test]
    async fn a_drain_a_weight_and_a_registration_do_not_undo_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let (records, _) = records(&folder).await;
        let id: NodeId = "a".parse().expect("valid");
        let created = records.create(&registration("a", 1), UnixMillis(5)).await.expect("created");
        records.set_duty(&id, Duty::Drain).await.expect("stored");
        records.set_weight(&id, Weight::new(500)).await.expect("stored");
        let facts = Arc::new(NodeFacts { weight: Weight::new(7).expect("valid"), ..(*created.facts).clone() });
        let all = records.save_facts(&id, &facts).await.expect("stored");
        assert_eq!((all.intent.duty, all.intent.weight, &all.facts), (Duty::Drain, Weight::new(500), &facts));
        let resumed = records.set_duty(&id, Duty::Serve).await.expect("stored");
        assert_eq!((resumed.intent.duty, resumed.intent.weight), (Duty::Serve, Weight::new(500)));
        records.set_duty(&id, Duty::Maintenance).await.expect("stored");
        let weightless = records.set_weight(&id, None).await.expect("stored");
        assert_eq!((weightless.intent.duty, weightless.intent.weight), (Duty::Maintenance, None));
    }

    #[tokio::test]
    async fn a_write_that_never_arrived_is_made_when_it_was_looked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let (records, faults) = records(&folder).await;
        let id: NodeId = "a".parse().expect("valid");
        faults.fail_next(1);
        records.create(&registration("a", 1), UnixMillis(5)).await.expect("created");
        let current = records.store.get(&key(&id)).await.expect("readable").expect("there");
        assert_eq!(decode(&id, &current).expect("sound").secret, SecretDigest([1; 32]));
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_no_decision() {
        let folder = tempfile::tempdir().expect("a folder");
        let (records, faults) = records(&folder).await;
        faults.go_away();
        let why = records.create(&registration("a", 1), UnixMillis(5)).await.expect_err("away");
        assert!(matches!(why, WriteError::Store(Error::Unavailable { .. })), "{why}");
    }
}
