//! Connections as TCP and HTTP/2 make them: in order, nothing lost while they stand, and standing until somebody notices that they do not.
//!
//! What is sent into a cut is held and sent again, less and less often; it arrives if the cut heals before either end gave up.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use ferry_core::time::Tick;

use crate::{
    message::{Message, StreamId},
    party::Party,
};

/// An end that heard nothing for so long asks whether the other one is there.
const PING_EVERY: Duration = Duration::from_secs(2);
/// A node has a mark every second, which is modelled as a question of its own.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// How long a client waits for the answer, and a coordinator.
const CLIENT_PATIENCE: Duration = Duration::from_secs(2);
const SERVER_PATIENCE: Duration = Duration::from_secs(4);
/// A gateway gives a stream up that said nothing for three seconds, as a node does that missed its marks.
const LISTENER_PATIENCE: Duration = Duration::from_secs(1);
/// TCP sends again after this, then twice as long each time.
const FIRST_RETRY: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// One end of a stream, and what is on its way to it.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) party: Party,
    pub(crate) life: u64,
    pub(crate) open: bool,
    /// When anything last came from the other end.
    pub(crate) heard: Tick,
    /// It asked whether the other end is there, and had no answer yet.
    pub(crate) pinged: bool,
    /// A message came since the stream began.
    pub(crate) spoken_to: bool,
    /// When the last message on its way arrives: none overtakes another.
    arrives: Tick,
    held: VecDeque<Message>,
    retries: u32,
}

#[derive(Debug)]
pub(crate) struct Stream {
    client: End,
    server: End,
}

#[derive(Debug, Default)]
pub(crate) struct Streams {
    all: BTreeMap<StreamId, Stream>,
}

impl End {
    pub(crate) const fn new(party: Party, life: u64, now: Tick) -> Self {
        let held = VecDeque::new();
        Self { party, life, open: true, heard: now, pinged: false, spoken_to: false, arrives: now, held, retries: 0 }
    }

    /// After which silence it asks.
    pub(crate) const fn asks_after(&self) -> Duration {
        if matches!(self.party, Party::Node(_)) { MARK_EVERY } else { PING_EVERY }
    }

    /// How long it waits for the answer to a ping.
    pub(crate) const fn patience(&self) -> Duration {
        match self.party {
            Party::Gateway(_) if self.spoken_to => LISTENER_PATIENCE,
            Party::Coordinator(_) => SERVER_PATIENCE,
            _ => CLIENT_PATIENCE,
        }
    }

    /// When a message arrives that would be there at `at` if it were alone.
    pub(crate) fn in_order(&mut self, at: Tick) -> Tick {
        self.arrives = self.arrives.max(at);
        self.arrives
    }

    /// Whether messages wait for the cut to heal.
    pub(crate) fn is_held_up(&self) -> bool {
        !self.held.is_empty()
    }

    /// Keeps a message until the way is free.
    pub(crate) fn hold(&mut self, message: Message) {
        self.held.push_back(message);
    }

    /// How long until it is tried again to bring what is held.
    pub(crate) fn next_retry(&mut self) -> Duration {
        self.retries += 1;
        FIRST_RETRY * 2_u32.pow(self.retries.min(8) - 1)
    }

    pub(crate) fn release(&mut self) -> VecDeque<Message> {
        self.retries = 0;
        std::mem::take(&mut self.held)
    }
}

impl Stream {
    pub(crate) const fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

impl Streams {
    pub(crate) fn open(&mut self, id: StreamId, client: End, server: End) {
        self.all.insert(id, Stream { client, server });
    }

    pub(crate) fn find(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.all.get_mut(&id)
    }

    /// The side of a stream that is this party's.
    pub(crate) const fn side_of(party: Party) -> Side {
        if matches!(party, Party::Coordinator(_)) { Side::Server } else { Side::Client }
    }

    /// The open ends of a process.
    pub(crate) fn of(&mut self, party: Party) -> Vec<StreamId> {
        let side = Self::side_of(party);
        let mine = |(id, stream): (&StreamId, &mut Stream)| {
            let end = stream.end(side);
            (end.open && end.party == party).then_some(*id)
        };
        self.all.iter_mut().filter_map(mine).collect()
    }

    /// Forgets a stream whose two ends are closed and that has nothing on its way.
    pub(crate) fn forget_if_over(&mut self, id: StreamId) {
        if self.all.get(&id).is_some_and(|stream| !stream.client.open && !stream.server.open) {
            self.all.remove(&id);
        }
    }
}
