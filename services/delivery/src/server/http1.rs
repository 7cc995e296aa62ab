//! HTTP/1.1 without a body in the request: what a file server hears nearly always.
//!
//! Requests are answered one after another; those that came early wait in the socket, or in a buffer that exists only while it holds
//! something. What this engine does not serve (HTTP/2 with prior knowledge, requests with content) it hands on with its octets
//! untouched. Whatever a request means is decided elsewhere: by [`Request::admit`], the handler, and [`framing`](super::framing).
//!
//! An idle connection is a socket and this state: the exchange of a request and its answer lives in a box of its own.

mod body;
mod giving;
mod head;
mod pace;
pub(super) mod response;
mod writer;

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{Method, Version, header};
use socket2::SockRef;
use tokio::{task, time::Instant};
use tokio_util::{
    io::poll_read_buf,
    sync::{CancellationToken, WaitForCancellationFutureOwned},
};

use super::{
    Handler, Plain,
    connection::{self, AtOnce, Begin, Engine, Shared},
    deadline::Deadline,
    framing,
    limits::LAST_HEADS,
    linger::Linger,
    outgoing::Outgoing,
    wire::Wire,
};
use crate::{
    answer::Answer,
    ready::Prompt,
    request::{Arrival, Content, LARGEST_HEAD, Request},
};
pub(super) use giving::{Giving, Step, send_now};
use head::{Found, Head, Reader, Reading, Refusal};
pub(super) use head::{Said, plain};
pub(super) use pace::Pace;
use response::Manner;
pub(super) use response::date;
use writer::Writer;

/// How much is read at a time: a head with what browsers put into it.
const READ: usize = 4 * 1024;

/// How long a connection is without a request before it is taken to be quiet.
pub(super) const QUIET: Duration = Duration::from_secs(1);

/// After so many answers in a row that were ready, a connection needs no task of its own.
pub(super) const EASY: u32 = 8;

/// How long a client that has ended its side may have to wait for what it asked for: it may be listening (`printf … | nc -N`), or gone.
const LISTENS: Duration = Duration::from_secs(5);

/// One connection.
pub(super) struct Connection<H, S> {
    shared: Arc<Shared<H>>,
    wire: S,
    arrival: Arrival,
    stop: CancellationToken,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    deadline: Deadline,
    buffer: BytesMut,
    pace: Pace,
    /// Whether it leaves this engine when it is quiet.
    rests: bool,
}

/// What comes next on a connection.
enum Next {
    Head(Box<Head>),
    Ready(Prompt),
    /// The whole head of an answer without content.
    Brief(Vec<u8>),
    Foreign,
    Refused(Refusal),
    Nothing,
    Quiet,
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is closed.
    Closed,
    /// The other engine is to go on.
    HandedOn,
    /// Nothing was asked for a while, or nothing but what is ready; and nothing was received. The client has until then.
    Quiet(Instant),
}

/// A connection without its engine.
pub(super) struct Parts<H, S> {
    pub(super) shared: Arc<Shared<H>>,
    pub(super) wire: S,
    /// What was read of it and not used.
    pub(super) received: Bytes,
    pub(super) arrival: Arrival,
    pub(super) stop: CancellationToken,
    pub(super) pace: Pace,
}

/// What an exchange leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// The next request.
    Next,
    /// Nothing more.
    Close,
    /// Nothing more, and the client may still be sending.
    Linger,
}

impl<H: Handler, S: Wire> Connection<H, S> {
    /// `rests` says that there is a better place for it when it is quiet.
    pub(super) fn new(
        shared: Arc<Shared<H>>,
        wire: S,
        arrival: Arrival,
        stop: CancellationToken,
        pace: Option<Pace>,
        rests: bool,
    ) -> Self {
        let stopped = Box::pin(stop.clone().cancelled_owned());
        let pace = pace.unwrap_or_else(|| wire.plain().map_or_else(|| Pace::over_tls(wire.socket()), Pace::begin));
        let deadline = Deadline::at(Instant::now() + QUIET);
        Self { shared, wire, arrival, stop, stopped, deadline, buffer: BytesMut::new(), pace, rests }
    }

