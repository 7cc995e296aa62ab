//! A node's agent: registers with every coordinator it knows, beats, and hears what the cluster wants.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ferry_core::{
    id::Incarnation,
    load::Load,
    membership::{Registration, SecretDigest},
    node::NodeFacts,
};
use rand::RngExt as _;

use crate::{
    links::Links,
    message::{Act, Context, Input, Message, StreamId, Timer},
    party::node_id,
};

const BEAT_EVERY: Duration = Duration::from_secs(1);
/// Beats are spread by so much.
const SPREAD: f64 = 0.2;
/// How long a node that was asked to stop still serves what it began.
const LONGEST_FINISH: Duration = Duration::from_secs(8);

#[derive(Debug)]
pub(crate) struct Node {
    links: Links,
    sequence: u64,
    stopping: bool,
    registration: Registration,
    /// Whom each coordinator named.
    named: BTreeMap<StreamId, Arc<[usize]>>,
}

/// What node `index` registers in a life of that number.
fn facts(index: usize, life: u64) -> NodeFacts {
    NodeFacts {
        address: format!("n{index}.example:8001").parse().ok(),
        region: format!("r{}", index % 3).parse().ok(),
        software: format!("build {}", life / 4),
        ..NodeFacts::named(node_id(index))
    }
}

impl Node {
    pub(crate) fn new(index: usize, life: u64, incarnation: Incarnation, configured: BTreeSet<usize>) -> Self {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&(index as u64).to_le_bytes());
        let facts = Arc::new(facts(index, life));
        let registration = Registration { facts, secret: SecretDigest(secret), incarnation, draining: false };
        let links = Links::new(configured, Message::Register(Box::new(registration.clone())));
        Self { links, sequence: 0, stopping: false, registration, named: BTreeMap::new() }
    }

    pub(crate) const fn incarnation(&self) -> Incarnation {
        self.registration.incarnation
    }

    pub(crate) fn take(&mut self, context: &mut Context<'_>, input: Input) {
        match input {
            Input::Start => self.links.begin(context),
            Input::Said { stream, message } => self.hear(context, stream, message),
            Input::Lost(stream) => self.lose(context, stream),
            Input::Timer(Timer::Redial(coordinator)) => self.links.redial(context, coordinator),
            Input::Timer(Timer::Patience(stream)) => self.links.lose_patience(context, stream),
            Input::Timer(Timer::Beat(stream)) if self.links.stands(stream) => self.beat(context, stream),
            Input::Timer(Timer::Exit) => self.leave(context),
            Input::Stop if !self.stopping => self.stop(context),
            _ => {}
        }
    }

    fn hear(&mut self, context: &mut Context<'_>, stream: StreamId, message: Message) {
        match message {
            Message::Welcome { peers } if self.links.welcomed(context.now, stream) => {
                self.follow(context, stream, peers);
                self.beat(context, stream);
            }
            Message::Cluster { peers } => self.follow(context, stream, peers),
            _ => {}
        }
    }

    fn follow(&mut self, context: &mut Context<'_>, stream: StreamId, peers: Arc<[usize]>) {
        self.named.insert(stream, peers);
        let all: BTreeSet<usize> = self.named.values().flat_map(|peers| peers.iter().copied()).collect();
        self.links.discover(context, all);
    }

    fn lose(&mut self, context: &mut Context<'_>, stream: StreamId) {
        if self.links.lost(context, stream).is_some() && self.named.len() > 1 {
            // With all of them gone, the last words stand.
            self.named.remove(&stream);
        }
    }

    /// One beat, and the next one in due time.
    fn beat(&mut self, context: &mut Context<'_>, stream: StreamId) {
        self.say(context, stream);
        let spread = context.random.random_range(1.0 - SPREAD..=1.0 + SPREAD);
        context.after(BEAT_EVERY.mul_f64(spread), Timer::Beat(stream));
    }

    fn say(&mut self, context: &mut Context<'_>, stream: StreamId) {
        self.sequence += 1;
        let load = Load { bytes_per_second: context.random.random_range(0..1 << 20), ..Load::default() };
        context.send(stream, Message::Beat { sequence: self.sequence, load, draining: self.stopping });
    }

    /// Asked to stop: says so at once, finishes what it began, and takes its leave.
    fn stop(&mut self, context: &mut Context<'_>) {
        self.stopping = true;
        self.registration.draining = true;
        self.links.opening = Message::Register(Box::new(self.registration.clone()));
        let standing: Vec<_> = self.links.standing().collect();
        for (_, stream) in standing {
            self.say(context, stream);
        }
        let finish = context.random.random_range(Duration::ZERO..LONGEST_FINISH);
        context.after(finish, Timer::Exit);
    }

    fn leave(&mut self, context: &mut Context<'_>) {
        for (_, stream) in self.links.standing() {
            context.send(stream, Message::Goodbye);
        }
        context.acts.push(Act::Exit);
    }
}
