//! One connection without a task: it waits for a request, or takes what it asked for.

use std::{
    net::{SocketAddr, TcpStream},
    ops::Range,
};

use bytes::BytesMut;
use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};
use tokio::time::Instant;

use super::{
    super::{
        Handler, Limits, Plain,
        connection::{Accepted, AtOnce, Begin, Shared},
        http1::{Giving, Pace, Said, Step, plain, send_now},
    },
    Round,
    poller::News,
};

/// A connection over plain TCP.
#[derive(Debug)]
pub(in super::super) struct Kept {
    accepted: Accepted,
    pace: Pace,
    /// When its client has had its time.
    due: Instant,
    /// When a socket that may be full is to be asked again.
    again: Option<Instant>,
    /// Whether it had an answer before.
    later: bool,
    /// What is being sent.
    giving: Option<Box<Giving>>,
    /// Whether its client sent something, or its end, that was not read.
    unread: bool,
    /// Whether it is in line for its turn.
    pub(super) queued: bool,
}

/// What a connection needs in order to act.
pub(super) struct Desk<'a, H> {
    pub(super) shared: &'a Shared<H>,
    pub(super) received: &'a mut [u8],
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) round: Round,
    pub(super) stopping: bool,
}

/// What becomes of a connection.
pub(super) enum Fate {
    /// It waits for its client.
    Stays,
    /// It can go on, after others.
    Waits,
    /// It is closed.
    Ends,
    /// It becomes a task.
    Leaves(Leaving),
}

/// What a connection takes along that becomes a task, besides itself.
pub(super) struct Leaving {
    /// Those of the received octets that were not used.
    pub(super) unused: Range<usize>,
    /// What is left to be sent of an answer without content.
    pub(super) unsent: Vec<u8>,
}

impl Leaving {
    const fn with(unused: Range<usize>) -> Fate {
        Fate::Leaves(Self { unused, unsent: Vec::new() })
    }
}

impl Kept {
    /// A connection that was just accepted.
    pub(in super::super) fn new(accepted: Accepted, limits: &Limits) -> Self {
        let pace = Pace::begin(&accepted.socket);
        Self::with(accepted, pace, Instant::now() + limits.head, false)
    }

    /// A connection that had answers before, and has been quiet since; its client has until `due` to ask for more.
    pub(in super::super) fn back(accepted: Accepted, pace: Pace, due: Instant) -> Self {
        Self::with(accepted, pace, due, true)
    }

    fn with(accepted: Accepted, pace: Pace, due: Instant, later: bool) -> Self {
        Self { accepted, pace, due, again: None, later, giving: None, unread: false, queued: false }
    }

    pub(super) const fn socket(&self) -> &TcpStream {
        &self.accepted.socket
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.accepted.peer
    }

    /// When it wants to be looked at.
    pub(super) fn due(&self) -> Instant {
        self.again.map_or(self.due, |again| again.min(self.due))
    }

    /// What a task needs to go on from here.
    pub(in super::super) fn into_parts(self, received: BytesMut, unsent: Vec<u8>) -> (Accepted, Begin) {
        let Self { accepted, pace, due, later, giving, .. } = self;
        (accepted, Begin { received, later, due, pace: Some(pace), giving, unsent })
    }

    /// Something is new about its socket.
    pub(super) fn hear<H: Handler>(&mut self, desk: &mut Desk<'_, H>, news: News) -> Fate {
        let sent_something = news.readable || news.ends;
        if self.giving.is_none() {
            if self.queued {
                self.unread |= sent_something;
                return Fate::Stays;
            }
            let since = Some(desk.round.now);
            return if sent_something { self.read(desk, news.ends, since) } else { Fate::Stays };
        }
        self.unread |= sent_something;
        match news.writable {
            _ if self.queued => Fate::Stays,
            true => self.go_on(desk),
            false => Fate::Stays,
        }
    }