    /// Serves the connection until its client leaves or has been quiet, a limit is reached, the server stops, or it is for the other
    /// engine.
    pub(super) async fn serve(&mut self, begin: Begin) -> Ended {
        let Begin { received, later, mut due, mut giving, mut unsent, .. } = begin;
        self.buffer = received;
        if self.shared.engine != Engine::Own {
            return Ended::HandedOn;
        }
        // The first head is due from the connection's begin on, later ones from their first octet.
        let mut reader = if later { Reader::of_later() } else { Reader::default() };
        let mut easy = 0;
        loop {
            let after = match giving.take() {
                Some(giving) => Box::pin(self.give_rest(*giving)).await,
                None if !unsent.is_empty() => Box::pin(self.send_rest(std::mem::take(&mut unsent))).await,
                None => match self.next(due, reader).await {
                    Ok(Next::Ready(prompt)) => {
                        easy += 1;
                        match self.give(prompt) {
                            None => Ok(After::Next),
                            Some(giving) => Box::pin(self.give_rest(giving)).await,
                        }
                    }
                    Ok(Next::Brief(head)) => {
                        easy += 1;
                        match self.send_now(head) {
                            None => Ok(After::Next),
                            Some(rest) => Box::pin(self.send_rest(rest)).await,
                        }
                    }
                    Ok(Next::Head(head)) => {
                        easy = 0;
                        Box::pin(self.exchange(*head)).await
                    }
                    Ok(Next::Foreign) => return Ended::HandedOn,
                    Ok(Next::Refused(why)) => Box::pin(self.refuse(why)).await,
                    Ok(Next::Nothing) => Ok(After::Close),
                    Ok(Next::Quiet) => return Ended::Quiet(due),
                    Err(error) => Err(error),
                },
            };
            match after {
                Ok(After::Next) => {
                    (due, reader) = (Instant::now() + self.shared.limits.keep_alive, Reader::of_later());
                    // A client that sent many requests ahead, and takes all it gets, must not keep the thread from the others.
                    if self.pace.has_had_its_turn() {
                        task::yield_now().await;
                    }
                    if self.rests && easy >= EASY && self.buffer.is_empty() {
                        return Ended::Quiet(due);
                    }
                }
                Ok(After::Close) => break Box::pin(self.close(Linger::begin().due())).await,
                Ok(After::Linger) => break Box::pin(self.linger()).await,
                Err(error) => {
                    tracing::debug!(peer = %self.arrival.peer, %error, "the connection broke off");
                    break;
                }
            }
        }
        Ended::Closed
    }

    /// What another engine needs to go on.
    pub(super) fn into_parts(self) -> Parts<H, S> {
        let Self { shared, wire, arrival, stop, buffer, pace, .. } = self;
        Parts { shared, wire, received: buffer.freeze(), arrival, stop, pace }
    }

    /// Waits for the next head, whose first octet is `due`.
    async fn next(&mut self, mut due: Instant, mut reader: Reader) -> io::Result<Next> {
        let quiet = Instant::now() + QUIET;
        let (mut begun, mut stopping) = (false, false);
        loop {
            match reader.read(&mut self.buffer) {
                Reading::Partial => {}
                Reading::Whole(found) => return Ok(self.begin(found)),
                Reading::Foreign => return Ok(Next::Foreign),
                Reading::Refused(why) => return Ok(Next::Refused(why)),
            }
            if self.buffer.is_empty() {
                // Nothing has come, or empty lines, which begin no request.
                self.buffer = BytesMut::new();
            } else if !begun {
                begun = true;
                due = due.min(Instant::now() + self.shared.limits.head);
            }
            let rests = self.rests && !begun && quiet < due;
            let came = poll_fn(|cx| {
                if let Poll::Ready(count) = self.poll_fill(cx) {
                    return Poll::Ready(count.map(Some));
                }
                if !stopping && self.stopped.as_mut().poll(cx).is_ready() {
                    stopping = true;
                    due = due.min(Instant::now() + if begun { LAST_HEADS } else { Duration::ZERO });
                }
                let look = if rests && !stopping { quiet } else { due };
                self.deadline.poll(cx, look).map(|()| Ok(None))
            });
            match came.await? {
                // The end between two requests is an orderly one; within a head there is nobody left to tell.
                Some(0) => return Ok(Next::Nothing),
                Some(_) => {}
                None if begun && !stopping => return Ok(Next::Refused(Refusal::TooSlow)),
                None if rests && !stopping => return Ok(Next::Quiet),
                None => return Ok(Next::Nothing),
            }
        }
    }

