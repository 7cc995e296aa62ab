//! A body over HTTP/1.1: by the kernel where that is possible, through a buffer where it is not, with the same octets either way.

use std::{future::poll_fn, io, sync::Arc, task::Poll};

use bytes::Bytes;
use ferry_core::chain::Chain;
use futures_util::FutureExt as _;
use tokio::{task, time::Instant};

use super::{
    super::{
        outgoing::{FileSource, Outgoing, truncated},
        wire::Wire,
    },
    writer::{BATCH, GATHER, Sent, Writer},
};
use crate::{
    answer::{Segment, Slice},
    disk::OpenFile,
};

/// What is copied behind its head rather than sent by the kernel out of its own cache: a call less, for a copy more.
const SMALL: u64 = 8 * 1024;

/// Sends what was gathered (a head), and a body behind it.
pub(super) async fn send<S: Wire>(mut writer: Writer<'_, S>, mut outgoing: Outgoing, chunked: bool) -> io::Result<()> {
    match outgoing.take_file() {
        Some(source) => Files { writer, outgoing, unsent: 0 }.send(source).await,
        None => send_bytes(&mut writer, &mut outgoing, chunked).await,
    }
}

/// Parts of a file on their way.
struct Files<'a, S> {
    writer: Writer<'a, S>,
    outgoing: Outgoing,
    /// How much of the body is gathered or sealed, and not sent.
    unsent: usize,
}

impl<S: Wire> Files<'_, S> {
    async fn send(mut self, source: FileSource) -> io::Result<()> {
        let FileSource { file, segments, .. } = source;
        let small = if self.goes_through_buffer(&file) { GATHER as u64 } else { SMALL };
        for segment in segments {
            // Not at the end: what nothing follows must not wait in the kernel for more.
            if self.writer.gathered().len() >= GATHER {
                self.flush(true).await?;
            }
            match segment {
                Segment::Text(text) => self.gather(&text),
                Segment::Slice(slice) if slice.length <= small => self.gather_slice(&file, slice).await?,
                Segment::Slice(slice) => self.send_slice(&file, slice).await?,
            }
        }
        self.flush(false).await
    }

    /// Whether the kernel sends this file by itself.
    fn goes_by_kernel(&self, file: &OpenFile) -> bool {
        self.writer.is_plain() && file.sending().sendfile
    }

    /// Whether what is not small is read into a buffer and written from there. Over TLS it is sealed instead.
    fn goes_through_buffer(&self, file: &OpenFile) -> bool {
        self.writer.is_plain() && !file.sending().sendfile
    }

    async fn flush(&mut self, more: bool) -> io::Result<()> {
        self.writer.flush(more).await?;
        self.outgoing.sent(std::mem::take(&mut self.unsent));
        Ok(())
    }

    fn gather(&mut self, octets: &[u8]) {
        self.writer.gathered().extend_from_slice(octets);
        self.unsent += octets.len();
    }

    /// Bytes of the file, one at least but at its end. Nothing that is gathered already waits for what is not there, or is lost with it.
    async fn read(&mut self, file: &OpenFile, offset: u64, most: usize) -> io::Result<Bytes> {
        match file.read_at_once(offset, most) {
            Ok(Some(bytes)) => Ok(bytes),
            read => {
                self.flush(false).await?;
                read.map_err(short)?;
                self.unless_gone(file.read_at(offset, most)).await
            }
        }
    }

    /// What is waited for, unless the client leaves before it is there.
    async fn unless_gone<T>(&mut self, reading: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let (mut reading, mut listens) = (std::pin::pin!(reading), None);
        let read = poll_fn(|cx| match reading.as_mut().poll(cx) {
            Poll::Pending => self.writer.poll_gone(cx, &mut listens).map(|()| None),
            Poll::Ready(read) => Poll::Ready(Some(read)),
        });
        read.await.ok_or(io::ErrorKind::ConnectionAborted)?.map_err(short)
    }

    /// A small slice goes with what is there already: one call for a head and its body.
    async fn gather_slice(&mut self, file: &OpenFile, slice: Slice) -> io::Result<()> {
        let Slice { mut offset, length } = slice;
        let begin = self.writer.gathered().len();
        let end = begin + usize::try_from(length).unwrap_or(GATHER);
        let mut at = begin;
        self.writer.gathered().resize(end, 0);
        while at < end {
            let free = &mut self.writer.gathered()[at..];
            let count = match file.read_now(offset, free).map_err(short)? {
                Some(count @ 1..) => count,
                // Nothing may also mean a kernel that would rather not say.
                Some(0) | None => {
                    let bytes = self.unless_gone(file.read_at(offset, end - at)).await?;
                    self.writer.gathered()[at..at + bytes.len()].copy_from_slice(&bytes);
                    bytes.len()
                }
            };
            at += count;
            offset += count as u64;
            if count == 0 {
                // What there was of it is sent: a client that resumes has that much less to ask for.
                self.writer.gathered().truncate(at);
                self.unsent += at - begin;
                self.flush(false).await?;
                return Err(short(truncated()));
            }
        }
        self.unsent += end - begin;
        Ok(())
    }

    async fn send_slice(&mut self, file: &Arc<OpenFile>, mut slice: Slice) -> io::Result<()> {
        if !self.writer.is_plain() {
            return self.send_sealed(file, slice).await;
        }
        if !self.goes_by_kernel(file) {
            return self.send_buffered(file, slice).await;
        }
        let began = Instant::now();
        let mut since = began;
        // Up to here the page cache has the file.
        let mut resident = slice.offset;
        let (whole, mut fetched) = (slice.length == file.length(), false);
        while slice.length > 0 {
            if resident <= slice.offset {
                let step = self.writer.step().min(slice.length);
                resident = slice.offset + file.resident(slice.offset, step);
                if resident == slice.offset {
                    self.flush(false).await?;
                    // Whether or not it is still there: a thread that waits for a page once goes on.
                    resident += match self.unless_gone(file.fetch(slice.offset, step)).await? {
                        0 => return self.send_buffered(file, slice).await,
                        fetched => fetched,
                    };
                    fetched = true;
                    since = Instant::now();
                }
            }
            self.flush(true).await?;
            let part = Slice { offset: slice.offset, length: resident - slice.offset };
            match self.writer.send_file(file, part)? {
                Sent::Some(count) => {
                    self.outgoing.sent(count);
                    slice.offset += count as u64;
                    slice.length -= count as u64;
                    since = Instant::now();
                    if slice.length > 0 {
                        // A client that takes all it is offered must not keep the thread from the others.
                        task::yield_now().await;
                    }
                }
                Sent::Full => self.writer.writable(since).await?,
                Sent::End => return Err(short(truncated())),
                Sent::Failed(errno) => return Err(short(errno.into())),
                Sent::Never => return self.send_buffered(file, slice).await,
            }
        }
        if whole && !fetched {
            file.was_resident(began.elapsed());
        }
        Ok(())
    }

    /// Over TLS: reads and seals, and sends when there is enough of it.
    async fn send_sealed(&mut self, file: &OpenFile, mut slice: Slice) -> io::Result<()> {
        while slice.length > 0 {
            let room = BATCH.saturating_sub(self.unsent);
            if room == 0 {
                self.flush(false).await?;
                task::yield_now().await;
                continue;
            }
            let most = usize::try_from(slice.length).unwrap_or(usize::MAX).min(room);
            let bytes = self.read(file, slice.offset, most).await?;
            if bytes.is_empty() {
                return Err(short(truncated()));
            }
            self.writer.seal(&bytes, &[]).await?;
            self.unsent += bytes.len();
            slice.offset += bytes.len() as u64;
            slice.length -= bytes.len() as u64;
        }
        Ok(())
    }

    async fn send_buffered(&mut self, file: &Arc<OpenFile>, mut slice: Slice) -> io::Result<()> {
        while slice.length > 0 {
            let most = usize::try_from(slice.length).unwrap_or(usize::MAX);
            let bytes = self.read(file, slice.offset, most).await?;
            if bytes.is_empty() {
                self.flush(false).await?;
                return Err(short(truncated()));
            }
            self.writer.write(&bytes, &[]).await?;
            self.outgoing.sent(std::mem::take(&mut self.unsent) + bytes.len());
            slice.offset += bytes.len() as u64;
            slice.length -= bytes.len() as u64;
            task::yield_now().await;
        }
        Ok(())
    }
}

