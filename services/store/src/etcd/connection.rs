//! One connection at a time, to one endpoint at a time; the next of either after a failure.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use etcd_client::Client;
use tokio::time::{Instant, timeout_at};

use super::{
    CALL_LIMIT, SHORTEST_ATTEMPT,
    failure::{classify, was_never_sent, with_certificate_hint},
    options::EtcdOptions,
    revision::{Dated, Floor},
    sight::Sight,
};
use crate::error::Error;

/// The way to etcd.
///
/// etcd-client could balance over all endpoints by itself, but it goes on sending every n-th request to a member that hangs.
#[derive(Debug)]
pub(super) struct Connection {
    options: EtcdOptions,
    /// Counts attempts, and so says which endpoint is next.
    turn: AtomicUsize,
    current: Mutex<Option<Link>>,
    pub(super) floor: Floor,
    sight: Sight,
}

/// A client and where it leads.
#[derive(Clone)]
pub(super) struct Link {
    turn: usize,
    pub(super) endpoint: String,
    pub(super) client: Client,
}

/// Whether a request may reach etcd twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It changes nothing, or the same when it comes twice.
    Harmless,
    /// Only where it is certain that the first one never left.
    Never,
}

/// Why an attempt came to nothing.
struct Failure {
    error: Error,
    may_have_arrived: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(options: EtcdOptions) -> Self {
        let (turn, current) = (AtomicUsize::new(0), Mutex::new(None));
        Self { options, turn, current, floor: Floor::default(), sight: Sight::default() }
    }

    /// Has one request answered within [`CALL_LIMIT`], by whichever endpoint does: all are asked in turn, as far as the
    /// request may be sent again.
    ///
    /// After [`Error::Unavailable`] a change may have been made or not.
    pub(super) async fn call<T: Dated, F>(&self, repeat: Repeat, request: impl Fn(Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let deadline = Instant::now() + CALL_LIMIT;
        // Where there is one endpoint, the second attempt is for a connection that died unnoticed.
        let mut further = self.options.endpoints.len().max(2) - 1;
        loop {
            let until = match repeat {
                Repeat::Harmless if further > 0 => attempt_until(Instant::now(), deadline),
                Repeat::Harmless | Repeat::Never => deadline,
            };
            let Failure { error, may_have_arrived } = match self.attempt(until, &request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let may_repeat = repeat == Repeat::Harmless || !may_have_arrived;
            if !(may_repeat && error.is_passing()) || further == 0 || Instant::now() >= deadline {
                return Err(error);
            }
            further -= 1;
        }
    }

    /// One endpoint, one time.
    async fn attempt<T: Dated, F>(&self, until: Instant, request: impl Fn(Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let (begun, floor) = (Instant::now(), self.floor.now());
        let link = self.link(until).await.map_err(|error| Failure { error, may_have_arrived: false })?;
        let failure = match timeout_at(until, request(link.client.clone())).await {
            Ok(Ok(answer)) => match self.floor.admit(&link.endpoint, floor, answer.revision()) {
                Ok(()) => {
                    self.sight.answered(Instant::now());
                    return Ok(answer);
                }
                Err(error) => Failure { error, may_have_arrived: true },
            },
            Ok(Err(error)) => {
                Failure { may_have_arrived: !was_never_sent(&error), error: self.explain(&link.endpoint, &error) }
            }
            Err(_) => Failure { error: silent(&link.endpoint, until - begun), may_have_arrived: true },
        };
        self.give_up(&link, &failure.error);
        Err(failure)
    }

    /// The current connection, or a new one. It exists before the network is asked, except where a user must authenticate.
    pub(super) async fn link(&self, until: Instant) -> Result<Link, Error> {
        if let Some(link) = self.current().clone() {
            return Ok(link);
        }
        let begun = Instant::now();
        let turn = self.turn.load(Ordering::Relaxed);
        let endpoint = self.options.endpoints[turn % self.options.endpoints.len()].clone();
        let connecting = async {
            let options = self.options.for_connecting().await?;
            let connected = Client::connect([&endpoint], Some(options)).await;
            connected.map_err(|error| self.explain(&endpoint, &error))
        };
        let connected = timeout_at(until, connecting).await.unwrap_or_else(|_| Err(silent(&endpoint, until - begun)));
        let client = connected.inspect_err(|error| {
            self.take_turn(turn);
            self.sight.failed(error, Instant::now());
        })?;
        let link = Link { turn, endpoint, client };
        // Two may have connected at once: the last one stays, the other serves its one request.
        *self.current() = Some(link.clone());
        Ok(link)
    }

    /// Makes the next request connect anew, to the next endpoint; requests and watches under way keep their connection.
    pub(super) fn give_up(&self, link: &Link, why: &Error) {
        self.sight.failed(why, Instant::now());
        self.take_turn(link.turn);
        let mut current = self.current();
        if current.as_ref().is_some_and(|now| now.turn == link.turn) {
            *current = None;
        }
    }

    /// What an error means for the caller, given how we connect.
    pub(super) fn explain(&self, endpoint: &str, error: &etcd_client::Error) -> Error {
        let error = classify(endpoint, error);
        let anonymous = self.options.tls.as_ref().is_some_and(|tls| tls.identity.is_none());
        if anonymous { with_certificate_hint(error) } else { error }
    }

    /// Moves on by one endpoint, however many found out that this one fails.
    fn take_turn(&self, from: usize) {
        let next = from.wrapping_add(1);
        let _ = self.turn.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<Link>> {
        // What is behind the lock is replaced whole: a panic elsewhere cannot leave it half-made.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Half of what is left, so that a member that hangs leaves time for another to answer; yet not so little that one with a slow disk
/// is given up for it.
fn attempt_until(now: Instant, deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(now);
    now + (left / 2).max(SHORTEST_ATTEMPT).min(left)
}

pub(super) fn silent(endpoint: &str, waited: std::time::Duration) -> Error {
    Error::unavailable(format!("etcd at {endpoint}: no answer in {:.1} s", waited.as_secs_f32()))
}