    /// Writes an answer.
    fn writer(&mut self) -> Writer<'_, S> {
        Writer::new(&mut self.wire, &mut self.deadline, &mut self.pace, self.shared.limits.stall)
    }

    /// Takes a head, and looks whether its answer is ready.
    fn begin(&mut self, found: Found) -> Next {
        let plain = found.plain(&self.buffer);
        if let Some(Said { target, user_agent }) = plain
            && !self.stop.is_cancelled()
        {
            let Arrival { peer, secure, .. } = self.arrival;
            let mut head = Vec::new();
            let plain = Plain { target, user_agent, secure, peer, since: Instant::now() };
            let at_once = self.shared.at_once(plain, &response::date(), &mut head);
            if let Some(at_once) = at_once {
                self.buffer.advance(found.len());
                return match at_once {
                    AtOnce::Ready(prompt) => Next::Ready(prompt),
                    AtOnce::Brief => Next::Brief(head),
                };
            }
        }
        let plain = plain.is_some_and(|said| !said.target.contains('?'));
        found.take(&mut self.buffer).map_or_else(Next::Refused, |head| Next::Head(Box::new(Head { plain, ..head })))
    }

    /// Gives an answer that was ready, if the socket takes all of it at once; else says what is left.
    fn give(&mut self, prompt: Prompt) -> Option<Giving> {
        let mut giving = Giving::new(prompt, response::date());
        let step = match self.wire.plain() {
            Some(socket) => giving.step(socket, &mut self.pace, &mut Vec::new()),
            None => giving.seal(&mut self.wire, &mut self.pace),
        };
        if step == Step::Done {
            giving.end();
            return None;
        }
        Some(giving)
    }

    /// Sends a head, if the socket takes it at once; else says what is left of it.
    fn send_now(&mut self, mut head: Vec<u8>) -> Option<Vec<u8>> {
        let sent = self.wire.plain().map_or(0, |socket| giving::send_now(socket, &head));
        (sent < head.len()).then(|| head.split_off(sent))
    }

    /// Sends what the socket did not take at once of an answer without content.
    async fn send_rest(&mut self, rest: Vec<u8>) -> io::Result<After> {
        let mut writer = self.writer();
        *writer.gathered() = rest;
        body::send(writer, Outgoing::nothing(), false).await?;
        Ok(After::Next)
    }

    /// Gives what the socket did not take at once.
    async fn give_rest(&mut self, mut giving: Giving) -> io::Result<After> {
        giving.begin();
        let mut writer = self.writer();
        for piece in giving.head_pieces() {
            writer.gathered().extend_from_slice(piece);
        }
        let Giving { prompt, head, body, .. } = giving;
        writer.skip(head);
        let mut outgoing = Outgoing::new(prompt.body(), prompt.transfer);
        outgoing.skip(body);
        body::send(writer, outgoing, false).await?;
        Ok(After::Next)
    }

    /// Answers one request.
    async fn exchange(&mut self, head: Head) -> io::Result<After> {
        let Head { parts, persistent, plain } = head;
        let (method, version) = (parts.method.clone(), parts.version);
        let answer = match Request::admit(parts, Content::default(), self.arrival) {
            Ok(request) => match self.handled(Request { plain, ..request }).await? {
                Some(answer) => answer,
                None => return Ok(After::Close),
            },
            Err(refusal) => refusal.answer(),
        };
        let framed = framing::frame(answer, &method);
        let manner = Manner::of(&framed, version, persistent && !self.stop.is_cancelled());
        let after = if manner.persistent { After::Next } else { After::Linger };
        let mut writer = self.writer();
        response::write(writer.gathered(), framed.status, &framed.headers, version, manner);
        let delimited = framed.delimited || manner.chunked;
        let sent = body::send(writer, framed.outgoing, manner.chunked).await;
        if sent.is_err() && !delimited {
            // An orderly end would be the end of the body. Without the reset, a client must think that it has all.
            let _ = SockRef::from(self.wire.socket()).set_linger(Some(Duration::ZERO));
        }
        sent.map(|()| after)
    }

    /// The handler's answer; `None` if the client left before there was one.
    async fn handled(&mut self, request: Request) -> io::Result<Option<Answer>> {
        let shared = Arc::clone(&self.shared);
        let mut handling = std::pin::pin!(connection::handled(&shared, request));
        let mut listens = None;
        poll_fn(|cx| {
            if let Poll::Ready(answer) = handling.as_mut().poll(cx) {
                return Poll::Ready(Ok(Some(answer)));
            }
            // What was sent ahead is kept for later, up to a limit: behind it, the client's end is not looked for.
            while listens.is_none() && self.buffer.len() < LARGEST_HEAD {
                if ready!(self.poll_fill(cx))? == 0 {
                    listens = Some(Instant::now() + LISTENS);
                }
            }
            listens.map_or(Poll::Pending, |due| self.deadline.poll(cx, due).map(|()| Ok(None)))
        })
        .await
    }

    async fn refuse(&mut self, why: Refusal) -> io::Result<After> {
        let framed = framing::frame(why.answer(), &Method::GET);
        let manner = Manner::of(&framed, Version::HTTP_11, false);
        let mut writer = self.writer();
        response::write(writer.gathered(), framed.status, &framed.headers, Version::HTTP_11, manner);
        body::send(writer, framed.outgoing, manner.chunked).await?;
        Ok(After::Linger)
    }

    /// Reads what there is, behind what the buffer holds. While there is nothing, there is no buffer.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ready!(self.wire.poll_readable(cx))?;
        self.buffer.reserve(READ);
        let read = poll_read_buf(Pin::new(&mut self.wire), cx, &mut self.buffer);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        read
    }

    async fn close(&mut self, due: Instant) {
        // Over TLS this says that the end is meant (RFC 8446 section 6.1).
        let _ = poll_fn(|cx| match Pin::new(&mut self.wire).poll_shutdown(cx) {
            Poll::Pending => self.deadline.poll(cx, due).map(|()| Ok(())),
            done => done,
        })
        .await;
    }

    async fn linger(&mut self) {
        let mut linger = Linger::begin();
        self.buffer = BytesMut::new();
        self.close(linger.due()).await;
        poll_fn(|cx| linger.poll(cx, &mut self.wire, &mut self.deadline)).await;
    }
}

/// The head of an answer to a plain request, up to its date, or up to its end if it has a date of its own; `None` if the answer is not the
/// same for all of those.
pub(crate) fn plain_head(answer: &Answer) -> Option<Bytes> {
    if answer.headers.contains_key(header::VARY) {
        return None;
    }
    let answer = Answer { headers: answer.headers.clone(), body: answer.body.again()?, ..Answer::empty(answer.status) };
    let framed = framing::frame(answer, &Method::GET);
    let manner = Manner::of(&framed, Version::HTTP_11, true);
    let mut head = Vec::new();
    response::write_fields(&mut head, framed.status, &framed.headers, Version::HTTP_11, manner);
    if !framed.headers.contains_key(header::DATE) {
        head.extend_from_slice(response::DATE);
    }
    manner.persistent.then(|| head.into())
}
