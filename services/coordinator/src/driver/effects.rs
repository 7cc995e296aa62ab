//! From inputs to events, and from effects to deeds.

use std::sync::Arc;

use ferry_core::{
    id::{GatewayId, Incarnation, NodeId},
    membership::{Effect, Event, MOST_NODES, Record, Refusal, Registration, SessionId},
    merge::Tombstone,
    node::NodeFacts,
};
use ferry_proto::{VERSION, v1};
use tokio::sync::watch;
use tonic::{Code, Status};
use tracing::{debug, info, warn};

use super::{
    Driver, PROBE_AGAIN,
    input::{Input, Known, NoAnswer, Question},
    until_stored,
};
use crate::{grpc, records::WriteError};

impl Driver {
    pub(super) fn take(&mut self, input: Input) {
        match input {
            Input::Attend { session, registration, outbox } => self.attend(session, registration, outbox),
            Input::Beat { session, sequence, load, draining } => {
                self.figures.beats.inc();
                self.happen(Event::Beat { session, sequence, load, draining });
            }
            Input::Ended { session, end } => {
                self.sessions.close(session);
                self.happen(Event::Ended { session, end });
            }
            Input::Probed { id, incarnation, probe } => {
                self.happen(Event::Probed { id, incarnation, probe });
            }
            Input::Subscribe { gateway, guarded, outbox } => {
                self.subscribers.open(outbox);
                if let Some(guarded) = guarded {
                    self.guard(gateway, guarded);
                }
            }
            Input::Created { session, registration, record } => {
                self.creating -= 1;
                let id = record.facts.id.clone();
                self.happen(Event::Record(record));
                if self.membership.find_record(&id).is_none() {
                    // To create it again at once could go on for ever; the node redials when it likes.
                    return self.refuse(session, grpc::refusal(&Refusal::Removed));
                }
                // A node that gave up waiting has redialled: its old stream must not displace the new one.
                if self.sessions.is_open(session) {
                    self.happen(Event::Attend { session, registration });
                }
            }
            Input::NotCreated { session, why } => {
                self.creating -= 1;
                self.refuse(session, why);
            }
            Input::Guarded { gateway, guarded } => {
                if let Some(word) = self.guard_writes.end(&gateway, guarded) {
                    self.write_guard(gateway.clone(), word);
                }
                self.set_guard(gateway, guarded);
            }
            Input::Written(record) => self.happen(Event::Record(record)),
            Input::Saved(id) => {
                if let Some(facts) = self.saves.end(&id) {
                    self.write(facts);
                }
            }
            Input::Removed { id, revision } => self.happen(Event::Forgotten { id, revision }),
            Input::Ask(question) => self.answer(question),
        }
    }

    /// Applies one event to the membership and does what follows.
    pub(super) fn happen(&mut self, event: Event) {
        for effect in self.membership.step(self.clock.now(), event) {
            self.perform(effect);
        }
    }

    /// A gateway says whether it has a route that is not open. A closed one is remembered in the store; it is nodes that act on
    /// it, and they hear of it when it is there.
    pub(super) fn guard(&mut self, gateway: GatewayId, guarded: bool) {
        if !self.any_gateway {
            self.any_gateway = true;
            self.tell_nodes();
        }
        let stored = self.guards.contains(&gateway);
        if let Some(word) = self.guard_writes.begin(&gateway, guarded, stored) {
            self.write_guard(gateway, word);
        }
    }

    /// Stores the gateway's word as it is when an attempt begins: it may change while the store is away.
    fn write_guard(&self, gateway: GatewayId, word: watch::Receiver<bool>) {
        let (records, handle, figures) = (self.records.clone(), self.handle.clone(), self.figures.clone());
        let stop = self.tasks.stop_token();
        self.tasks.spawn("store guard", async move {
            let stored = until_stored("a gateway's word on its routes", &figures, || {
                let guarded = *word.borrow();
                let (records, gateway) = (&records, &gateway);
                async move { records.set_guard(gateway, guarded).await.map(|()| guarded) }
            });
            if let Some(guarded) = stop.run_until_cancelled(stored).await {
                let _ = handle.put(Input::Guarded { gateway, guarded }).await;
            }
        });
    }

