//! An origin's body, pulled as it is wanted. One that breaks off goes on where it stopped, if that is safe.

use std::{fmt, io, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use hyper::body::Incoming;

use super::{
    Shared,
    admission::Turn,
    breaker::Witness,
    endpoint::Endpoint,
    mend::{self, Broken, Search},
    resume::Plan,
    settings::Base,
};
use crate::stream::{ByteStream, Patient};

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection was lost, or nothing came for too long; and there was no way to go on.
    #[error("{origin} broke off in mid-body")]
    Broken {
        /// The origin.
        origin: Base,
        /// What happened to the connection.
        #[source]
        cause: io::Error,
    },
    /// The rest is not to be had: there is another object there now, or none, or no part of one.
    #[error("{origin} broke off in mid-body, and has no rest for what it began with")]
    Changed {
        /// The origin.
        origin: Base,
    },
    /// More came than was announced.
    #[error("{origin} sent more than it announced")]
    Excess {
        /// The origin.
        origin: Base,
    },
}

/// The content of an origin's response.
///
/// Memory does not grow with it: what is not taken stays at the origin. Dropping it ends the request and gives its turn back.
pub struct Body {
    state: State,
    /// How to go on, where that is possible.
    plan: Option<Box<Plan>>,
    /// How many bytes there are in all.
    length: Option<u64>,
    /// How many are still to come.
    left: Option<u64>,
    origins: Arc<Shared>,
}

enum State {
    Flowing(Source),
    Broken(Box<Broken>),
    Over,
}

/// Where bytes come from just now.
pub(super) struct Source {
    pub(super) bytes: Patient,
    /// Which of the origins.
    pub(super) index: usize,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) turn: Turn,
    /// Who it is for.
    pub(super) witness: Witness,
    /// What has come from here.
    pub(super) received: u64,
    /// The search that it ended, as long as it has not given much itself.
    pub(super) search: Option<Box<Search>>,
}

impl Source {
    pub(super) fn new(
        incoming: Incoming,
        (index, endpoint): (usize, Arc<Endpoint>),
        turn: Turn,
        witness: Witness,
        origins: &Shared,
    ) -> Self {
        let bytes = Patient::new(incoming, origins.limits.idle);
        Self { bytes, index, endpoint, turn, witness, received: 0, search: None }
    }
}

impl Body {
    pub(super) fn new(source: Source, plan: Option<Plan>, length: Option<u64>, origins: Arc<Shared>) -> Self {
        Self { state: State::Flowing(source), plan: plan.map(Box::new), length, left: length, origins }
    }

    pub(super) fn empty(origins: Arc<Shared>) -> Self {
        Self { state: State::Over, plan: None, length: Some(0), left: Some(0), origins }
    }

    /// Another one of the same origins, with nothing in it.
    pub(super) fn emptied(&self) -> Self {
        Self::empty(Arc::clone(&self.origins))
    }

    /// How many bytes there are in all, where that was known when it began.
    #[must_use]
    pub const fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether nothing is to come.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The next bytes; `None` at the end. After an error there is nothing more.
    ///
    /// Waits at most the idle limit for the origin, and beyond that as long as a body may take to go on. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        loop {
            match &mut self.state {
                State::Over => return None,
                State::Flowing(source) => match source.bytes.next().await {
                    Some(Ok(bytes)) => return Some(self.take(bytes)),
                    None if self.left.unwrap_or(0) == 0 => self.end(),
                    None => self.break_off(io::ErrorKind::UnexpectedEof.into()),
                    // All that was announced is here; what came after it is no loss.
                    Some(Err(_)) if self.is_whole() => self.end(),
                    Some(Err(cause)) => self.break_off(cause),
                },
                // In a box: it is much larger than all else here, and rare.
                State::Broken(broken) => {
                    match Box::pin(mend::go_on(broken, self.plan.as_deref_mut(), &self.origins)).await {
                        Ok(source) => {
                            self.state = State::Flowing(source);
                            // The rest says how long it is, also where the beginning did not.
                            self.left = self.plan.as_ref().and_then(|plan| plan.missing()).or(self.left);
                        }
                        Err(error) => {
                            self.end();
                            return Some(Err(error));
                        }
                    }
                }
            }
        }
    }

    /// The same as a stream.
    #[must_use]
    pub fn into_stream(self) -> ByteStream {
        let length = self.length;
        let bytes = stream::unfold(self, async |mut body| {
            let item = body.next().await?;
            Some((item.map_err(io::Error::from), body))
        });
        ByteStream::new(length, bytes)
    }

    fn take(&mut self, bytes: Bytes) -> Result<Bytes, BodyError> {
        let State::Flowing(source) = &mut self.state else { return Ok(bytes) };
        let count = bytes.len() as u64;
        let index = source.index;
        source.received += count;
        if let Some(plan) = &mut self.plan {
            plan.advance(count);
        }
        if let Some(left) = &mut self.left {
            let Some(rest) = left.checked_sub(count) else {
                self.end();
                return Err(BodyError::Excess { origin: self.origins.name(index).clone() });
            };
            *left = rest;
        }
        Ok(bytes)
    }

    fn is_whole(&self) -> bool {
        self.left == Some(0) || self.plan.as_ref().is_some_and(|plan| plan.is_whole())
    }

    fn end(&mut self) {
        self.state = State::Over;
    }

    fn break_off(&mut self, cause: io::Error) {
        if let State::Flowing(source) = std::mem::replace(&mut self.state, State::Over) {
            source.endpoint.broke_off(source.witness);
            self.origins.origin(source.index).counters().failures.count();
            let broken = Broken::new(source, cause, &self.origins);
            self.state = State::Broken(Box::new(broken));
        }
    }
}

impl From<BodyError> for io::Error {
    fn from(error: BodyError) -> Self {
        let kind = match &error {
            BodyError::Broken { cause, .. } => cause.kind(),
            BodyError::Changed { .. } => io::ErrorKind::UnexpectedEof,
            BodyError::Excess { .. } => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.length).field("left", &self.left).finish_non_exhaustive()
    }
}
