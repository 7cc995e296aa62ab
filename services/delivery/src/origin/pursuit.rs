//! From a request to an answer: which origin is asked, and how often.
//!
//! Origins are asked in order of priority; where all of them came to nothing, the round is repeated after a pause, a few times, as long as
//! there are retries in the budget. Only GET and HEAD are ever sent twice.

use std::{sync::Arc, time::Duration};

use ferry_core::{backoff::Backoff, chain::Chain};
use http::Method;
use rand::RngExt as _;
use tokio::time;

use super::{
    OriginError, Shared,
    admission::Turn,
    exchange::{self, Arrival, Outgoing},
};
use crate::stream::ByteStream;

/// Pauses between rounds, with full jitter: who failed together does not come again together.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// An answer, and the turn that its body needs.
pub(super) struct Caught {
    pub(super) arrival: Arrival,
    /// Which of the origins.
    pub(super) index: usize,
    pub(super) turn: Turn,
}

/// Asks until there is an answer or no hope of one. An error is what the last origin of the last round came to.
pub(super) async fn run(
    origins: &Arc<Shared>,
    request: Outgoing<'_>,
    mut body: Option<ByteStream>,
    retry: bool,
) -> Result<Caught, OriginError> {
    // Content takes as long as its client; what stalls is given up on the way.
    let limit = if body.is_some() { Duration::MAX } else { origins.limits.total };
    let rounds = rounds(origins, request, &mut body, retry);
    time::timeout(limit, rounds).await.unwrap_or(Err(OriginError::GivenUp { limit }))
}

async fn rounds(
    origins: &Arc<Shared>,
    mut request: Outgoing<'_>,
    body: &mut Option<ByteStream>,
    retry: bool,
) -> Result<Caught, OriginError> {
    let safe = matches!(*request.method, Method::GET | Method::HEAD) && body.is_none();
    origins.budget().earn(origins.clock.now());
    let mut backoff = BACKOFF;
    loop {
        let outcome = round(origins, request, body, safe).await;
        let again = match &outcome {
            Ok(caught) => {
                exchange::is_worth_another(caught.arrival.response.status(), caught.arrival.response.headers())
            }
            Err(error) => error.again(),
        };
        let free = outcome.as_ref().is_err_and(OriginError::unsent);
        let may = safe && retry && again && backoff.attempts() < origins.limits.retries;
        if !may || !(free || origins.budget().spend(origins.clock.now())) {
            return outcome;
        }
        // The turn is given back before the pause.
        drop(outcome);
        let pause = rand::rng().random_range(backoff.next_wait());
        time::sleep(pause).await;
        request.again = true;
    }
}

/// Asks the origins in turn.
async fn round(
    origins: &Arc<Shared>,
    request: Outgoing<'_>,
    body: &mut Option<ByteStream>,
    safe: bool,
) -> Result<Caught, OriginError> {
    let had_body = body.is_some();
    let last = origins.count() - 1;
    for index in 0..=last {
        let origin = origins.origin(index);
        let outcome = one(origins, index, request, body).await;
        let movable = |unsent: bool| safe || (unsent && body.is_some() == had_body);
        match outcome {
            Err(error) if index < last && error.elsewhere() && movable(error.unsent()) => {
                tracing::warn!(origin = %origin.name(), error = %Chain(&error), "asking the next origin");
            }
            Ok(caught) if index < last && safe && caught.arrival.response.status().is_server_error() => {
                let status = caught.arrival.response.status();
                tracing::warn!(origin = %origin.name(), %status, "asking the next origin");
            }
            done => return done,
        }
    }
    Err(OriginError::NoneLeft)
}

async fn one(
    origins: &Arc<Shared>,
    index: usize,
    request: Outgoing<'_>,
    body: &mut Option<ByteStream>,
) -> Result<Caught, OriginError> {
    let origin = origins.origin(index);
    let turn = origin.enter().await?;
    let arrival = exchange::run(origin, request, body).await?;
    Ok(Caught { arrival, index, turn })
}
