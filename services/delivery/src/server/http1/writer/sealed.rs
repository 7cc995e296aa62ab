//! Octets over TLS: sealed into records that wait in the session, and sent many at a time.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    task::Poll,
};

use tokio::time::Instant;

use super::{super::super::wire::Wire, Writer, stalled};

/// How much is sealed before it is sent. Less costs more calls, and cuts an answer of 100 KiB in two; more leaves the processor's cache
/// before it is sent, and waits in memory for a client that is slow.
pub(in super::super) const BATCH: usize = 128 * 1024;

impl<S: Wire> Writer<'_, S> {
    /// Seals what was gathered, and octets behind it. Where the session has no room for them, what waits in it goes first.
    pub(in super::super) async fn seal(&mut self, octets: &[u8], behind: &[u8]) -> io::Result<()> {
        let (mut octets, mut behind) = (octets, behind);
        while !(self.gathered.is_empty() && octets.is_empty() && behind.is_empty()) {
            let pieces = [&self.gathered[self.written..], octets, behind];
            let wanted = pieces.iter().map(|piece| piece.len()).sum::<usize>();
            let count = self.wire.seal(&pieces.map(IoSlice::new))?;
            (octets, behind) = self.wrote(count, octets, behind);
            if count < wanted {
                if !self.wire.has_sealed() {
                    // It takes none, and not for want of room.
                    return Err(io::ErrorKind::WriteZero.into());
                }
                self.settle().await?;
            }
        }
        Ok(())
    }

    /// Sends what waits in the session: until it has gone, the client owes its progress.
    pub(in super::super) async fn settle(&mut self) -> io::Result<()> {
        while self.wire.has_sealed() {
            let sent = self.wire.send_sealed()?;
            self.pace.took(self.wire.socket(), sent as u64);
            if self.wire.has_sealed() {
                self.room().await?;
            }
        }
        Ok(())
    }

    /// Waits until the socket may take more; for a client that takes nothing, not for ever.
    async fn room(&mut self) -> io::Result<()> {
        let Self { wire, deadline, stall, .. } = self;
        let due = Instant::now() + *stall;
        poll_fn(|cx| match wire.socket().poll_write_ready(cx) {
            Poll::Pending => deadline.poll(cx, due).map(|()| Err(stalled())),
            ready => ready,
        })
        .await
    }
}