    fn attend(&mut self, session: SessionId, registration: Box<Registration>, outbox: crate::sessions::Outbox) {
        self.sessions.open(session, outbox);
        if self.read {
            self.happen(Event::Attend { session, registration });
        } else {
            self.refuse(session, NoAnswer::NotRead.into());
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Create { session, registration } => match self.may_create(session) {
                Ok(()) => self.create(session, registration),
                Err(why) => self.refuse(session, why),
            },
            Effect::Save { facts, .. } => self.save(facts),
            Effect::Welcome { session, intent } => {
                let welcome = v1::Welcome {
                    version: VERSION,
                    coordinator_id: self.me.id.as_str().to_owned(),
                    coordinator_incarnation: self.subscribers.incarnation().0,
                    beat_every_ms: u32::try_from(self.timing.beat_every.as_millis()).unwrap_or(u32::MAX),
                    cluster: Some(self.cluster_facts()),
                    intent: Some(intent.into()),
                };
                self.sessions.send(session, v1::attend_response::Body::Welcome(welcome));
            }
            Effect::Refuse { session, why } | Effect::End { session, why } => {
                self.refuse(session, grpc::refusal(&why));
            }
            Effect::Command { session, intent } => {
                let command = v1::Command { body: Some(v1::command::Body::Intent(intent.into())) };
                self.sessions.send(session, v1::attend_response::Body::Command(command));
            }
            Effect::Publish { id } => drop(self.changed.insert(id)),
            Effect::Unpublish { id, revision } => {
                info!(node = %id, "node removed");
                self.changed.remove(&id);
                self.removed.push(Tombstone { id, revision });
            }
            Effect::Changed { id, from, to } => info!(node = %id, %from, %to, "node changed its state"),
            Effect::Probe { id, incarnation } => self.probe(id, incarnation),
            Effect::Contested { id, facts: [speaks, other] } => {
                self.figures.contested.inc();
                warn!(
                    node = %id,
                    speaks = speaks.place().map(ToString::to_string),
                    other = other.place().map(ToString::to_string),
                    "two living processes have this node's identity, as when a disk is cloned: give one of them another storage path"
                );
            }
            Effect::Ignored { session } => {
                self.figures.beats_ignored.inc();
                debug!(session = session.0, "ignored a beat that is older than the last one");
            }
        }
    }

    fn refuse(&mut self, session: SessionId, why: Status) {
        self.figures.refusals.inc();
        if why.code() == Code::Unavailable {
            // Every node asks again each second while the store is away; that it is, was said.
            debug!(session = session.0, reason = why.message(), "stream put off");
        } else {
            warn!(session = session.0, reason = why.message(), "stream refused");
        }
        self.sessions.refuse(session, why);
    }

    /// Looks at a node from here. Not at more than a few at a time: where very many fell silent, some are looked at later, and stay in doubt until then.
    fn probe(&self, id: NodeId, incarnation: Incarnation) {
        let Some(facts) = self.membership.find_record(&id).map(|record| Arc::clone(&record.facts)) else { return };
        let (handle, probes, prober) = (self.handle.clone(), Arc::clone(&self.probes), self.prober.clone());
        self.figures.probes.inc();
        let (clock, stop) = (self.clock.clone(), self.tasks.stop_token());
        self.tasks.spawn("probe", async move {
            let probe = async {
                loop {
                    let turn = probes.acquire().await.ok()?;
                    if let Some(probe) = prober.probe(&facts).await {
                        return Some(probe);
                    }
                    drop(turn);
                    clock.sleep(PROBE_AGAIN).await;
                }
            };
            let Some(Some(probe)) = stop.run_until_cancelled(probe).await else { return };
            // The loop ends only with the process; then nobody waits for this.
            let _ = handle.put(Input::Probed { id, incarnation, probe }).await;
        });
    }

