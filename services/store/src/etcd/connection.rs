//! One connection at a time, to one endpoint at a time; the next of either after a failure.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use etcd_client::Client;
use tokio::time::timeout;

use super::{
    CALL_LIMIT,
    failure::{classify, with_certificate_hint},
    options::EtcdOptions,
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
}

/// A client and where it leads.
#[derive(Clone)]
pub(super) struct Link {
    turn: usize,
    pub(super) endpoint: String,
    pub(super) client: Client,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) const fn new(options: EtcdOptions) -> Self {
        Self { options, turn: AtomicUsize::new(0), current: Mutex::new(None) }
    }

    /// Makes one request over the current connection, within [`CALL_LIMIT`].
    ///
    /// After [`Error::Unavailable`] a change may have been made or not.
    pub(super) async fn call<T>(
        &self,
        request: impl AsyncFnOnce(Client) -> Result<T, etcd_client::Error>,
    ) -> Result<T, Error> {
        let link = self.link().await?;
        let answer = match timeout(CALL_LIMIT, request(link.client.clone())).await {
            Ok(answer) => answer.map_err(|error| self.explain(&link.endpoint, &error)),
            Err(_) => Err(silent(&link.endpoint)),
        };
        if answer.is_err() {
            self.give_up(&link);
        }
        answer
    }

    /// The current connection, or a new one. It exists before the network is asked, except where a user must authenticate.
    pub(super) async fn link(&self) -> Result<Link, Error> {
        if let Some(link) = self.current().clone() {
            return Ok(link);
        }
        let turn = self.turn.load(Ordering::Relaxed);
        let endpoint = self.options.endpoints[turn % self.options.endpoints.len()].clone();
        let connecting = async {
            let options = self.options.for_connecting().await?;
            let connected = Client::connect([&endpoint], Some(options)).await;
            connected.map_err(|error| self.explain(&endpoint, &error))
        };
        let connected = timeout(CALL_LIMIT, connecting).await.unwrap_or_else(|_| Err(silent(&endpoint)));
        let client = connected.inspect_err(|_| self.take_turn(turn))?;
        let link = Link { turn, endpoint, client };
        // Two may have connected at once: the last one stays, the other serves its one request.
        *self.current() = Some(link.clone());
        Ok(link)
    }

    /// Makes the next request connect anew, to the next endpoint; requests and watches under way keep their connection.
    pub(super) fn give_up(&self, link: &Link) {
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

pub(super) fn silent(endpoint: &str) -> Error {
    Error::unavailable(format!("etcd at {endpoint}: no answer in {CALL_LIMIT:?}"))
}
