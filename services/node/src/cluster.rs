//! What the node knows of its cluster: the ring that proves gateways, the other coordinators, and whether anybody stands guard.
//!
//! Several coordinators speak; their words are merged here. What was merged last stands when they are gone, over restarts too (P2).

mod saved;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use ferry_core::{merge::Peer, ring::KeyRing};
use ferry_proto::{
    convert::{Invalid, access_from_wire},
    v1,
};
use ferry_runtime::{Clock, Tasks};
use tokio::sync::watch;

/// What is known now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    /// Verifies the tokens of gateways; `None` until a coordinator had one.
    pub(crate) ring: Option<KeyRing>,
    /// Whether downloads without a token are refused; `None` until a gateway said.
    pub(crate) guarded: Option<bool>,
    /// The coordinators that live.
    pub(crate) coordinators: Vec<Peer>,
}

/// One coordinator's stream, for as long as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Session(u64);

/// The knowledge, shared by the streams that bring it and the door that uses it; a cheap clone of the same one.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    state: Arc<watch::Sender<State>>,
    peers: Arc<watch::Sender<Vec<Peer>>>,
}

#[derive(Debug, Default)]
struct State {
    facts: Arc<Facts>,
    /// What each standing stream said of the guard and the coordinators.
    words: BTreeMap<Session, Facts>,
    sessions: u64,
    /// How far the coordinators' clock is ahead.
    clock_offset_millis: i64,
}

impl Cluster {
    /// Nothing is known yet.
    pub(crate) fn new() -> Self {
        Self { state: Arc::new(watch::Sender::default()), peers: Arc::new(watch::Sender::default()) }
    }

    /// Begins with what an earlier life wrote down, and writes down what is learnt, in a task of its own.
    pub(crate) fn keep(&self, path: PathBuf, clock: &Clock, tasks: &Tasks) {
        match saved::load(&path) {
            Ok(None) => {}
            Ok(Some((facts, clock_offset_millis))) => {
                clock.restore_offset(clock_offset_millis);
                self.peers.send_replace(facts.coordinators.clone());
                self.state.send_modify(|state| {
                    state.facts = Arc::new(facts);
                    state.clock_offset_millis = clock_offset_millis;
                });
            }
            // The coordinators will say it all again; only a start without them would have needed it.
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "starting without what was known of the cluster");
            }
        }
        let mut changes = self.state.subscribe();
        changes.mark_unchanged();
        tasks.spawn("cluster file", saved::follow(path, changes, tasks.stop_token()));
    }

    /// What is known now.
    pub(crate) fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.state.borrow().facts)
    }

    /// Whether downloads without a token are refused, as far as that is known.
    pub(crate) fn guarded(&self) -> Option<bool> {
        self.state.borrow().facts.guarded
    }

    /// The coordinators that others name, as they come and go.
    pub(crate) fn discovered(&self) -> watch::Receiver<Vec<Peer>> {
        self.peers.subscribe()
    }

    /// A stream stands.
    pub(crate) fn open(&self) -> Session {
        let mut session = Session(0);
        self.state.send_if_modified(|state| {
            state.sessions += 1;
            session = Session(state.sessions);
            false
        });
        session
    }

    /// A coordinator said this.
    pub(crate) fn hear(&self, session: Session, word: Facts) {
        self.change(|state| {
            let merged = state.words.entry(session).insert_entry(word).get().clone();
            state.merged(&merged)
        });
    }

    /// A stream ended: what it said stands, but nobody repeats it.
    pub(crate) fn close(&self, session: Session) {
        self.change(|state| {
            state.words.remove(&session);
            Facts::clone(&state.facts)
        });
    }

    /// The coordinators' clock is that far ahead. Less than a second is no news.
    pub(crate) fn note_clock(&self, offset_millis: i64) {
        self.state.send_if_modified(|state| {
            let news = offset_millis.abs_diff(state.clock_offset_millis) >= 1000;
            if news {
                state.clock_offset_millis = offset_millis;
            }
            news
        });
    }

    fn change(&self, merge: impl FnOnce(&mut State) -> Facts) {
        self.state.send_if_modified(|state| {
            let merged = merge(state);
            let news = merged != *state.facts;
            if news {
                self.peers.send_if_modified(|peers| {
                    let news = *peers != merged.coordinators;
                    peers.clone_from(&merged.coordinators);
                    news
                });
                state.facts = Arc::new(merged);
            }
            news
        });
    }
}

impl State {
    /// The merge of all standing words; `word` is the last of them.
    fn merged(&self, word: &Facts) -> Facts {
        let known = &self.facts;
        // The store's revision orders rings, whoever passes them on: the highest is the last decision.
        let newer = |ring: &&KeyRing| known.ring.as_ref().is_none_or(|known| ring.revision >= known.revision);
        let ring = word.ring.as_ref().filter(newer).or(known.ring.as_ref()).cloned();
        let guards: Vec<_> = self.words.values().map(|word| word.guarded).collect();
        let guarded = if guards.contains(&Some(true)) {
            Some(true)
        } else if guards.iter().all(|guard| *guard == Some(false)) {
            Some(false)
        } else {
            // Somebody does not know (yet): no reason to open what was closed.
            known.guarded
        };
        let mut coordinators: Vec<_> = self.words.values().flat_map(|word| &word.coordinators).cloned().collect();
        coordinators.sort_unstable_by(|a, b| (&a.id, &a.url).cmp(&(&b.id, &b.url)));
        coordinators.dedup();
        Facts { ring, guarded, coordinators }
    }
}

impl TryFrom<v1::ClusterFacts> for Facts {
    type Error = Invalid;

    fn try_from(wire: v1::ClusterFacts) -> Result<Self, Invalid> {
        Ok(Self {
            guarded: access_from_wire(wire.access()),
            ring: wire.node_ring.map(TryInto::try_into).transpose()?,
            coordinators: wire.coordinators.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests;
