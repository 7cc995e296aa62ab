//! A gateway's keeper: listens to every coordinator, merges what they say, looks itself where they doubt or are away, and starts again from its copy of
//! the table.

mod sight;

use std::collections::BTreeSet;

use ferry_core::{
    load::Load,
    merge::{self, Body, Epoch, Merge},
    node::{Freshness, NodeState, NodeView},
    time::Tick,
};

use self::sight::Sight;
use crate::{
    links::Links,
    message::{Act, Context, Input, Message, StreamId, Timer},
    party::{coordinator_id, number},
};

#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) merge: Merge,
    sight: Sight,
    links: Links,
    /// Coordinators that the links know of from others.
    named: Vec<usize>,
    wake: Option<Tick>,
}

impl Gateway {
    pub(crate) fn new(merge: Merge, configured: BTreeSet<usize>, now: Tick) -> Self {
        Self {
            merge,
            sight: Sight::new(now),
            links: Links::new(configured, Message::Watch),
            named: Vec::new(),
            wake: None,
        }
    }

    /// What the next life starts from: the table without what changes with every beat.
    pub(crate) fn saved(&self) -> Merge {
        let lasting = |view: &NodeView| NodeView {
            load: Load::default(),
            freshness: Freshness { beat: 0, ..view.freshness },
            heard_ago: std::time::Duration::ZERO,
            ..view.clone()
        };
        let nodes = self.merge.views().map(lasting).collect();
        Merge::from_saved(nodes, self.merge.tombstones().collect(), self.merge.facts().clone())
    }

    /// The coordinators that it has heard on a stream that stands.
    pub(crate) fn listens_to(&self) -> impl Iterator<Item = usize> {
        self.links.standing().map(|(coordinator, _)| coordinator)
    }

    /// What this gateway takes a node for.
    pub(crate) fn judge(&self, view: &NodeView) -> NodeState {
        self.sight.judge(view)
    }

    /// Every node as it goes into the table.
    pub(crate) fn picture(&self, now: Tick) -> Vec<NodeView> {
        self.sight.picture(now, &self.merge)
    }

    pub(crate) fn take(&mut self, context: &mut Context<'_>, input: Input) {
        match input {
            Input::Start => {
                self.links.begin(context);
                self.follow(context);
            }
            Input::Said { stream, message: Message::Update(update) } => self.hear(context, stream, &update),
            Input::Lost(stream) => {
                if let Some((coordinator, true)) = self.links.lost(context, stream) {
                    self.merge.closed(context.now, &coordinator_id(coordinator), merge::StreamId(stream.0));
                }
            }
            Input::Timer(Timer::Redial(coordinator)) => self.links.redial(context, coordinator),
            Input::Timer(Timer::Patience(stream)) => self.links.lose_patience(context, stream),
            Input::Timer(Timer::Wake(at)) if self.wake == Some(at) => {
                self.wake = None;
                self.merge.pass(context.now);
            }
            Input::Probed { id, incarnation, probe } => self.sight.probed(context.now, &id, incarnation, probe),
            _ => {}
        }
        let changes = self.merge.take_changes();
        self.sight.look(context, &self.merge, &changes.nodes);
        self.sleep(context);
    }

    fn hear(&mut self, context: &mut Context<'_>, stream: StreamId, update: &(Epoch, Body)) {
        let (epoch, body) = update;
        if self.links.welcomed(context.now, stream) {
            self.merge.opened(&epoch.coordinator, merge::StreamId(stream.0));
        } else if !self.links.stands(stream) {
            return;
        }
        if self.merge.apply(context.now, epoch, body.clone()).is_err() {
            context.acts.push(Act::Note(epoch.sequence));
        }
        self.follow(context);
    }

    /// Dials whoever the coordinators name.
    fn follow(&mut self, context: &mut Context<'_>) {
        let peers = &self.merge.facts().coordinators;
        let named: Vec<usize> = peers.iter().map(|peer| number(peer.id.as_str())).collect();
        if named != self.named {
            self.named.clone_from(&named);
            self.links.discover(context, named);
        }
    }

    fn sleep(&mut self, context: &mut Context<'_>) {
        let deadlines = [self.merge.next_deadline(context.now), self.sight.next_deadline(context.now, &self.merge)];
        let Some(deadline) = deadlines.into_iter().flatten().min() else { return };
        // Deadlines move away with every mark: one that comes early is set anew.
        if self.wake.is_none_or(|at| deadline < at) {
            self.wake = Some(deadline);
            context.after(deadline.since(context.now), Timer::Wake(deadline));
        }
    }
}
