//! One connection at a time, to one endpoint at a time; the next of either after a failure.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use etcd_client::Client;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    CALL_LIMIT, SHORTEST_ATTEMPT,
    failure::{classify, was_never_sent, with_certificate_hint},
    options::EtcdOptions,
    revision::{Dated, Floor},
    sight::Sight,
};
use crate::{backoff::Pauses, error::Error};

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

    /// Has one request answered within [`CALL_LIMIT`], by whichever endpoint does: all are asked in turn, and again after a
    /// pause, as far as the request may be sent again. So most elections of a leader are waited out.
    ///
    /// After [`Error::Unavailable`] a change may have been made or not.
    pub(super) async fn call<T: Dated, F>(&self, repeat: Repeat, request: impl Fn(Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let deadline = Instant::now() + CALL_LIMIT;
        let share = share(self.options.endpoints.len());
        let mut pauses = Pauses::new();
        let mut attempts = 0_usize;
        loop {
            let limit = match repeat {
                Repeat::Harmless => share,
                Repeat::Never => CALL_LIMIT,
            };
            let Failure { error, may_have_arrived } = match self.attempt(deadline, limit, &request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let may_repeat = repeat == Repeat::Harmless || !may_have_arrived;
            attempts += 1;
            let round_ends = attempts.is_multiple_of(self.options.endpoints.len());
            let pause = if round_ends { pauses.after(&error) } else { Duration::ZERO };
            if !(may_repeat && error.is_passing()) || Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
        }
    }

    /// One endpoint, one time. Its limit is for the request alone: a password takes etcd as long as it takes, and is checked once for
    /// many requests.
    async fn attempt<T: Dated, F>(
        &self,
        deadline: Instant,
        limit: Duration,
        request: impl Fn(Client) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let link = self.link(deadline).await.map_err(|error| Failure { error, may_have_arrived: false })?;
        let (begun, floor) = (Instant::now(), self.floor.now());
        let until = deadline.min(begun + limit);
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

/// What an endpoint has for its answer: an equal part for each, and one for a second try; yet not so little that a busy member is
/// given up for it.
fn share(endpoints: usize) -> Duration {
    let parts = u32::try_from(endpoints).unwrap_or(u32::MAX).saturating_add(1);
    (CALL_LIMIT / parts).max(SHORTEST_ATTEMPT)
}

pub(super) fn silent(endpoint: &str, waited: Duration) -> Error {
    Error::unavailable(format!("etcd at {endpoint}: no answer in {:.1} s", waited.as_secs_f32()))
}
