//! An answer that was ready, on its way: its head, and a body that the kernel sends or that came from memory. Over TLS it goes in one
//! piece or not at all ([`sealed`]).
//!
//! Only what goes by itself goes here. As soon as anything is out of the ordinary (a file that is not in memory, that ended early, that the
//! kernel does not send), the answer is left to the engine that knows what to do about it.

mod sealed;

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{SendFlags, send},
};
use tokio::time::Instant;

use super::{pace::Pace, response, writer::RETRY};
use crate::ready::Prompt;

/// An answer, and how far it is.
#[derive(Debug)]
pub(in super::super) struct Giving {
    pub(super) prompt: Prompt,
    /// The date of an answer that has none of its own.
    date: [u8; 29],
    /// How much of the head was written.
    pub(super) head: usize,
    /// How much of the body was.
    pub(super) body: u64,
    /// Since when it is a transfer under way: it did not go in one step.
    begun: Option<Instant>,
    /// Since when the socket is full.
    full: Option<Instant>,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Step {
    /// All of it is sent.
    Done,
    /// There is more, and the socket may take it: others first.
    More,
    /// The socket is full; if there is doubt about that, it is asked again after so long.
    Full(Option<Duration>),
    /// It does not go by itself.
    Elsewhere,
}

/// Hands the kernel all of an answer's octets; how many it took. Whatever is wrong with the socket is found out where it can be dealt with.
pub(in super::super) fn send_now(socket: impl AsFd, octets: &[u8]) -> usize {
    send(socket, octets, SendFlags::NOSIGNAL).unwrap_or(0)
}

impl Step {
    fn of(errno: Errno) -> Self {
        // What else it may be, of the client or of the file, is found out again where it can be dealt with.
        if errno == Errno::AGAIN { Self::Full(None) } else { Self::Elsewhere }
    }
}

impl Giving {
    pub(in super::super) fn new(prompt: Prompt, date: [u8; 29]) -> Self {
        Self { prompt, date, head: 0, body: 0, begun: None, full: None }
    }

    /// Hands the kernel as much as it takes at once, and no more than one client's turn. `scratch` is overwritten.
    pub(in super::super) fn step(&mut self, socket: &impl AsFd, pace: &mut Pace, scratch: &mut Vec<u8>) -> Step {
        let socket = socket.as_fd();
        if let Some(since) = self.full.take() {
            pace.waited(socket, since.elapsed());
        }
        let step = self.offer(socket, pace, scratch);
        if matches!(step, Step::Full(_)) {
            self.full = Some(Instant::now());
        }
        step
    }

    fn offer(&mut self, socket: BorrowedFd<'_>, pace: &mut Pace, scratch: &mut Vec<u8>) -> Step {
        if self.prompt.ready.content.is_some() {
            return self.send(socket, pace, scratch);
        }
        let turn = pace.step().min(self.left());
        if !self.prompt.goes_by_itself(self.body, turn) {
            return Step::Elsewhere;
        }
        match self.is_head_sent() {
            true => self.send_file(socket, pace, turn),
            false => match self.send(socket, pace, scratch) {
                Step::More => self.send_file(socket, pace, turn),
                other => other,
            },
        }
    }

    /// Sends what is in memory.
    fn send(&mut self, socket: BorrowedFd<'_>, pace: &mut Pace, scratch: &mut Vec<u8>) -> Step {
        let content = self.prompt.ready.content.as_deref();
        scratch.clear();
        for piece in self.head_pieces().into_iter().chain(content) {
            scratch.extend_from_slice(piece);
        }
        let from = self.head + content.map_or(0, |_| usize::try_from(self.body).unwrap_or(usize::MAX));
        let follows = content.is_none() && self.left() > 0;
        let flags = if follows { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
        match send(socket, scratch.get(from..).unwrap_or_default(), flags) {
            Ok(taken) => {
                let of_head = taken.min(self.head_length() - self.head);
                self.head += of_head;
                self.sent(socket, pace, taken - of_head);
                match from + taken < scratch.len() {
                    true => Step::Full(None),
                    false if follows => Step::More,
                    false => Step::Done,
                }
            }
            Err(errno) => Step::of(errno),
        }
    }

    fn send_file(&mut self, socket: BorrowedFd<'_>, pace: &mut Pace, turn: u64) -> Step {
        let most = usize::try_from(turn).unwrap_or(usize::MAX);
        let mut offset = self.body;
        match rustix::fs::sendfile(socket, self.prompt.file.as_fd(), Some(&mut offset), most) {
            // The file's end came early.
            Ok(0) => Step::Elsewhere,
            Ok(count) => {
                self.sent(socket, pace, count);
                match count == most {
                    true if self.left() == 0 => Step::Done,
                    true => Step::More,
                    // What looks like a full socket may have been a signal, or the end of a truncated file.
                    false => Step::Full(Some(RETRY)),
                }
            }
            Err(errno) => Step::of(errno),
        }
    }

    /// The head, in its order.
    pub(super) fn head_pieces(&self) -> [&[u8]; 3] {
        // An origin's date is not replaced (RFC 9110 section 6.6.1).
        let date: &[u8] = if self.prompt.ready.dated { &[] } else { &self.date };
        [&self.prompt.ready.head, date, response::END]
    }

    fn head_length(&self) -> usize {
        self.head_pieces().iter().map(|piece| piece.len()).sum()
    }

    fn is_head_sent(&self) -> bool {
        self.head == self.head_length()
    }

    fn left(&self) -> u64 {
        self.prompt.file.length() - self.body
    }

    fn sent(&mut self, socket: BorrowedFd<'_>, pace: &mut Pace, count: usize) {
        self.body += count as u64;
        pace.took(socket, count as u64);
        if self.begun.is_some() {
            self.prompt.transfer().sent(count);
        }
    }

    /// Octets of head and body that the kernel took.
    pub(in super::super) const fn sent_bytes(&self) -> u64 {
        self.head as u64 + self.body
    }

    /// It takes its time: the transfer is under way from now on. Says whether it was not before.
    pub(in super::super) fn begin(&mut self) -> bool {
        let begins = self.begun.is_none();
        if begins {
            self.begun = Some(Instant::now());
            self.prompt.transfer().sent(usize::try_from(self.body).unwrap_or(usize::MAX));
        }
        begins
    }

    /// All of it is sent: the books are closed.
    pub(in super::super) fn end(self) {
        match self.begun {
            None => self.prompt.sent_at_once(),
            Some(begun) => {
                self.prompt.file.was_resident(begun.elapsed());
                self.prompt.complete();
            }
        }
    }
}
