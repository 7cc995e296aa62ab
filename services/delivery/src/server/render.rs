//! An answer as hyper wants it: the framing fields, and a body that is pulled chunk by chunk.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use ferry_core::chain::Chain;
use http::{HeaderValue, Method, Response, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::{
    framing::{Framed, frame},
    outgoing::Outgoing,
    watched::Clock,
};
use crate::answer::Answer;

/// A body on its way; dropping it ends the transfer.
pub(super) struct Rendered {
    outgoing: Outgoing,
    clock: Arc<Clock>,
    owing: bool,
}

/// Renders an answer to a request of that method and version. The clock's request ends with the body.
pub(super) fn response(answer: Answer, method: &Method, version: Version, clock: Arc<Clock>) -> Response<Rendered> {
    let Framed { status, mut headers, outgoing, close, .. } = frame(answer, method);
    if close && version < Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let mut response = Response::new(Rendered { outgoing, clock, owing: false });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

impl Rendered {
    fn settle(&mut self) {
        if std::mem::take(&mut self.owing) {
            self.clock.activity.owes_no_more();
        }
    }
}

impl HttpBody for Rendered {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        // To be asked means that what was handed over before has gone on.
        self.settle();
        let item = ready!(self.outgoing.poll_bytes(cx));
        match &item {
            Some(Ok(_)) => {
                self.owing = true;
                self.clock.activity.owes(self.clock.now());
            }
            Some(Err(error)) => tracing::warn!(error = %Chain(error), "an answer ends short"),
            None => {}
        }
        Poll::Ready(item.map(|item| item.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.outgoing.is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.outgoing.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Rendered {
    fn drop(&mut self) {
        self.settle();
        self.clock.activity.end(self.clock.now());
    }
}

#[cfg(test)]
mod tests;
