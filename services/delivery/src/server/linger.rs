//! The last moments of a connection whose client may still be sending.
//!
//! The kernel answers octets that nobody took with a reset, and a reset destroys what is left of the last answer on its way (RFC 9112
//! section 9.6). So a connection that has said its last is read, and what comes thrown away, until its client ends it too.

use std::{
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    time::Instant,
};

use super::deadline::Deadline;

/// How long a client may take to end its side.
const TIME: Duration = Duration::from_secs(2);

/// How much it may still send: what was under way in a fast network when it was told.
const OCTETS: usize = 16 << 20;

/// How much is thrown away at a time.
const PIECE: usize = 8 * 1024;

/// A connection's end.
#[derive(Debug)]
pub(super) struct Linger {
    due: Instant,
    octets: usize,
}

impl Linger {
    /// Begins now.
    pub(super) fn begin() -> Self {
        Self { due: Instant::now() + TIME, octets: 0 }
    }

    /// By when it has ended.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// Ready once the socket may be closed.
    pub(super) fn poll<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut S,
        deadline: &mut Deadline,
    ) -> Poll<()> {
        let mut space = [MaybeUninit::uninit(); PIECE];
        while self.octets < OCTETS {
            let mut piece = ReadBuf::uninit(&mut space);
            match Pin::new(&mut *socket).poll_read(cx, &mut piece) {
                Poll::Pending => return deadline.poll(cx, self.due),
                Poll::Ready(Ok(())) if !piece.filled().is_empty() => self.octets += piece.filled().len(),
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(())
    }
}
