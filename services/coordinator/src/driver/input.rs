//! What comes into the loop, and the handle through which it comes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ferry_core::{
    id::{GatewayId, Incarnation, NodeId},
    load::Load,
    membership::{End, Probe, Record, Registration, SessionId},
    merge::Peer,
    node::NodeView,
    ring::KeyRing,
    time::UnixMillis,
};
use tokio::sync::{mpsc, oneshot};

use crate::{sessions, subscribers};

/// Inputs that wait for the loop; who finds no room waits, and HTTP/2 flow control slows its peer.
const INBOX: usize = 1024;

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Input {
    Attend {
        session: SessionId,
        registration: Box<Registration>,
        outbox: sessions::Outbox,
    },
    Beat {
        session: SessionId,
        sequence: u64,
        load: Load,
        draining: bool,
    },
    Ended {
        session: SessionId,
        end: End,
    },
    /// A node was probed.
    Probed {
        id: NodeId,
        incarnation: Incarnation,
        probe: Probe,
    },
    Subscribe {
        gateway: GatewayId,
        guarded: Option<bool>,
        outbox: subscribers::Outbox,
    },
    /// A stranger's record was created, or found.
    Created {
        session: SessionId,
        registration: Box<Registration>,
        record: Record,
    },
    /// It could not be.
    NotCreated {
        session: SessionId,
        why: tonic::Status,
    },
    /// A gateway's word on its routes is in the store; there may be a later one.
    Guarded {
        gateway: GatewayId,
        guarded: bool,
    },
    /// A record was written.
    Written(Record),
    /// The writing of a node's facts has ended, well or not.
    Saved(NodeId),
    /// A record was removed.
    Removed {
        id: NodeId,
        revision: u64,
    },
    Ask(Question),
}

/// What others may want to know.
#[derive(Debug)]
pub(crate) enum Question {
    Nodes(oneshot::Sender<Vec<Known>>),
    Node(NodeId, oneshot::Sender<Option<Known>>),
    Coordinators(oneshot::Sender<Vec<Peer>>),
    UserRing(oneshot::Sender<Option<KeyRing>>),
    /// Whether it does not know yet who is alive.
    Learning(oneshot::Sender<bool>),
}

/// What is known of one node.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) view: NodeView,
    pub(crate) first_seen: UnixMillis,
    pub(crate) since: UnixMillis,
    pub(crate) attending: bool,
}

/// Why the loop does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// It has ended: the process is stopping.
    #[error("the coordinator is stopping")]
    Stopping,
    /// An answer now would call an unread store an empty one (C2).
    #[error("this coordinator has not read its store yet")]
    NotRead,
}

/// Puts things into the loop.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    inbox: mpsc::Sender<Input>,
    sessions: Arc<AtomicU64>,
}

impl Handle {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Input>) {
        let (inbox, receiver) = mpsc::channel(INBOX);
        (Self { inbox, sessions: Arc::new(AtomicU64::new(1)) }, receiver)
    }

    /// A session id that was never used.
    pub(crate) fn next_session(&self) -> SessionId {
        SessionId(self.sessions.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) async fn put(&self, input: Input) -> Result<(), NoAnswer> {
        self.inbox.send(input).await.map_err(|_| NoAnswer::Stopping)
    }

    pub(crate) async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        self.put(Input::Ask(question(reply))).await?;
        // The loop drops questions that it cannot answer yet.
        answer.await.map_err(|_| if self.inbox.is_closed() { NoAnswer::Stopping } else { NoAnswer::NotRead })
    }
}
