//! A coordinator's loop around core's membership, as `ferry_coordinator::driver` runs it.
//!
//! It lets nobody in before it has read the store, says nothing before it has learned, tells changes within 10 ms and loads with the marks.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use ferry_core::{
    id::{Incarnation, NodeId},
    membership::{Effect, End, Event, Membership, SessionId, Timing},
    merge::{Body, Epoch, GatewayFacts, Report},
    node::NodeState,
    time::Tick,
};
use rand::RngExt as _;

use crate::{
    message::{Act, Ask, Context, Input, Message, StreamId, Timer, Told},
    party::{coordinator_id, number, peer},
};

const MARK_EVERY: Duration = Duration::from_millis(500);
/// How often gateways hear of changes at most.
const PUBLISH_EVERY: Duration = Duration::from_millis(10);
/// A third of a lease.
const HOLD_EVERY: Duration = Duration::from_secs(2);
/// Nodes that are looked at at one time.
const PROBES: usize = 256;

#[derive(Debug)]
pub(crate) struct Coordinator {
    pub(crate) membership: Membership,
    /// The store was read since the start.
    read: bool,
    /// The watch on the store stands.
    in_sight: bool,
    epoch: Epoch,
    facts: GatewayFacts,
    peers: Arc<[usize]>,
    /// Nodes' streams; those that were welcomed.
    sessions: BTreeSet<StreamId>,
    welcomed: BTreeSet<StreamId>,
    /// Gateways that have their snapshot, and those that wait for it.
    listeners: BTreeSet<StreamId>,
    waiting: BTreeSet<StreamId>,
    changed: BTreeSet<NodeId>,
    facts_changed: bool,
    publish_at: Tick,
    mark_at: Tick,
    wake: Option<Tick>,
    probing: usize,
    to_probe: VecDeque<(NodeId, Incarnation)>,
    /// When the membership was last told of anything, by the process's own clock.
    acted: Tick,
    /// When which node was found dead.
    deaths: BTreeMap<usize, Vec<Tick>>,
}

impl Coordinator {
    pub(crate) fn new(index: usize, incarnation: Incarnation, now: Tick) -> Self {
        Self {
            membership: Membership::new(Timing::default(), now),
            read: false,
            in_sight: false,
            epoch: Epoch { coordinator: coordinator_id(index), incarnation, sequence: 0 },
            facts: GatewayFacts::default(),
            peers: Arc::default(),
            sessions: BTreeSet::new(),
            welcomed: BTreeSet::new(),
            listeners: BTreeSet::new(),
            waiting: BTreeSet::new(),
            changed: BTreeSet::new(),
            facts_changed: false,
            publish_at: now,
            mark_at: now + MARK_EVERY,
            wake: None,
            probing: 0,
            to_probe: VecDeque::new(),
            acted: now,
            deaths: BTreeMap::new(),
        }
    }

    /// How often it found a node dead since then.
    pub(crate) fn deaths_since(&self, node: usize, then: Tick) -> usize {
        self.deaths.get(&node).map_or(0, |deaths| deaths.iter().filter(|at| **at >= then).count())
    }

    /// Whether it has anything to say about who lives.
    pub(crate) fn speaks(&self, now: Tick) -> bool {
        self.read && self.membership.has_learned(now)
    }

    /// Whether every invariant held when the membership was last told of anything: what it slept through since, it has not seen.
    pub(crate) fn is_sound(&self) -> bool {
        self.membership.is_sound(self.acted)
    }

    pub(crate) const fn sees_the_store(&self) -> bool {
        self.in_sight
    }