    /// A limit has come.
    pub(super) fn is_due<H: Handler>(&mut self, desk: &mut Desk<'_, H>) -> Fate {
        if self.due > desk.round.now {
            return self.go_on(desk);
        }
        if self.giving.is_some() {
            tracing::debug!(peer = %self.peer(), "the client took nothing of what it was sent");
        }
        Fate::Ends
    }

    /// The server stops: what is on its way goes on, and what was asked for is answered, elsewhere.
    pub(super) fn part<H: Handler>(&mut self, desk: &mut Desk<'_, H>) -> Fate {
        if self.giving.is_some() {
            return Fate::Stays;
        }
        match self.read(desk, true, None) {
            Fate::Stays => Fate::Ends,
            other => other,
        }
    }

    /// Goes on with what is being sent.
    pub(super) fn go_on<H: Handler>(&mut self, desk: &mut Desk<'_, H>) -> Fate {
        if let Some(mut giving) = self.giving.take() {
            if let Some(fate) = self.give(desk, &mut giving) {
                self.giving = Some(giving);
                return fate;
            }
            giving.end();
        }
        match std::mem::take(&mut self.unread) {
            _ if desk.stopping => self.part(desk),
            true => self.read(desk, true, None),
            false => Fate::Stays,
        }
    }

    /// Reads what the client sent, and gives what is ready of what it asks for. `more` says that there is more than one read finds, such as
    /// an end; its first octets came before `since`, where that is known.
    fn read<H: Handler>(&mut self, desk: &mut Desk<'_, H>, more: bool, mut since: Option<Instant>) -> Fate {
        self.pace.begin_turn();
        loop {
            let count = match recv(&self.accepted.socket, &mut *desk.received, RecvFlags::empty()) {
                Ok((count @ 1.., _)) => count,
                Err(Errno::AGAIN) => return Fate::Stays,
                Err(Errno::INTR) => continue,
                // The end, or no client any more.
                Ok(_) | Err(_) => return Fate::Ends,
            };
            let more = more || count == desk.received.len();
            let mut used = 0;
            while used < count {
                // Of what was read later, nobody knows when it came.
                let since = since.take().unwrap_or_else(Instant::now);
                let Some((length, at_once)) = self.asks(desk, used..count, since) else {
                    return Leaving::with(used..count);
                };
                used += length;
                match at_once {
                    AtOnce::Ready(prompt) => {
                        let mut giving = Giving::new(prompt, desk.round.date);
                        if let Some(fate) = self.give(desk, &mut giving) {
                            self.giving = Some(Box::new(giving));
                            self.unread |= more;
                            // What it asked for ahead is not read again: a task keeps it.
                            return if used < count { Leaving::with(used..count) } else { fate };
                        }
                        giving.end();
                    }
                    AtOnce::Brief => {
                        if let Some(unsent) = self.send(desk) {
                            return Fate::Leaves(Leaving { unused: used..count, unsent });
                        }
                    }
                }
                // A client that asks for much at once must not keep the thread from the others.
                if self.pace.has_had_its_turn() {
                    self.unread |= more;
                    return if used < count { Leaving::with(used..count) } else { Fate::Waits };
                }
            }
            if !more {
                return Fate::Stays;
            }
        }
    }

    /// The next request, if it can be answered on the spot: the length of its head, and the answer; one without content is in `desk.scratch`.
    fn asks<H: Handler>(
        &self,
        desk: &mut Desk<'_, H>,
        received: Range<usize>,
        since: Instant,
    ) -> Option<(usize, AtOnce)> {
        if desk.stopping {
            return None;
        }
        let (length, Said { target, user_agent }) = plain(&desk.received[received])?;
        let plain = Plain { target, user_agent, secure: false, peer: self.accepted.peer, since };
        let at_once = desk.shared.at_once(plain, &desk.round.date, desk.scratch)?;
        Some((length, at_once))
    }

    /// Sends the answer that is in `desk.scratch`; what the socket did not take of it.
    fn send<H: Handler>(&mut self, desk: &mut Desk<'_, H>) -> Option<Vec<u8>> {
        let sent = send_now(&self.accepted.socket, desk.scratch);
        self.later = true;
        self.due = desk.round.now + desk.shared.limits.keep_alive;
        (sent < desk.scratch.len()).then(|| desk.scratch.split_off(sent))
    }

