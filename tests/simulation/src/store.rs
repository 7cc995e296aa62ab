//! The store: linearizable, one revision for everything, leases for the coordinators' presence, and a watch.
//!
//! Who watches is told of every change, in order; a watch that loses one is over, and begins again with a listing.

use std::{collections::BTreeMap, time::Duration};

use ferry_core::{
    id::NodeId,
    membership::{Record, Registration},
    node::{Duty, Intent},
    time::{Tick, UnixMillis},
};

use crate::message::{Ask, StreamId, Told};

/// How long a coordinator's presence outlasts its last sign of life.
const LEASE: Duration = Duration::from_secs(6);

#[derive(Debug, Default)]
pub(crate) struct Store {
    revision: u64,
    pub(crate) records: BTreeMap<NodeId, Record>,
    presence: BTreeMap<usize, Tick>,
    /// It answers nobody.
    pub(crate) away: bool,
    /// The watches: of which coordinator, in which life of it, and when its last event arrives.
    pub(crate) watches: BTreeMap<usize, (u64, Tick)>,
}

/// What came of a question: the answer for whoever asked, and what all who watch are told.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) answer: Option<Told>,
    pub(crate) news: Option<Told>,
}

impl Store {
    pub(crate) fn answer(&mut self, now: Tick, coordinator: usize, life: u64, ask: Ask) -> Outcome {
        match ask {
            Ask::Read => {
                self.watches.insert(coordinator, (life, now));
                let listing = Told::Listing { records: self.records.values().cloned().collect(), peers: self.peers() };
                Outcome { answer: Some(listing), news: None }
            }
            Ask::Create { stream, registration } => self.create(stream, registration),
            Ask::Save { id, facts } => {
                let Some(record) = self.records.get_mut(&id).filter(|record| record.facts != facts) else {
                    return Outcome::default();
                };
                self.revision += 1;
                record.facts = facts;
                record.intent.revision = self.revision;
                Outcome { answer: None, news: Some(Told::Record(record.clone())) }
            }
            Ask::Hold => {
                let news = self.presence.insert(coordinator, now + LEASE).is_none();
                Outcome { answer: None, news: news.then(|| Told::Peers(self.peers())) }
            }
        }
    }

    fn create(&mut self, stream: StreamId, registration: Box<Registration>) -> Outcome {
        let id = registration.facts.id.clone();
        let mut news = None;
        if !self.records.contains_key(&id) {
            self.revision += 1;
            let intent = Intent { revision: self.revision, ..Intent::default() };
            let facts = registration.facts.clone();
            let record = Record { facts, secret: registration.secret, first_seen: UnixMillis(0), intent };
            news = Some(Told::Record(record.clone()));
            self.records.insert(id.clone(), record);
        }
        let record = self.records[&id].clone();
        Outcome { answer: Some(Told::Created { stream, registration, record }), news }
    }

    /// An operator's decision; `None` if nobody is called that.
    pub(crate) fn decide(&mut self, id: &NodeId, duty: Duty) -> Option<Told> {
        let record = self.records.get_mut(id)?;
        self.revision += 1;
        record.intent = Intent { duty, revision: self.revision, ..record.intent };
        Some(Told::Record(record.clone()))
    }

    /// Ends the leases whose holders were not heard.
    pub(crate) fn expire(&mut self, now: Tick) -> Option<Told> {
        let before = self.presence.len();
        self.presence.retain(|_, until| now < *until);
        (self.presence.len() < before).then(|| Told::Peers(self.peers()))
    }

    fn peers(&self) -> Vec<usize> {
        self.presence.keys().copied().collect()
    }
}
