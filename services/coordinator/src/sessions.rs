//! The streams of nodes: where the loop's words to a node go.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use ferry_core::membership::SessionId;
use ferry_proto::v1;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;

/// Messages that wait for a node; one that lets them pile up is cut off and redials.
const OUTBOX: usize = 16;

/// What a node is told. A queue has room for 32 of what it carries, whether or not it ever carries one: so what it carries is small.
pub(crate) type Answer = Box<Result<v1::AttendResponse, Status>>;

/// Where answers to one node go; dropping it ends the stream in both directions.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Whether the node may be one that nobody knows yet.
    invited: bool,
    answers: mpsc::Sender<Answer>,
    welcomed: Arc<AtomicBool>,
    _listening: DropGuard,
}

/// What the stream's own task sees of the loop's decisions.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    welcomed: Arc<AtomicBool>,
    /// The outbox is gone: nobody wants to hear the node any more.
    pub(crate) unwanted: CancellationToken,
}

impl Standing {
    /// Whether the node was taken in: until then it may be anybody.
    pub(crate) fn is_welcome(&self) -> bool {
        self.welcomed.load(Relaxed)
    }
}

impl Outbox {
    /// The outbox, what comes out of it, and what becomes of it.
    pub(crate) fn new(invited: bool) -> (Self, mpsc::Receiver<Answer>, Standing) {
        let (answers, receiver) = mpsc::channel(OUTBOX);
        let standing = Standing { welcomed: Arc::default(), unwanted: CancellationToken::new() };
        let (welcomed, _listening) = (Arc::clone(&standing.welcomed), standing.unwanted.clone().drop_guard());
        (Self { invited, answers, welcomed, _listening }, receiver, standing)
    }

    fn put(&self, body: v1::attend_response::Body) -> bool {
        self.answers.try_send(Box::new(Ok(v1::AttendResponse { body: Some(body) }))).is_ok()
    }
}

/// All streams that were not refused.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    streams: HashMap<SessionId, Outbox>,
}

impl Sessions {
    pub(crate) fn open(&mut self, session: SessionId, outbox: Outbox) {
        self.streams.insert(session, outbox);
    }

    /// Sends to one node; a stream that is gone or stuffed is closed, and its end comes back as an event.
    pub(crate) fn send(&mut self, session: SessionId, body: v1::attend_response::Body) {
        if let Some(outbox) = self.streams.get(&session) {
            if matches!(body, v1::attend_response::Body::Welcome(_)) {
                outbox.welcomed.store(true, Relaxed);
            }
            if !outbox.put(body) {
                self.streams.remove(&session);
            }
        }
    }

    /// Sends to every node that was welcomed.
    pub(crate) fn send_all(&mut self, body: &v1::attend_response::Body) {
        self.streams.retain(|_, outbox| !outbox.welcomed.load(Relaxed) || outbox.put(body.clone()));
    }

    /// Ends a stream with a reason.
    pub(crate) fn refuse(&mut self, session: SessionId, why: Status) {
        if let Some(outbox) = self.streams.remove(&session) {
            // A full outbox loses the reason, not the end: the sender is dropped either way.
            let _ = outbox.answers.try_send(Box::new(Err(why)));
        }
    }

    /// Whether the stream's node may be one that nobody knows yet.
    pub(crate) fn is_invited(&self, session: SessionId) -> bool {
        self.streams.get(&session).is_some_and(|outbox| outbox.invited)
    }

    /// Whether the stream still stands.
    pub(crate) fn is_open(&self, session: SessionId) -> bool {
        self.streams.contains_key(&session)
    }

    /// Forgets a stream that ended.
    pub(crate) fn close(&mut self, session: SessionId) {
        self.streams.remove(&session);
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }
}
