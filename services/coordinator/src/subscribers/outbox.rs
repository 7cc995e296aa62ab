//! What waits for one gateway: bounded in number and in bytes.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Updates that wait for a gateway: two minutes of marks, or the changes of two and a half seconds in which everything changes. A gateway
/// that falls further behind is cut off, and comes back to a snapshot.
const MOST: usize = 256;
/// Bytes of updates that wait for a gateway: half a minute of the loads of ten thousand nodes.
const ROOM: usize = 16 << 20;
/// Room is counted in pieces of so many bytes.
const PIECE: usize = 1 << 10;

/// An encoded `RoutingUpdate`, which takes up room in an outbox for as long as it is there.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// Why an update was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The gateway does not keep up.
    Full,
    /// It is gone.
    Closed,
}

/// Where updates for one gateway go; dropping it ends the stream.
#[derive(Debug)]
pub(crate) struct Outbox {
    updates: mpsc::Sender<Update>,
    room: Arc<Semaphore>,
    /// All the room there is.
    pieces: usize,
    /// Whether it understands loads that come without the rest of the view.
    pub(super) takes_loads: bool,
}

impl Outbox {
    /// The outbox, and what comes out of it.
    pub(crate) fn new(takes_loads: bool) -> (Self, mpsc::Receiver<Update>) {
        let (outbox, updates) = Self::with_room(MOST, ROOM);
        (Self { takes_loads, ..outbox }, updates)
    }

    /// One in which so many updates may wait, and so many bytes: for what is no part of the table.
    pub(crate) fn with_room(most: usize, bytes: usize) -> (Self, mpsc::Receiver<Update>) {
        let (updates, receiver) = mpsc::channel(most);
        let pieces = bytes / PIECE;
        (Self { updates, room: Arc::new(Semaphore::new(pieces)), pieces, takes_loads: false }, receiver)
    }

    /// Adds an update behind the others. One that is larger than all the room is taken when nothing else waits.
    pub(crate) fn put(&self, bytes: &Bytes) -> Result<(), Refused> {
        let pieces = bytes.len().div_ceil(PIECE).min(self.pieces);
        let pieces = u32::try_from(pieces).expect("the room has fewer pieces than that");
        let room = Arc::clone(&self.room).try_acquire_many_owned(pieces).map_err(|_| Refused::Full)?;
        self.updates.try_send(Update { bytes: bytes.clone(), _room: room }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Refused::Full,
            mpsc::error::TrySendError::Closed(_) => Refused::Closed,
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.updates.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_does_not_read_holds_so_much_and_no_more() {
        let (outbox, mut updates) = Outbox::new(true);
        let quarter = Bytes::from(vec![0; ROOM / 4]);
        for _ in 0..4 {
            outbox.put(&quarter).expect("there is room");
        }
        assert_eq!(outbox.put(&quarter), Err(Refused::Full), "of bytes");
        drop(updates.try_recv().expect("the first"));
        outbox.put(&quarter).expect("there is room again");
        let (outbox, updates) = Outbox::new(true);
        let mark = Bytes::from_static(b"mark");
        assert_eq!((0..1000).take_while(|_| outbox.put(&mark).is_ok()).count(), MOST);
        assert_eq!(outbox.put(&mark), Err(Refused::Full), "of updates");
        drop(updates);
        assert_eq!(outbox.put(&mark), Err(Refused::Closed));
    }

    #[test]
    fn what_is_larger_than_all_the_room_is_taken_alone() {
        let (outbox, mut updates) = Outbox::new(true);
        let snapshot = Bytes::from(vec![0; ROOM + 1]);
        outbox.put(&snapshot).expect("nothing else waits");
        assert_eq!(outbox.put(&Bytes::from_static(b"mark")), Err(Refused::Full));
        assert_eq!(updates.try_recv().expect("the snapshot").bytes.len(), ROOM + 1);
    }
}