    /// Sends as much of an answer as goes now; says what is to become of the connection while not all of it is sent.
    fn give<H: Handler>(&mut self, desk: &mut Desk<'_, H>, giving: &mut Giving) -> Option<Fate> {
        let before = giving.sent_bytes();
        let step = giving.step(&self.accepted.socket, &mut self.pace, desk.scratch);
        self.again = None;
        self.later = true;
        if step == Step::Done {
            self.due = desk.round.now + desk.shared.limits.keep_alive;
            return None;
        }
        if giving.begin() || giving.sent_bytes() > before {
            self.due = desk.round.now + desk.shared.limits.stall;
        }
        Some(match step {
            Step::Done | Step::More => Fate::Waits,
            Step::Full(again) => {
                self.again = again.map(|after| desk.round.now + after);
                Fate::Stays
            }
            Step::Elsewhere => Leaving::with(0..0),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        net::TcpListener,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use ferry_runtime::Workers;

    use super::*;
    use crate::{
        answer::Answer,
        ready::Prompt,
        request::Request,
        server::{connection::Engine, tests::site::Files},
        transfers::Transfers,
    };

    const ASK: &[u8] = b"GET /f HTTP/1.1\r\nHost: x\r\n\r\n";

    /// Has a client ask again while its first request is answered, and remembers since when a look at the file was to count.
    struct AskedAgain {
        files: Files,
        client: Mutex<TcpStream>,
        since: Mutex<Vec<Instant>>,
    }

    impl Handler for AskedAgain {
        async fn handle(&self, request: Request) -> Answer {
            self.files.handle(request).await
        }

        fn ready(&self, plain: Plain<'_>) -> Option<Prompt> {
            let mut since = self.since.lock().expect("no panic");
            since.push(plain.since);
            if since.len() == 1 {
                self.client.lock().expect("no panic").write_all(ASK).expect("the server reads");
            }
            self.files.ready(plain)
        }
    }

    #[tokio::test]
    async fn a_look_at_a_file_counts_only_for_what_is_known_to_have_come_before() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        std::fs::write(folder.path().join("f"), b"x").expect("a file");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let local = listener.local_addr().expect("it is bound");
        let mut client = TcpStream::connect(local).expect("it listens");
        let (socket, peer) = listener.accept().expect("a client");
        socket.set_nonblocking(true).expect("a socket");
        let files = Files::below(folder.path(), crate::disk::Settings::default(), Transfers::new());
        let asked = || Plain { target: "/f", user_agent: b"", secure: false, peer, since: Instant::now() };
        let begin = std::time::Instant::now();
        while files.ready(asked()).is_none() {
            assert!(begin.elapsed() < Duration::from_secs(10), "it is kept in the end");
            let request = Request::internal(http::Method::GET, "/f").expect("a request");
            files.handle(Request { plain: true, ..request }).await;
        }
        client.write_all(ASK).expect("the server reads");
        let handler = AskedAgain { files, client: Mutex::new(client), since: Mutex::default() };
        let limits = Limits::default();
        let shared = Shared { handler: Arc::new(handler), tls: None, limits, local, engine: Engine::Own };
        let slot = Arc::new(tokio::sync::Semaphore::new(1)).acquire_owned().await.expect("it is open");
        let accepted = Accepted { socket, peer, slot, place: Workers::here().place() };
        let mut kept = Kept::new(accepted, &shared.limits);
        let (mut received, mut scratch, round) = (vec![0; 4096], Vec::new(), Round::begin());
        let (received, scratch) = (&mut received[..], &mut scratch);
        let mut desk = Desk { shared: &shared, received, scratch, round, stopping: false };
        // As after a transfer, behind which more was heard to have come.
        kept.read(&mut desk, true, Some(round.now));
        let since = shared.handler.since.lock().expect("no panic").clone();
        assert_eq!((since.len(), since[0]), (2, round.now));
        assert!(since[1] > round.now, "the second one came while the first was answered");
    }
}