    pub(crate) fn take(&mut self, context: &mut Context<'_>, input: Input) {
        match input {
            Input::Start => {
                context.acts.push(Act::Ask(Ask::Read));
                context.after(Duration::ZERO, Timer::HoldLease);
            }
            Input::Said { stream, message } => self.hear(context, stream, message),
            Input::Lost(stream) => self.lost(context, stream, End::Broken),
            Input::Probed { id, incarnation, probe } => {
                self.probing -= 1;
                self.happen(context, Event::Probed { id, incarnation, probe });
            }
            Input::Store(told) => self.see(context, told),
            Input::Timer(Timer::Wake(at)) => {
                if self.wake != Some(at) {
                    return; // Another one was set since.
                }
                self.wake = None;
                self.happen(context, Event::TimePassed);
            }
            Input::Timer(Timer::ReadStore) => context.acts.push(Act::Ask(Ask::Read)),
            Input::Timer(Timer::HoldLease) => {
                context.acts.push(Act::Ask(Ask::Hold));
                context.after(HOLD_EVERY, Timer::HoldLease);
            }
            Input::Timer(_) | Input::Stop => {}
        }
        self.admit(context);
        if self.has_news() && context.now >= self.publish_at {
            self.publish(context);
            self.publish_at = context.now + PUBLISH_EVERY;
        }
        if context.now >= self.mark_at {
            self.mark(context);
            self.mark_at = context.now + MARK_EVERY;
        }
        self.probe(context);
        self.sleep(context);
    }

    fn hear(&mut self, context: &mut Context<'_>, stream: StreamId, message: Message) {
        let session = SessionId(stream.0);
        match message {
            Message::Register(_) if !self.read => context.close(stream),
            Message::Register(registration) => {
                self.sessions.insert(stream);
                self.happen(context, Event::Attend { session, registration });
            }
            Message::Watch => drop(self.waiting.insert(stream)),
            Message::Beat { sequence, load, draining } => {
                self.happen(context, Event::Beat { session, sequence, load, draining });
            }
            Message::Goodbye => self.lost(context, stream, End::Goodbye),
            Message::Unheard => self.lost(context, stream, End::Unheard),
            _ => {}
        }
    }

    fn lost(&mut self, context: &mut Context<'_>, stream: StreamId, end: End) {
        self.listeners.remove(&stream);
        self.waiting.remove(&stream);
        self.welcomed.remove(&stream);
        if self.sessions.remove(&stream) {
            self.happen(context, Event::Ended { session: SessionId(stream.0), end });
        }
    }

    fn see(&mut self, context: &mut Context<'_>, told: Told) {
        match told {
            Told::Listing { records, peers } => {
                self.in_sight = true;
                for record in records {
                    self.happen(context, Event::Record(record));
                }
                self.name(context, &peers);
                if !self.read {
                    self.read = true;
                    self.membership.begin_learning(context.now);
                }
            }
            Told::OutOfSight => {
                self.in_sight = false;
                let wait = context.random.random_range(Duration::from_millis(100)..Duration::from_secs(1));
                context.after(wait, Timer::ReadStore);
            }
            Told::Record(record) => self.happen(context, Event::Record(record)),
            Told::Peers(peers) => self.name(context, &peers),
            Told::Created { stream, registration, record } => {
                self.happen(context, Event::Record(record));
                if self.sessions.contains(&stream) {
                    self.happen(context, Event::Attend { session: SessionId(stream.0), registration });
                }
            }
            Told::NotCreated { stream } => self.refuse(context, stream),
        }
    }

    fn name(&mut self, context: &mut Context<'_>, peers: &[usize]) {
        if *self.peers == *peers {
            return;
        }
        self.peers = peers.into();
        self.facts.coordinators = peers.iter().map(|index| peer(*index)).collect();
        self.facts_changed = true;
        for stream in &self.welcomed {
            context.send(*stream, Message::Cluster { peers: Arc::clone(&self.peers) });
        }
    }

    fn happen(&mut self, context: &mut Context<'_>, event: Event) {
        self.acted = context.now;
        for effect in self.membership.step(context.now, event) {
            self.perform(context, effect);
        }
    }

