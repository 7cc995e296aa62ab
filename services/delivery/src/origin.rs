//! HTTP origins: where the bytes come from when no disk here has them.
//!
//! An [`Origins`] is a list in order of priority. Each request goes to the first that can answer; what comes back is passed on as
//! it arrives, pulled by the client, so that memory does not grow with the object.
//!
//! What stands between a client and an origin's bad day: a gate per origin and over all of them ([`Settings::limit`]), a breaker per
//! address, retries within a budget, and bodies that go on where they broke off. What of it is safe, [`Origins::ask`] says.
//!
//! Nothing of a client's own identity reaches an origin unless the caller says so: no cookie, no address. Nothing here knows of caching.

mod addresses;
mod admission;
mod ask;
mod body;
mod breaker;
mod budget;
mod client;
mod dial;
mod endpoint;
mod error;
mod exchange;
#[cfg(any(test, feature = "faulty-origin"))]
pub mod faulty;
pub mod figures;
mod heads;
mod mend;
mod partial;
mod pass;
mod pursuit;
mod redirect;
mod resume;
mod s3;
mod settings;
mod stats;
mod tls;
mod upload;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use ferry_runtime::Clock;
use http::{HeaderMap, Method, StatusCode};
use hyper::body::Body as _;
use tokio::sync::Semaphore;
use twox_hash::XxHash3_64;

pub use ask::{Ask, Identity, Response};
pub use body::{Body, BodyError};
pub use breaker::BreakerState;
pub use error::OriginError;
pub use partial::content_length;
pub use resume::{Plan as Resumption, Verdict};
pub use s3::Credentials;
pub use settings::{Base, InvalidBase, InvalidOrigins, OriginSettings, Settings, Trust};
pub use stats::{AddressStats, PoolStats};
pub use tls::config as client_config;

pub(crate) use heads::of_a_client;
pub(crate) use redirect::is_redirect;

use crate::{answer::Answer, delivery::Object, request::Request};
use addresses::Lookup;
use body::Source;
use breaker::Witness;
use budget::Budget;
use client::Origin;
use exchange::Outgoing;
use partial::ContentRange;
use resume::Plan;

/// Origins in order of priority, under one limit; a cheap clone.
#[derive(Clone)]
pub struct Origins {
    shared: Arc<Shared>,
}

struct Shared {
    origins: Vec<Origin>,
    limits: Settings,
    budget: Mutex<Budget>,
    clock: Clock,
    /// How many exchanges were begun.
    exchanges: AtomicU64,
}

