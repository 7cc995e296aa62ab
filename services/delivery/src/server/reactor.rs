//! What waits on a worker for its next request, and what goes out by itself.
//!
//! Nearly all connections of a file server are in one of two states: nothing was asked, or a file is being sent as fast as its client takes
//! it. Neither needs a task, a timer or a buffer of its own. A [`Reactor`] holds all of a worker's connections in those states, hears of them
//! in batches, and answers what is ready ([`Handler::ready`]) on the spot. Whatever else a client wants or does, its connection becomes a task
//! ([`connection::spawn`]) with all octets untouched; it comes back when it has been quiet for a while.
//!
//! Nothing about HTTP is decided here.

mod inbox;
mod kept;
mod poller;

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use slab::Slab;
use tokio::{
    task::{self, JoinSet},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{
    Handler,
    connection::{self, Shared},
    deadline::Deadline,
    http1::date,
};
pub(super) use inbox::Inbox;
pub(super) use kept::Kept;
use kept::{Desk, Fate, Leaving};
use poller::{News, Poller};

/// How much is read at a time: many requests of one client, or one with all that browsers put into it.
const READ: usize = 16 * 1024;

/// How many batches of small answers follow one another before the worker's tasks have their turn.
const ROUNDS: usize = 4;

/// After so many turns of large answers, what is new is heard.
const TURNS: usize = 8;

/// How often deadlines are looked at, at most.
const GLANCE: Duration = Duration::from_millis(20);

/// A worker's connections without a task.
pub(super) struct Reactor<H> {
    shared: Arc<Shared<H>>,
    inbox: Arc<Inbox>,
    poller: Poller,
    kept: Slab<Kept>,
    /// Connections that can go on, and gave way to others.
    turns: VecDeque<usize>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    stopping: bool,
    deadline: Deadline,
    /// No connection is due before.
    due: Instant,
    news: Vec<News>,
    received: Box<[u8; READ]>,
    scratch: Vec<u8>,
}

/// What is the same for all that is done at once.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// When it began: all that is told in it had come before.
    now: Instant,
    date: [u8; 29],
}

impl Round {
    fn begin() -> Self {
        Self { now: Instant::now(), date: date() }
    }
}

impl<H: Handler> Reactor<H> {
    /// An empty one, on the thread that this is called on. Its connections come through `inbox`.
    pub(super) fn new(shared: Arc<Shared<H>>, inbox: Arc<Inbox>, stop: CancellationToken) -> io::Result<Self> {
        let (due, poller) = (Instant::now() + GLANCE, Poller::new()?);
        inbox.open();
        Ok(Self {
            shared,
            inbox,
            poller,
            kept: Slab::new(),
            turns: VecDeque::new(),
            tasks: JoinSet::new(),
            stopped: Box::pin(stop.clone().cancelled_owned()),
            stop,
            stopping: false,
            deadline: Deadline::at(due),
            due,
            news: Vec::new(),
            received: Box::new([0; READ]),
            scratch: Vec::new(),
        })
    }

