//! What this gateway takes a node for: the coordinators' last word on it, as far as its age and the gateway's own probes leave that standing.

mod said;

use std::{borrow::Cow, collections::BTreeSet, time::Duration};

use ferry_core::{
    ageing::{Average, FORGOTTEN_AFTER, FRESH_FOR, faded},
    id::{Incarnation, NodeId},
    membership::Probe,
    merge::Merge,
    node::NodeView,
    probing::{ALONE_AFTER, Probing},
    time::Tick,
};

use self::said::Said;

/// How often loads are taken down while nobody speaks.
const FADE_EVERY: Duration = Duration::from_secs(1);

/// The gateway's own part of the picture.
#[derive(Debug)]
pub(crate) struct Sight {
    probing: Probing,
    /// Nobody can have spoken before.
    began: Tick,
    fading: Option<Fading>,
    said: Said,
}

/// While nobody speaks.
#[derive(Debug)]
struct Fading {
    average: Average,
    next: Tick,
}

impl Sight {
    pub(crate) fn new(now: Tick) -> Self {
        Self { probing: Probing::default(), began: now, fading: None, said: Said::default() }
    }

    /// Takes note of what coordinators say; returns the nodes that look otherwise for another reason: since time passed, or somebody speaks again.
    pub(crate) fn look(&mut self, now: Tick, merge: &Merge, changed: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        for id in changed {
            match merge.view(id) {
                Some(view) => self.probing.note(now, view),
                None => self.probing.forget(id),
            }
        }
        let silence = self.silence(now, merge);
        let alone = silence.filter(|silence| *silence >= ALONE_AFTER);
        // A copy from the disk is hearsay, however young: who had died before it was read is found out before anybody would be missed.
        let by_hearsay = silence.is_some() && merge.age(now).is_none();
        self.probing.attend(now, alone.is_some() || by_hearsay);
        self.said.alone(alone, self.probing.len());
        let all = || merge.views().map(|view| view.facts.id.clone()).collect();
        match (silence.filter(|silence| *silence >= FRESH_FOR), &mut self.fading) {
            (Some(_), None) => {
                self.fading = Some(Fading { average: Average::of(merge.views()), next: now + FADE_EVERY });
                all()
            }
            (Some(silence), Some(fading)) if now >= fading.next && silence < FORGOTTEN_AFTER + 2 * FADE_EVERY => {
                fading.next = now + FADE_EVERY;
                all()
            }
            (None, Some(_)) => {
                self.fading = None;
                all()
            }
            (Some(_), Some(_)) | (None, None) => BTreeSet::new(),
        }
    }

    /// A node as it is taken to be.
    pub(crate) fn word<'v>(&self, now: Tick, merge: &'v Merge, id: &NodeId) -> Option<Cow<'v, NodeView>> {
        let view = merge.view(id)?;
        let state = self.probing.judge(view);
        let load = match (&self.fading, self.silence(now, merge)) {
            (Some(fading), Some(silence)) => faded(view, &fading.average, silence),
            _ => view.load,
        };
        Some(match state == view.state && load == view.load {
            true => Cow::Borrowed(view),
            false => Cow::Owned(NodeView { state, load, ..view.clone() }),
        })
    }

    /// Whom to probe now; they are under way from here on.
    pub(crate) fn take_due(&mut self, now: Tick) -> Vec<(NodeId, Incarnation)> {
        self.probing.take_due(now)
    }

    /// Takes what came of a probe; nothing, if this gateway itself was away meanwhile.
    pub(crate) fn probed(&mut self, now: Tick, id: &NodeId, incarnation: Incarnation, probe: Option<Probe>) {
        if let Some(state) = self.probing.probed(now, id, incarnation, probe) {
            self.said.turned(id, state);
        }
    }

    /// When time alone changes something next.
    pub(crate) fn next_deadline(&self, now: Tick, merge: &Merge) -> Option<Tick> {
        let fades = match (self.silence(now, merge), &self.fading) {
            (Some(silence), Some(fading)) => (silence < FORGOTTEN_AFTER + FADE_EVERY).then_some(fading.next),
            (Some(silence), None) if silence < ALONE_AFTER => Some(now + (ALONE_AFTER - silence)),
            (Some(silence), None) => Some(now + FRESH_FOR.saturating_sub(silence)),
            (None, _) => None,
        };
        [self.probing.next_deadline(), fades].into_iter().flatten().min()
    }

    /// For how long no coordinator has spoken, if none is live.
    fn silence(&self, now: Tick, merge: &Merge) -> Option<Duration> {
        let speaks = merge.live_coordinators(now) > 0;
        (!speaks).then(|| merge.age(now).unwrap_or_else(|| now.since(self.began)))
    }
}

#[cfg(test)]
mod tests;