/// What is asked of an origin whose answer goes straight to a client.
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
        Self::with(settings, &addresses::system(), &Clock::system())
    }

    fn with(settings: &Settings, lookup: &Lookup, clock: &Clock) -> Result<Self, InvalidOrigins> {
        if settings.origins.is_empty() {
            return Err(InvalidOrigins::None);
        }
        let total = Arc::new(Semaphore::new(settings.limit));
        let origins = settings.origins.iter().map(|origin| Origin::new(origin, settings, &total, (lookup, clock)));
        let origins = origins.collect::<Result<_, _>>()?;
        let budget = Mutex::new(Budget::new(clock.now()));
        let exchanges = AtomicU64::new(0);
        let shared = Shared { origins, limits: settings.clone(), budget, clock: clock.clone(), exchanges };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Asks the origins for an object that a client waits for; an error is what the last of them came to.
    ///
    /// Every step of it has a limit. Cancelling it gives its slots back, and so does dropping the answer.
    pub async fn fetch(&self, fetch: Fetch<'_>) -> Result<Answer, OriginError> {
        let head = heads::request(&fetch, &self.shared.limits.loop_id)?;
        let request = self.outgoing(&fetch.method, fetch.target, &head, true);
        let response = self.pursue(request, None, true).await?;
        pass::on(&fetch.method, &head, response)
    }

    /// Passes a client's request on, and gives it what the origin answers.
    pub(crate) async fn pass(&self, request: &Request, object: &Object) -> Result<Answer, OriginError> {
        if !object.through {
            let fetch = Fetch {
                method: request.method.clone(),
                target: &object.origin_target,
                client: &request.headers,
                extra: &object.origin_headers,
            };
            return self.fetch(fetch).await;
        }
        let mut fields = object.origin_headers.clone();
        fields.extend(of_a_client(&request.method, &request.headers));
        let ask = Ask {
            method: request.method.clone(),
            target: &object.origin_target,
            headers: &fields,
            body: request.content.take(),
            identity: Identity::Passed,
            follow: false,
            retry: false,
        };
        Ok(self.ask(ask).await?.into_whole_answer(&request.method))
    }

    /// Asks the origins; whatever one of them answers is the answer, whatever its status.
    ///
    /// - Only GET and HEAD are sent more than once: to the next origin after a 5xx or none at all, and again after a pause, a share of all
    ///   requests. Others go to another origin only where nothing was sent.
    /// - A 206 that contradicts itself or the request is no answer.
    /// - A body with one strong entity tag that breaks off goes on with the rest of the same representation, perhaps from another origin, or ends
    ///   in an error: never with bytes of another.
    ///
    /// Every step of it has a limit. Cancelling it gives its slots back, and so does dropping the response.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Response, OriginError> {
        let head = heads::chosen(&ask, &self.shared.limits.loop_id)?;
        let follow = ask.follow && matches!(ask.method, Method::GET | Method::HEAD);
        let trusted = ask.identity == Identity::Passed;
        let request = Outgoing { trusted, ..self.outgoing(&ask.method, ask.target, &head, follow) };
        self.pursue(request, ask.body, ask.retry).await
    }

    /// What each origin's pool is doing, in order of priority.
    #[must_use]
    pub fn pool_stats(&self) -> Vec<PoolStats> {
        self.shared.origins.iter().map(Origin::stats).collect()
    }

    fn outgoing<'a>(&self, method: &'a Method, target: &'a str, headers: &'a HeaderMap, follow: bool) -> Outgoing<'a> {
        let witness = Witness {
            exchange: self.shared.exchanges.fetch_add(1, Relaxed),
            target: XxHash3_64::oneshot(target.as_bytes()),
        };
        let limit = self.shared.limits.head;
        Outgoing { method, target, headers, follow, trusted: false, witness, again: false, limit }
    }

    async fn pursue(
        &self,
        request: Outgoing<'_>,
        body: Option<crate::stream::ByteStream>,
        retry: bool,
    ) -> Result<Response, OriginError> {
        let caught = pursuit::run(&self.shared, request, body, retry).await?;
        let (origin, arrival) = (self.shared.name(caught.index).clone(), caught.arrival);
        let address = arrival.endpoint.address();
        let (asked, answered) = arrival.times;
        let (head, incoming) = arrival.response.into_parts();
        let body = if *request.method == Method::HEAD || incoming.is_end_stream() {
            Body::empty(Arc::clone(&self.shared))
        } else {
            let plan = Plan::of((request.method, request.target, request.headers), head.status, &head.headers);
            let announced = incoming.size_hint().exact();
            let partial = head.status == StatusCode::PARTIAL_CONTENT;
            let part = ContentRange::of(&head.headers).filter(|_| partial);
            let length = announced.or_else(|| part.map(|part| part.width()));
            let source =
                Source::new(incoming, (caught.index, arrival.endpoint), caught.turn, request.witness, &self.shared);
            Body::new(source, plan, length, Arc::clone(&self.shared))
        };
        let headers = heads::end_to_end(head.headers);
        Ok(Response { status: head.status, headers, body, origin, address, asked, answered })
    }
}

impl Shared {
    fn count(&self) -> usize {
        self.origins.len()
    }

    fn origin(&self, index: usize) -> &Origin {
        &self.origins[index]
    }

    fn name(&self, index: usize) -> &Base {
        self.origins[index].name()
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shared.origins.iter().map(Origin::name)).finish()
    }
}

#[cfg(test)]
mod tests;