    /// Serves until the server stops and what was running then has ended. Dropping it breaks all of its connections off; so does a kernel
    /// that does not tell any more what is new.
    pub(super) async fn run(mut self) {
        if let Err(error) = poll_fn(|cx| self.poll(cx)).await {
            tracing::error!(%error, "a reactor cannot go on");
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.stopping && self.stopped.as_mut().poll(cx).is_ready() {
            self.stopping = true;
            self.part();
        }
        self.inbox.register(cx.waker());
        for kept in self.inbox.take() {
            self.keep(kept);
        }
        // Whatever else there is to do: a busy reactor must keep its clients' limits too.
        let now = Instant::now();
        if now >= self.due {
            self.look_at_deadlines(now);
        }
        let mut news = Poll::Ready(());
        for _ in 0..ROUNDS {
            news = self.poller.poll_batch(cx, &mut self.news)?;
            self.hear();
            if news.is_pending() || !self.turns.is_empty() {
                break;
            }
        }
        self.take_turns()?;
        while let Poll::Ready(Some(ended)) = self.tasks.poll_join_next(cx) {
            connection::report(ended);
        }
        if self.stopping && self.kept.is_empty() && self.tasks.is_empty() {
            return Poll::Ready(Ok(()));
        }
        // A deadline that came meanwhile is looked at before anything else.
        let waits = news.is_pending() && self.turns.is_empty();
        if !waits || (!self.kept.is_empty() && self.deadline.poll(cx, self.due).is_ready()) {
            give_way(cx);
        }
        Poll::Pending
    }

    /// Takes a connection that is quiet, or new.
    fn keep(&mut self, kept: Kept) {
        let number = self.kept.insert(kept);
        let kept = &self.kept[number];
        self.due = self.due.min(kept.due());
        // What is there already is told of too.
        if let Err(error) = self.poller.add(kept.socket(), number) {
            tracing::warn!(peer = %kept.peer(), %error, "cannot watch a connection");
            self.kept.remove(number);
        } else if self.stopping {
            self.act(number, Round::begin(), Kept::part);
        }
    }

    /// The server stops: who has asked for something is answered yet.
    fn part(&mut self) {
        let round = Round::begin();
        for number in self.kept.iter().map(|(number, _)| number).collect::<Vec<_>>() {
            self.act(number, round, Kept::part);
        }
    }

    fn hear(&mut self) {
        if self.news.is_empty() {
            return;
        }
        let round = Round::begin();
        let mut all = std::mem::take(&mut self.news);
        for news in all.drain(..) {
            self.act(news.number, round, |kept, desk| kept.hear(desk, news));
        }
        self.news = all;
    }

    /// Each of those that gave way to others goes on once. What is new meanwhile has not to wait for all of them.
    fn take_turns(&mut self) -> io::Result<()> {
        for turn in 0..self.turns.len() {
            let Some(number) = self.turns.pop_front() else { break };
            self.act(number, Round::begin(), |kept, desk| match std::mem::take(&mut kept.queued) {
                true => kept.go_on(desk),
                // Its turn came otherwise.
                false => Fate::Stays,
            });
            if turn % TURNS == TURNS - 1 {
                self.poller.look(&mut self.news)?;
                self.hear();
            }
        }
        Ok(())
    }

    /// Lets a connection act, with what it needs for it.
    fn act(&mut self, number: usize, round: Round, act: impl FnOnce(&mut Kept, &mut Desk<'_, H>) -> Fate) {
        let Some(kept) = self.kept.get_mut(number) else { return };
        let (shared, stopping) = (&*self.shared, self.stopping);
        let mut desk = Desk { shared, received: &mut self.received[..], scratch: &mut self.scratch, round, stopping };
        let fate = act(kept, &mut desk);
        match fate {
            Fate::Stays => self.due = self.due.min(kept.due()),
            Fate::Waits => {
                if !std::mem::replace(&mut kept.queued, true) {
                    self.turns.push_back(number);
                }
            }
            Fate::Ends => drop(self.kept.remove(number)),
            Fate::Leaves(leaving) => self.leave(number, leaving),
        }
    }

    /// Makes a task of a connection.
    fn leave(&mut self, number: usize, leaving: Leaving) {
        let kept = self.kept.remove(number);
        if let Err(error) = self.poller.remove(kept.socket()) {
            tracing::warn!(peer = %kept.peer(), %error, "cannot let go of a connection");
            return;
        }
        let (accepted, begin) = kept.into_parts(BytesMut::from(&self.received[leaving.unused]), leaving.unsent);
        connection::spawn(&mut self.tasks, &self.shared, accepted, begin, &self.stop, Some(&self.inbox));
    }

    fn look_at_deadlines(&mut self, now: Instant) {
        let round = Round { now, date: date() };
        let late: Vec<_> = self.kept.iter().filter(|(_, kept)| kept.due() <= now).map(|(number, _)| number).collect();
        for number in late {
            self.act(number, round, Kept::is_due);
        }
        let next = self.kept.iter().map(|(_, kept)| kept.due()).min();
        self.due = next.unwrap_or(now + GLANCE).max(now + GLANCE);
    }
}

impl<H> Drop for Reactor<H> {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

/// Lets the worker's tasks have their turn, and its runtime look for what is new to them, before this one is polled again.
fn give_way(cx: &mut Context<'_>) {
    // To be woken at once would leave the runtime's own events and timers unseen for as long as there is work here.
    let _ = pin!(task::yield_now()).poll(cx);
}
