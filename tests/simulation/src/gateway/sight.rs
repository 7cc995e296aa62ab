//! What a gateway takes a node for, as `ferry_gateway::sight` and its keeper do: the merged word, as far as the gateway's own probes and the word's age leave
//! that standing.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use ferry_core::{
    ageing::{Average, FORGOTTEN_AFTER, FRESH_FOR, faded},
    id::{Incarnation, NodeId},
    membership::Probe,
    merge::Merge,
    node::{NodeState, NodeView},
    probing::{ALONE_AFTER, Probing},
    time::Tick,
};

use crate::message::{Act, Context};

/// Nodes that are looked at at one time.
const PROBES: usize = 64;
/// Longer than a probe takes.
const LONGEST: Duration = Duration::from_millis(1900);
/// How often the gateway looks at the clock while nobody speaks.
const FADE_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Sight {
    probing: Probing,
    /// Nobody can have spoken before.
    began: Tick,
    to_probe: VecDeque<(NodeId, Incarnation)>,
    /// Since when.
    under_way: BTreeMap<NodeId, Tick>,
}

impl Sight {
    pub(super) fn new(now: Tick) -> Self {
        Self { probing: Probing::default(), began: now, to_probe: VecDeque::new(), under_way: BTreeMap::new() }
    }

    /// Takes note of what coordinators say, and begins to look at whoever is due.
    pub(super) fn look(&mut self, context: &mut Context<'_>, merge: &Merge, changed: &BTreeSet<NodeId>) {
        for id in changed {
            match merge.view(id) {
                Some(view) => self.probing.note(context.now, view),
                None => self.probing.forget(id),
            }
        }
        let silence = self.silence(context.now, merge);
        self.probing.attend(context.now, silence.is_some_and(|silence| silence >= ALONE_AFTER));
        self.to_probe.extend(self.probing.take_due(context.now));
        while self.under_way.len() < PROBES
            && let Some((id, incarnation)) = self.to_probe.pop_front()
        {
            // Who was removed since is looked at by nobody.
            if merge.view(&id).is_some() {
                self.under_way.insert(id.clone(), context.now);
                context.acts.push(Act::Probe { id, incarnation });
            }
        }
    }

    pub(super) fn probed(&mut self, now: Tick, id: &NodeId, incarnation: Incarnation, probe: Probe) {
        // Of one that took so long because this gateway was stopped, only a good answer says anything.
        let was_here = self.under_way.remove(id).is_some_and(|begun| now.since(begun) < LONGEST);
        let probe = Some(probe).filter(|probe| was_here || *probe == Probe::Well);
        // What the node is newly taken for is for a log.
        let _turned = self.probing.probed(now, id, incarnation, probe);
    }

    pub(super) fn judge(&self, view: &NodeView) -> NodeState {
        self.probing.judge(view)
    }

    /// Every node as it is taken to be, for a table.
    pub(super) fn picture(&self, now: Tick, merge: &Merge) -> Vec<NodeView> {
        let silence = self.silence(now, merge).filter(|silence| *silence >= FRESH_FOR);
        let average = Average::of(merge.views());
        let seen = |view: &NodeView| NodeView {
            state: self.judge(view),
            load: silence.map_or(view.load, |silence| faded(view, &average, silence)),
            ..view.clone()
        };
        merge.views().map(seen).collect()
    }

    /// When time alone changes something next.
    pub(super) fn next_deadline(&self, now: Tick, merge: &Merge) -> Option<Tick> {
        let silence = self.silence(now, merge).filter(|silence| *silence < FORGOTTEN_AFTER + FADE_EVERY);
        [self.probing.next_deadline(), silence.map(|_| now + FADE_EVERY)].into_iter().flatten().min()
    }

    /// For how long no coordinator has spoken, if none is live.
    fn silence(&self, now: Tick, merge: &Merge) -> Option<Duration> {
        let speaks = merge.live_coordinators(now) > 0;
        (!speaks).then(|| merge.age(now).unwrap_or_else(|| now.since(self.began)))
    }
}
