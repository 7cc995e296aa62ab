//! What happens to membership, and what it asks of the outside world.

use std::sync::Arc;

use super::Probe;
use crate::{
    id::{Incarnation, NodeId},
    load::Load,
    node::{Intent, NodeFacts, NodeState},
    time::UnixMillis,
};

/// One stream of one node at this coordinator; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// SHA-256 of a node's secret: readers of the store cannot pose as the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretDigest(pub [u8; 32]);

/// What the store holds of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What the node last registered.
    pub facts: Arc<NodeFacts>,
    /// Who may be this node.
    pub secret: SecretDigest,
    /// When it first registered.
    pub first_seen: UnixMillis,
    /// What operators decided, with the record's revision.
    pub intent: Intent,
}

/// A node's first message.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// What it says of itself.
    pub facts: Arc<NodeFacts>,
    /// Its proof that it is who it says.
    pub secret: SecretDigest,
    /// Which life of the node this is.
    pub incarnation: Incarnation,
    /// It was already asked to stop.
    pub draining: bool,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The store says this of a node.
    Record(Record),
    /// The store no longer knows a node, as of that revision.
    Forgotten {
        /// Which node.
        id: NodeId,
        /// The revision of the removal.
        revision: u64,
    },
    /// A stream opened with a registration.
    Attend {
        /// The new stream.
        session: SessionId,
        /// What it said.
        registration: Box<Registration>,
    },
    /// A beat arrived.
    Beat {
        /// On which stream.
        session: SessionId,
        /// The node's counter of beats in this incarnation.
        sequence: u64,
        /// The load it reported.
        load: Load,
        /// The node wants no new clients.
        draining: bool,
    },
    /// A stream ended.
    Ended {
        /// Which stream.
        session: SessionId,
        /// In what way.
        end: End,
    },
    /// A probe came to its end.
    Probed {
        /// Which node.
        id: NodeId,
        /// The life that was probed; what is known of an older one says nothing about this.
        incarnation: Incarnation,
        /// What came of it.
        probe: Probe,
    },
    /// A deadline may have passed.
    TimePassed,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The node said goodbye.
    Goodbye,
    /// Without: the process is gone, unless it redials.
    Broken,
    /// The node gave the stream up, since it heard nothing of this observer.
    Unheard,
}

/// What must now be done, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Create the node's record unless one exists; then come back with [`Event::Record`] and the same [`Event::Attend`].
    Create {
        /// The stream that waits.
        session: SessionId,
        /// What it registered.
        registration: Box<Registration>,
    },
    /// Write the node's new facts into its record, when the store lets us: nothing waits for it.
    Save {
        /// Which node.
        id: NodeId,
        /// What it now says of itself.
        facts: Arc<NodeFacts>,
    },
    /// Tell the stream that it is accepted.
    Welcome {
        /// Which stream.
        session: SessionId,
        /// What operators decided about the node.
        intent: Intent,
    },
    /// Refuse a stream that was not yet welcomed.
    Refuse {
        /// Which stream.
        session: SessionId,
        /// The reason.
        why: Refusal,
    },
    /// End a stream that was welcomed before.
    End {
        /// Which stream.
        session: SessionId,
        /// The reason.
        why: Refusal,
    },
    /// Tell the node what operators decided.
    Command {
        /// Which stream.
        session: SessionId,
        /// The decision as it stands.
        intent: Intent,
    },
    /// Tell the gateways this coordinator's word on the node, at once.
    Publish {
        /// Which node.
        id: NodeId,
    },
    /// Tell the gateways that the node was removed.
    Unpublish {
        /// Which node.
        id: NodeId,
        /// The revision of the removal.
        revision: u64,
    },
    /// Ask the node for its built-in object over the data path; then come back with [`Event::Probed`]. At most one probe of each
    /// life of a node on record is under way.
    Probe {
        /// Which node.
        id: NodeId,
        /// Which life of it.
        incarnation: Incarnation,
    },
    /// Two lives of one node are alive at the same time, as when a disk was cloned: for the log and the metrics.
    Contested {
        /// Which node.
        id: NodeId,
        /// What the two say of themselves: the one that speaks for the node, and the other.
        facts: [Arc<NodeFacts>; 2],
    },
    /// A beat was older than what is known: it was ignored.
    Ignored {
        /// On which stream.
        session: SessionId,
    },
    /// A node's state changed: for the log and the metrics.
    Changed {
        /// Which node.
        id: NodeId,
        /// What it was.
        from: NodeState,
        /// What it is.
        to: NodeState,
    },
}

/// Why a stream cannot stay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Somebody else is called that.
    #[error(
        "node id {id} is taken by the node at {holder}, whose secret the one at {newcomer} does not have: give it another --node-id, or remove the old node with `ferry nodes remove`"
    )]
    Taken {
        /// The name.
        id: NodeId,
        /// Where the node is that has it.
        holder: String,
        /// Where the node is that wants it.
        newcomer: String,
    },
    /// A newer life of the same node is alive.
    #[error(
        "a newer process with this node's identity is alive: if one was started from a copy of the other's storage path, remove the copy or delete its `identity` there"
    )]
    Superseded,
    /// The newer life that was known of the node is dead: this one may speak for the node again, as a life newer than that.
    #[error("a newer process with this node's identity has died: this one may go on under a newer number")]
    Outlived {
        /// What a registration must be newer than.
        newest: Incarnation,
    },
    /// It registers again and again: whatever it says each time is written down and told to everybody.
    #[error("this node registers too often: once a second, and a few times at once, is all that is taken")]
    TooOften,
    /// An operator removed the node.
    #[error("an operator removed this node")]
    Removed,
}
