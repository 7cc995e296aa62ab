//! How a node or a gateway keeps a stream to every coordinator: the same rules as `ferry_runtime::coordinators::links`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ferry_core::{backoff::Backoff, time::Tick};
use rand::RngExt as _;

use crate::message::{Context, Message, StreamId, Timer};

const REDIAL_BASE: Duration = Duration::from_millis(100);
const REDIAL_CAP: Duration = Duration::from_secs(3);
/// A stream that stood for so long was no accident.
const STOOD: Duration = Duration::from_secs(1);
/// How long a coordinator may take to welcome a node, or to send a snapshot.
const PATIENCE: Duration = Duration::from_secs(10);

/// The coordinators, as one client sees them.
#[derive(Debug)]
pub(crate) struct Links {
    configured: BTreeSet<usize>,
    listed: BTreeSet<usize>,
    links: BTreeMap<usize, Link>,
    /// The first word on each stream.
    pub(crate) opening: Message,
}

#[derive(Debug)]
struct Link {
    state: State,
    redial: Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A timer will dial.
    Waiting,
    Dialled(StreamId),
    Standing(StreamId, Tick),
}

impl Links {
    pub(crate) const fn new(configured: BTreeSet<usize>, opening: Message) -> Self {
        Self { configured, listed: BTreeSet::new(), links: BTreeMap::new(), opening }
    }

    pub(crate) fn begin(&mut self, context: &mut Context<'_>) {
        for coordinator in self.configured.clone() {
            self.dial(context, coordinator);
        }
    }

    /// These are named by others. Who is named no more is left when its stream is lost.
    pub(crate) fn discover(&mut self, context: &mut Context<'_>, listed: impl IntoIterator<Item = usize>) {
        self.listed = listed.into_iter().collect();
        for coordinator in self.listed.clone() {
            if !self.links.contains_key(&coordinator) {
                self.dial(context, coordinator);
            }
        }
    }

    fn dial(&mut self, context: &mut Context<'_>, coordinator: usize) {
        let stream = context.dial(coordinator, self.opening.clone());
        context.after(PATIENCE, Timer::Patience(stream));
        let unknown = || Link { state: State::Waiting, redial: Backoff::new(REDIAL_BASE, REDIAL_CAP) };
        self.links.entry(coordinator).or_insert_with(unknown).state = State::Dialled(stream);
    }

    /// The coordinator took us in; false if the stream is none of ours, or stands already.
    pub(crate) fn welcomed(&mut self, now: Tick, stream: StreamId) -> bool {
        let link = self.links.values_mut().find(|link| link.state == State::Dialled(stream));
        link.map(|link| link.state = State::Standing(stream, now)).is_some()
    }

    /// Dials again if it is still wanted.
    pub(crate) fn redial(&mut self, context: &mut Context<'_>, coordinator: usize) {
        if self.links.get(&coordinator).is_none_or(|link| link.state != State::Waiting) {
            return;
        }
        if self.configured.contains(&coordinator) || self.listed.contains(&coordinator) {
            self.dial(context, coordinator);
        } else {
            self.links.remove(&coordinator);
        }
    }

    /// A stream was lost: it is dialled again after a while. Returns the coordinator, and whether the stream stood.
    pub(crate) fn lost(&mut self, context: &mut Context<'_>, stream: StreamId) -> Option<(usize, bool)> {
        let (coordinator, link) = self.links.iter_mut().find(|(_, link)| link.state.stream() == Some(stream))?;
        let stood = match link.state {
            State::Standing(_, since) => {
                if context.now.since(since) >= STOOD {
                    link.redial.reset();
                }
                true
            }
            _ => false,
        };
        link.state = State::Waiting;
        let wait = context.random.random_range(link.redial.next_wait());
        context.after(wait, Timer::Redial(*coordinator));
        Some((*coordinator, stood))
    }

    /// Gives up a stream that nobody welcomed.
    pub(crate) fn lose_patience(&mut self, context: &mut Context<'_>, stream: StreamId) {
        if self.links.values().any(|link| link.state == State::Dialled(stream)) {
            context.close(stream);
            self.lost(context, stream);
        }
    }

    /// Everything that stands, with its coordinator.
    pub(crate) fn standing(&self) -> impl Iterator<Item = (usize, StreamId)> {
        self.links.iter().filter_map(|(coordinator, link)| match link.state {
            State::Standing(stream, _) => Some((*coordinator, stream)),
            _ => None,
        })
    }

    pub(crate) fn stands(&self, stream: StreamId) -> bool {
        self.standing().any(|(_, standing)| standing == stream)
    }
}

impl State {
    const fn stream(self) -> Option<StreamId> {
        match self {
            Self::Waiting => None,
            Self::Dialled(stream) | Self::Standing(stream, _) => Some(stream),
        }
    }
}
