//! The body of a request to an origin: none, or bytes that a client is still sending.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{self, Instant};

use crate::stream::ByteStream;

/// A request's body. It is pulled as the origin takes it.
pub(super) struct Upload {
    stream: Option<ByteStream>,
    progress: Progress,
}

/// How an upload is doing, for whoever waits for its answer.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

struct State {
    /// When something was last sent.
    moved: Instant,
    /// Whether the client broke off.
    broken: bool,
}

impl Upload {
    /// That stream, or nothing.
    pub(super) fn of(stream: Option<ByteStream>) -> Self {
        let progress = Progress(Arc::new(Mutex::new(State { moved: Instant::now(), broken: false })));
        Self { stream: stream.filter(|stream| stream.length() != Some(0)), progress }
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Progress {
    /// Ends when nothing has moved for that long: an answer may take its time after the content, not instead of it.
    pub(super) async fn stalled(&self, limit: Duration) {
        loop {
            let deadline = self.read(|state| state.moved) + limit;
            if deadline <= Instant::now() {
                return;
            }
            time::sleep_until(deadline).await;
        }
    }

    /// Whether the content ended in an error: then the request failed by the client, not by the origin.
    pub(super) fn is_broken(&self) -> bool {
        self.read(|state| state.broken)
    }

    fn note(&self, broken: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.moved, state.broken) = (Instant::now(), broken);
    }

    fn read<T>(&self, of: impl FnOnce(&State) -> T) -> T {
        of(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        let item = ready!(stream.poll_next_unpin(cx));
        self.progress.note(matches!(item, Some(Err(_))));
        Poll::Ready(item.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.stream {
            None => SizeHint::with_exact(0),
            Some(stream) => stream.length().map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::{poll, stream};
    use http_body_util::BodyExt as _;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn content_that_moves_is_not_stalled_however_long_it_takes() {
        let pieces = stream::unfold((), async |()| {
            time::sleep(LIMIT * 9 / 10).await;
            Some((Ok(Bytes::from_static(b"x")), ()))
        });
        let mut upload = Upload::of(Some(ByteStream::new(None, pieces)));
        let progress = upload.progress();
        let mut stalled = Box::pin(progress.stalled(LIMIT));
        for _ in 0..5 {
            tokio::select! {
                frame = upload.frame() => assert!(frame.is_some()),
                () = &mut stalled => panic!("it moves"),
            }
        }
        time::sleep(LIMIT).await;
        assert!(matches!(poll!(&mut stalled), Poll::Ready(())));
    }

    #[tokio::test]
    async fn what_breaks_off_is_known_to_be_the_client_s() {
        let pieces = [Ok(Bytes::from_static(b"x")), Err(io::Error::other("gone"))];
        let mut upload = Upload::of(Some(ByteStream::new(Some(9), stream::iter(pieces))));
        let progress = upload.progress();
        assert!(upload.frame().await.is_some_and(|frame| frame.is_ok()) && !progress.is_broken());
        assert!(upload.frame().await.is_some_and(|frame| frame.is_err()) && progress.is_broken());
    }
}
