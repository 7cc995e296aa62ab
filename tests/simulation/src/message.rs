//! What is said on streams, and what an actor asks of the world.

use std::{sync::Arc, time::Duration};

use ferry_core::{
    id::{Incarnation, NodeId},
    load::Load,
    membership::{Probe, Record, Registration},
    merge::{Body, Epoch},
    node::NodeFacts,
    time::Tick,
};
use rand::rngs::Xoshiro256PlusPlus;

/// A connection between a client (node or gateway) and a coordinator; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId(pub(crate) u64);

/// One message of a stream.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// A node's first word.
    Register(Box<Registration>),
    /// A gateway's first word.
    Watch,
    /// The coordinator takes the node in.
    Welcome {
        peers: Arc<[usize]>,
    },
    /// The coordinators that are alive.
    Cluster {
        peers: Arc<[usize]>,
    },
    Beat {
        sequence: u64,
        load: Load,
        draining: bool,
    },
    Goodbye,
    /// The node gives the stream up, for it hears nothing.
    Unheard,
    Update(Arc<(Epoch, Body)>),
    /// The sender's end of the stream was closed, or was never there.
    Fin,
}

/// What a coordinator asks of the store.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// Everything, and to be told of changes from then on.
    Read,
    Create {
        stream: StreamId,
        registration: Box<Registration>,
    },
    Save {
        id: NodeId,
        facts: Arc<NodeFacts>,
    },
    /// Keep this coordinator's lease.
    Hold,
}

/// What the store tells a coordinator.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    Listing {
        records: Vec<Record>,
        peers: Vec<usize>,
    },
    /// The watch broke, or could not begin.
    OutOfSight,
    Record(Record),
    Peers(Vec<usize>),
    Created {
        stream: StreamId,
        registration: Box<Registration>,
        record: Record,
    },
    NotCreated {
        stream: StreamId,
    },
}

/// What an actor set for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Dial the coordinator again.
    Redial(usize),
    /// A stream that nobody welcomed by now is given up.
    Patience(StreamId),
    Beat(StreamId),
    /// A deadline of core's, in the process's own time.
    Wake(Tick),
    ReadStore,
    HoldLease,
    /// The node is done with what it had to finish.
    Exit,
}

/// Something that happens to an actor.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Start,
    Said {
        stream: StreamId,
        message: Message,
    },
    /// The stream is gone, or never stood.
    Lost(StreamId),
    Timer(Timer),
    Probed {
        id: NodeId,
        incarnation: Incarnation,
        probe: Probe,
    },
    Store(Told),
    /// SIGTERM.
    Stop,
}

/// What an actor wants done.
#[derive(Debug)]
pub(crate) enum Act {
    Dial {
        stream: StreamId,
        coordinator: usize,
        opening: Message,
    },
    Send {
        stream: StreamId,
        message: Message,
    },
    Close(StreamId),
    After(Duration, Timer),
    Probe {
        id: NodeId,
        incarnation: Incarnation,
    },
    Ask(Ask),
    /// The process ends, as it meant to.
    Exit,
    /// Nothing to do: this goes into the digest.
    Note(u64),
}

/// What an actor has while it acts.
#[derive(Debug)]
pub(crate) struct Context<'w> {
    /// By the process's own clock, whose origin nobody else knows.
    pub(crate) now: Tick,
    pub(crate) random: &'w mut Xoshiro256PlusPlus,
    pub(crate) streams: &'w mut u64,
    pub(crate) acts: Vec<Act>,
}

impl Context<'_> {
    pub(crate) fn dial(&mut self, coordinator: usize, opening: Message) -> StreamId {
        *self.streams += 1;
        let stream = StreamId(*self.streams);
        self.acts.push(Act::Dial { stream, coordinator, opening });
        stream
    }

    pub(crate) fn send(&mut self, stream: StreamId, message: Message) {
        self.acts.push(Act::Send { stream, message });
    }

    pub(crate) fn close(&mut self, stream: StreamId) {
        self.acts.push(Act::Close(stream));
    }

    pub(crate) fn after(&mut self, wait: Duration, timer: Timer) {
        self.acts.push(Act::After(wait, timer));
    }
}
