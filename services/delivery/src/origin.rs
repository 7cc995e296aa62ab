//! HTTP origins: where the bytes come from when no disk here has them.
//!
//! An [`Origins`] is a list in order of priority. Each request goes to the first that can answer; what comes back is passed on as
//! it arrives, pulled by the client, so that memory does not grow with the object.
//!
//! Nothing of a client's own identity reaches an origin: no cookie, no credential, no address.

mod admission;
mod body;
mod client;
mod error;
mod exchange;
#[cfg(any(test, feature = "faulty-origin"))]
pub mod faulty;
mod heads;
mod redirect;
mod settings;
mod stats;
mod tls;

use std::{fmt, sync::Arc};

use http::{HeaderMap, Method};
use tokio::sync::Semaphore;

pub use error::OriginError;
pub use settings::{Base, InvalidBase, InvalidOrigins, OriginSettings, Settings, Trust};
pub use stats::PoolStats;

use crate::answer::Answer;
use client::Origin;

/// Origins in order of priority, under one limit; a cheap clone.
#[derive(Clone)]
pub struct Origins {
    shared: Arc<Shared>,
}

struct Shared {
    origins: Vec<Origin>,
    loop_id: String,
}

/// What is asked of an origin.
#[derive(Debug)]
pub struct Fetch<'a> {
    /// GET or HEAD.
    pub method: Method,
    /// Path and query, encoded, with the leading slash; the origin's own prefix goes before it.
    pub target: &'a str,
    /// The client's header fields, of which ranges and conditions are forwarded.
    pub client: &'a HeaderMap,
    /// Further header fields to send.
    pub extra: &'a HeaderMap,
}

impl Origins {
    /// Origins as `settings` has them. Connects to nobody yet.
    pub fn new(settings: &Settings) -> Result<Self, InvalidOrigins> {
        if settings.origins.is_empty() {
            return Err(InvalidOrigins::None);
        }
        let total = Arc::new(Semaphore::new(settings.limit));
        let origins = settings.origins.iter().map(|origin| Origin::new(origin, settings, &total));
        let origins = origins.collect::<Result<_, _>>()?;
        Ok(Self { shared: Arc::new(Shared { origins, loop_id: settings.loop_id.clone() }) })
    }

    /// Asks the origins in turn; an error is what the last of them came to.
    ///
    /// Every step of it has a limit. Cancelling it gives its slots back, and so does dropping the answer.
    pub async fn fetch(&self, fetch: Fetch<'_>) -> Result<Answer, OriginError> {
        let head = heads::request(&fetch, &self.shared.loop_id)?;
        let mut origins = self.shared.origins.iter().peekable();
        loop {
            let origin = origins.next().ok_or(OriginError::NoneLeft)?;
            match origin.fetch(&fetch.method, fetch.target, &head).await {
                Err(error) if error.elsewhere() && origins.peek().is_some() => {
                    let error = ferry_core::chain::Chain(&error);
                    tracing::warn!(origin = %origin.name(), %error, "asking the next origin");
                }
                done => return done,
            }
        }
    }

    /// What each origin's pool is doing, in order of priority.
    #[must_use]
    pub fn pool_stats(&self) -> Vec<PoolStats> {
        self.shared.origins.iter().map(Origin::stats).collect()
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shared.origins.iter().map(Origin::name)).finish()
    }
}

#[cfg(test)]
mod tests;