    /// Whether the stream's node may be recorded, which nobody knows yet.
    fn may_create(&self, session: SessionId) -> Result<(), Status> {
        if !self.sessions.is_invited(session) {
            return Err(Status::permission_denied("a node that nobody knows yet must bring the join token"));
        }
        if self.membership.len() + self.creating >= MOST_NODES {
            let full = format!(
                "{MOST_NODES} nodes are on record, which is the most: `ferry nodes remove` those that are gone"
            );
            return Err(Status::resource_exhausted(full));
        }
        Ok(())
    }

    fn create(&mut self, session: SessionId, registration: Box<Registration>) {
        let (records, handle, figures) = (self.records.clone(), self.handle.clone(), self.figures.clone());
        let (writes, now) = (Arc::clone(&self.writes), self.clock.wall());
        self.creating += 1;
        self.tasks.spawn("create node record", async move {
            let Ok(_turn) = writes.acquire().await else { return };
            let input = match records.create(&registration, now).await {
                Ok(record) => Input::Created { session, registration, record },
                Err(error) => {
                    figures.store_failures.inc();
                    Input::NotCreated { session, why: grpc::write_status(&error) }
                }
            };
            // The loop ends only with the process; then nobody waits for this.
            let _ = handle.put(input).await;
        });
    }

    pub(super) fn save(&mut self, facts: Arc<NodeFacts>) {
        if self.saves.begin(&facts) {
            self.write(facts);
        }
    }

    fn write(&self, facts: Arc<NodeFacts>) {
        let id = facts.id.clone();
        let (records, handle, figures) = (self.records.clone(), self.handle.clone(), self.figures.clone());
        let writes = Arc::clone(&self.writes);
        self.tasks.spawn("save node facts", async move {
            let Ok(_turn) = writes.acquire().await else { return };
            match records.save_facts(&id, &facts).await {
                Ok(record) => drop(handle.put(Input::Written(record)).await),
                Err(WriteError::Unknown(_)) => {} // Removed meanwhile.
                Err(error) => {
                    // The next reading of the store tries again.
                    figures.store_failures.inc();
                    warn!(node = %id, error = &error as &dyn std::error::Error, "the node's new facts were not stored");
                }
            }
            // The loop ends only with the process; then nobody waits for this.
            let _ = handle.put(Input::Saved(id)).await;
        });
    }

    fn answer(&self, question: Question) {
        if !self.read {
            return;
        }
        // Whoever asked may have given up: then there is nobody to answer.
        match question {
            Question::Nodes(reply) => {
                let mut nodes: Vec<_> =
                    self.membership.views(self.clock.now()).filter_map(|view| self.known(&view.facts.id)).collect();
                nodes.sort_by(|one, other| one.view.facts.id.cmp(&other.view.facts.id));
                let _ = reply.send(nodes);
            }
            Question::Node(id, reply) => drop(reply.send(self.known(&id))),
            Question::Coordinators(reply) => drop(reply.send(self.facts.coordinators.clone())),
            Question::UserRing(reply) => drop(reply.send(self.facts.user_ring.clone())),
            Question::Learning(reply) => drop(reply.send(!self.membership.has_learned(self.clock.now()))),
        }
    }

    fn known(&self, id: &NodeId) -> Option<Known> {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let record: &Record = self.membership.find_record(id)?;
        let since = now.since(self.membership.since(id)?);
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Some(Known {
            view: self.membership.view(now, id)?,
            first_seen: record.first_seen,
            since: ferry_core::time::UnixMillis(wall.0.saturating_sub(since)),
            attending: self.membership.is_attending(id),
        })
    }
}