/// Bytes as they come, from memory or from elsewhere.
async fn send_bytes<S: Wire>(writer: &mut Writer<'_, S>, outgoing: &mut Outgoing, chunked: bool) -> io::Result<()> {
    loop {
        let next = match poll_fn(|cx| outgoing.poll_bytes(cx)).now_or_never() {
            Some(next) => next,
            None => {
                // Nothing that is there already waits for what is not.
                writer.flush(false).await?;
                let mut listens = None;
                let next = poll_fn(|cx| match outgoing.poll_bytes(cx) {
                    Poll::Pending => writer.poll_gone(cx, &mut listens).map(|()| None),
                    Poll::Ready(next) => Poll::Ready(Some(next)),
                });
                next.await.ok_or(io::ErrorKind::ConnectionAborted)?
            }
        };
        let Some(bytes) = next.transpose().map_err(short)? else { break };
        if chunked {
            let size = format!("{:x}\r\n", bytes.len());
            writer.gathered().extend_from_slice(size.as_bytes());
        }
        let behind: &[u8] = if chunked { b"\r\n" } else { b"" };
        if writer.gathered().len() + bytes.len() <= GATHER {
            writer.gathered().extend_from_slice(&bytes);
            writer.gathered().extend_from_slice(behind);
        } else {
            writer.write(&bytes, behind).await?;
        }
    }
    if chunked {
        writer.gathered().extend_from_slice(b"0\r\n\r\n");
    }
    writer.flush(false).await
}

/// Says that an answer ends before its announced end, for no fault of the client's.
fn short(error: io::Error) -> io::Error {
    tracing::warn!(error = %Chain(&error), "an answer ends short");
    error
}