    fn perform(&mut self, context: &mut Context<'_>, effect: Effect) {
        match effect {
            Effect::Create { session, registration } => {
                context.acts.push(Act::Ask(Ask::Create { stream: StreamId(session.0), registration }));
            }
            Effect::Save { id, facts } => context.acts.push(Act::Ask(Ask::Save { id, facts })),
            Effect::Welcome { session, .. } => {
                self.welcomed.insert(StreamId(session.0));
                context.send(StreamId(session.0), Message::Welcome { peers: Arc::clone(&self.peers) });
            }
            Effect::Refuse { session, .. } | Effect::End { session, .. } => {
                self.refuse(context, StreamId(session.0));
            }
            Effect::Publish { id } => drop(self.changed.insert(id)),
            Effect::Unpublish { id, .. } => drop(self.changed.remove(&id)),
            Effect::Probe { id, incarnation } => self.to_probe.push_back((id, incarnation)),
            Effect::Changed { id, from, to } => {
                if to == NodeState::Down {
                    self.deaths.entry(number(id.as_str())).or_default().push(context.now);
                }
                context.acts.push(Act::Note(from as u64 * 16 + to as u64));
            }
            // A node knows nothing in this model of what operators decided about it.
            Effect::Command { .. } | Effect::Contested { .. } | Effect::Ignored { .. } => {}
        }
    }

    /// The stream ends; that comes back as an event, as it does in the real driver.
    fn refuse(&mut self, context: &mut Context<'_>, stream: StreamId) {
        context.close(stream);
        self.welcomed.remove(&stream);
        if self.sessions.remove(&stream) {
            self.happen(context, Event::Ended { session: SessionId(stream.0), end: End::Broken });
        }
    }

    fn admit(&mut self, context: &mut Context<'_>) {
        if self.waiting.is_empty() || !self.speaks(context.now) {
            return;
        }
        let nodes = self.membership.views(context.now).collect();
        let body = Body::Snapshot { nodes, removed: Vec::new(), facts: self.facts.clone() };
        let update = self.next(body);
        for stream in mem::take(&mut self.waiting) {
            context.send(stream, update.clone());
            self.listeners.insert(stream);
        }
    }

    fn has_news(&self) -> bool {
        !self.changed.is_empty() || self.facts_changed
    }

    fn publish(&mut self, context: &mut Context<'_>) {
        let changed = mem::take(&mut self.changed);
        let body = Body::Delta {
            nodes: changed.iter().filter_map(|id| self.membership.view(context.now, id)).collect(),
            loads: Vec::new(),
            removed: Vec::new(),
            facts: mem::take(&mut self.facts_changed).then(|| self.facts.clone()),
        };
        self.tell(context, body);
    }

    fn mark(&mut self, context: &mut Context<'_>) {
        let touched = self.membership.take_touched();
        let views = touched.iter().filter_map(|id| self.membership.view(context.now, id));
        let loads: Vec<Report> = views.map(|view| Report::from(&view)).collect();
        let body = if loads.is_empty() {
            Body::Mark
        } else {
            Body::Delta { nodes: Vec::new(), loads, removed: Vec::new(), facts: None }
        };
        self.tell(context, body);
    }

    fn tell(&mut self, context: &mut Context<'_>, body: Body) {
        let update = self.next(body);
        for stream in &self.listeners {
            context.send(*stream, update.clone());
        }
    }

    fn next(&mut self, body: Body) -> Message {
        self.epoch.sequence += 1;
        Message::Update(Arc::new((self.epoch.clone(), body)))
    }

    /// Looks at as many nodes as may be looked at at one time.
    fn probe(&mut self, context: &mut Context<'_>) {
        while self.probing < PROBES
            && let Some((id, incarnation)) = self.to_probe.pop_front()
        {
            self.probing += 1;
            context.acts.push(Act::Probe { id, incarnation });
        }
    }

    fn sleep(&mut self, context: &mut Context<'_>) {
        let publish = self.has_news().then_some(self.publish_at);
        let deadline = [self.membership.next_deadline(), publish].into_iter().flatten().fold(self.mark_at, Tick::min);
        if self.wake != Some(deadline) {
            self.wake = Some(deadline);
            context.after(deadline.since(context.now), Timer::Wake(deadline));
        }
    }
}
