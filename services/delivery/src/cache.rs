//! A pull-through cache: what origins sent, kept for the next who asks.
//!
//! Three parts know nothing of each other: [`store`] keeps bytes, [`caching`] says what may be kept and given out, [`origin`] asks.
//! Here a request meets them. What is stored and may be used is given out as a file; what is missing is fetched once, however many wait
//! ([`flights`], [`filler`]), and everybody reads along while it comes. What must not be kept, or cannot, passes by: a cache never
//! refuses what its origin would have given.
//!
//! [`caching`]: crate::semantics::caching
//! [`origin`]: crate::origin

mod control;
mod exchange;
pub mod figures;
mod filler;
mod flights;
mod found;
mod heads;
mod pass;
mod passing;
mod patience;
mod serve;
mod stats;
pub mod store;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ferry_runtime::{Clock, Complaint, Tasks};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::sync::{self, oneshot};

pub use control::{Cached, Purge, Warm, WarmError};
pub use stats::CacheStats;

use crate::{
    answer::Answer,
    delivery::Object,
    origin::{OriginError, Origins},
    request::Request,
    semantics::{
        caching::{Asked, CacheStatus, Decision, Forward, Policy, cache_key, decide},
        multipart::Boundaries,
    },
};
use exchange::{Errand, ForFirst};
use filler::Fillers;
use flights::{Flights, Joined, Landing};
use found::{Entry, Looked};
use passing::Passing;
use patience::Waited;
use serve::Served;
use stats::Stats;
use store::Store;

/// How often an answer is tried out of what is stored, before the request passes by: what is found may be purged, evicted or spoiled at any moment.
const ATTEMPTS: usize = 4;

/// How a cache works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What may be kept, and for how long.
    pub policy: Policy,
    /// How far a fetch may be ahead of the fastest of its clients, in bytes.
    pub fill_ahead: u64,
    /// How much may be missing of an object, in bytes, for its fetch to go on although nobody waits for it any more.
    pub finish: u64,
    /// For how long it goes on then: it has one of its origin's turns, which others may wait for.
    pub alone: Duration,
    /// How long clients wait for an origin before what is stale stands in for it, where it may for one that fails.
    pub stale_patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            fill_ahead: 1 << 30,
            finish: 64 << 20,
            alone: Duration::from_secs(15),
            stale_patience: Duration::from_secs(2),
        }
    }
}

/// A cache before origins; a cheap clone.
#[derive(Debug, Clone)]
pub struct Cache {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    origins: Origins,
    settings: Settings,
    clock: Clock,
    tasks: Tasks,
    flights: Flights,
    fillers: Fillers,
    passing: Passing,
    /// Read by whoever makes an object of what a flight brought: a purge waits for those that did not know of it.
    keeping: sync::RwLock<()>,
    stats: Stats,
    boundaries: Boundaries,
    /// How many flights were nobody's to join.
    alone: AtomicU64,
    unreadable: Complaint,
    given_up: Complaint,
}

/// A request, and what it is called here.
struct Visit<'a> {
    request: &'a Request,
    object: &'a Object,
    key: String,
    /// What the origin would be sent, and what the client says to caches.
    wishes: HeaderMap,
    /// Whether an operator wants it here: it is let in although nobody asked for it before.
    chosen: bool,
}

impl Cache {
    /// A cache of what `origins` give, in `store`. Fetches run in `tasks`; `clock` says how old things are.
    #[must_use]
    pub fn new(store: Store, origins: Origins, settings: Settings, clock: Clock, tasks: &Tasks) -> Self {
        let shared = Shared {
            store,
            origins,
            settings,
            clock,
            tasks: tasks.clone(),
            flights: Flights::default(),
            fillers: Fillers::default(),
            passing: Passing::default(),
            keeping: sync::RwLock::default(),
            stats: Stats::default(),
            boundaries: Boundaries::default(),
            alone: AtomicU64::new(0),
            unreadable: Complaint::default(),
            given_up: Complaint::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Where it keeps things.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// What it does.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.shared.stats.read(self.shared.fillers.count(), self.shared.flights.count())
    }

    /// An answer of the cache's was given once more, by whoever kept it.
    pub(crate) fn hit_again(&self) {
        self.shared.stats.hit();
    }

    /// Answers a request for an object of the origins.
    ///
    /// Cancelling it ends nothing that others wait for. What is rare in it is in boxes: it is part of every connection's task.
    pub(crate) async fn answer(&self, request: &Request, object: &Object) -> Result<Answer, Arc<OriginError>> {
        let key = cache_key(&object.key, &object.origin_target);
        self.attend(Visit { request, object, key, wishes: wishes(request, object), chosen: false }).await
    }

    /// The same for an object that an operator wants to be kept.
    pub(crate) async fn answer_chosen(&self, request: &Request, object: &Object) -> Result<Answer, Arc<OriginError>> {
        let key = cache_key(&object.key, &object.origin_target);
        self.attend(Visit { request, object, key, wishes: wishes(request, object), chosen: true }).await
    }

    async fn attend(&self, visit: Visit<'_>) -> Result<Answer, Arc<OriginError>> {
        let Visit { request, object, .. } = visit;
        let mut look_past = false;
        for _ in 0..ATTEMPTS {
            let looked = match look_past {
                true => Looked::Nothing,
                false => self.look(&visit).await,
            };
            let now = self.shared.clock.wall();
            let (why, stale) = match (decide(visit.asked(), looked.found(), &self.shared.settings.policy, now), looked)
            {
                (Decision::GatewayTimeout, _) => return Ok(nothing_here()),
                (
                    decision @ (Decision::Use { .. } | Decision::Validate { may_serve_stale_while: true, .. }),
                    Looked::This(entry),
                ) => match self.serve(&entry, request, object, CacheStatus::hit(0), None).await {
                    Served::Answer(answer) => {
                        if let Decision::Validate { why, .. } = decision {
                            self.validate_meanwhile(&visit, why, entry);
                        }
                        return Ok(answer);
                    }
                    Served::Useless => {
                        look_past = true;
                        continue;
                    }
                },
                (Decision::Validate { why, .. }, Looked::This(entry)) => (why, Looked::This(entry)),
                (Decision::Fetch(why), looked) => (why, looked),
                // No other decision is made of nothing.
                (Decision::Use { .. } | Decision::Validate { .. }, looked) => (Forward::Miss, looked),
            };
            if matches!(why, Forward::Method | Forward::Bypass) {
                return Box::pin(self.pass(&visit, why)).await;
            }
            let answer = match request.method == Method::HEAD {
                true => Box::pin(self.head(&visit, why, stale)).await?,
                false => Box::pin(self.fetch(&visit, why, stale)).await?,
            };
            if let Some(answer) = answer {
                return Ok(answer);
            }
            look_past = false;
        }
        Box::pin(self.pass(&visit, Forward::Miss)).await
    }

    async fn look(&self, visit: &Visit<'_>) -> Looked {
        let fields = &visit.object.origin_headers;
        match found::look(&self.shared.store, &visit.key, fields, &self.shared.settings.policy).await {
            Ok(looked) => looked,
            Err(error) => {
                if let Some(kept_back) = self.shared.unreadable.due() {
                    tracing::warn!(key = visit.key, %error, kept_back, "the cache cannot be read");
                }
                Looked::Nothing
            }
        }
    }

    /// Answers out of a flight, this request's own or the one that is under way; `None` if it is to be looked for again.
    async fn fetch(&self, visit: &Visit<'_>, why: Forward, looked: Looked) -> Result<Option<Answer>, Arc<OriginError>> {
        let range = self.cold_range(visit.request);
        let part = range.is_some();
        let alone = self.shared.passing.recall(&visit.key, part).then(|| self.shared.alone.fetch_add(1, Relaxed));
        let name = visit.flight(&looked, alone);
        let (flight, joined) = self.shared.flights.join(&name, &visit.key, part);
        let stand_in = self.stand_in(why, &looked);
        let stale = match looked {
            Looked::This(entry) => Some(entry),
            Looked::Nothing | Looked::Others(_) => None,
        };
        let (mut own, collapsed) = match joined {
            Joined::Later => (None, true),
            Joined::First(ticket) => {
                let (first, own) = oneshot::channel();
                let errand = visit.errand(range, stale);
                // In a box: on its way into its task it would be copied several times.
                self.shared.tasks.spawn("cache exchange", Box::pin(self.clone().fly(errand, ticket, first)));
                (Some(own), false)
            }
        };
        let status = CacheStatus { collapsed, ..CacheStatus::forwarded(why) };
        let landing = match self.wait_for(&flight, visit, stand_in, status).await {
            Waited::Landed(landing) => landing,
            Waited::Late(answer) => return Ok(Some(answer)),
        };
        if collapsed && !part && flight.is_silent_on_the_whole(&landing) {
            return Ok(None);
        }
        let own = own.as_mut().and_then(|own| own.try_recv().ok());
        self.landed(visit, why, landing, collapsed, own).await
    }

    /// Answers out of what came of a flight; `None` if it is to be looked for again.
    async fn landed(
        &self,
        visit: &Visit<'_>,
        why: Forward,
        landing: Landing,
        collapsed: bool,
        own: Option<ForFirst>,
    ) -> Result<Option<Answer>, Arc<OriginError>> {
        match landing {
            Landing::Stored { entry, status } => {
                if !entry.stored().vary().matches(&visit.object.origin_headers) {
                    return Ok(None);
                }
                let stored = entry.stored().status();
                let origin_status = Some(status).filter(|status| *status != stored);
                let status = CacheStatus { stored: true, collapsed, origin_status, ..CacheStatus::forwarded(why) };
                let fields = match own {
                    Some(ForFirst::Fields(fields)) => Some(fields),
                    Some(ForFirst::Unkept(_)) | None => None,
                };
                Ok(self.served(&entry, visit, status, fields).await)
            }
            Landing::Stale(entry) => {
                if !entry.stored().vary().matches(&visit.object.origin_headers) {
                    return Ok(None);
                }
                let status =
                    CacheStatus { collapsed, detail: Some("origin-in-trouble"), ..CacheStatus::forwarded(why) };
                Ok(self.served(&entry, visit, status, None).await)
            }
            Landing::Heard(heard) => self.heard(visit, why, &heard, collapsed).await.map(Some),
            Landing::Passed => match own {
                Some(ForFirst::Unkept(unkept)) => self.pass_on(visit, why, *unkept).await.map(Some),
                // Whoever asked did not want it kept.
                Some(ForFirst::Fields(_)) | None if visit.chosen => Ok(None),
                Some(ForFirst::Fields(_)) | None => self.pass(visit, why).await.map(Some),
            },
            Landing::Failed(error) => Err(error),
            Landing::Gone => match own {
                Some(ForFirst::Unkept(unkept)) => self.pass_on(visit, why, *unkept).await.map(Some),
                Some(ForFirst::Fields(_)) | None => Ok(None),
            },
        }
    }

    async fn served(
        &self,
        entry: &Entry,
        visit: &Visit<'_>,
        status: CacheStatus<'_>,
        fields: Option<HeaderMap>,
    ) -> Option<Answer> {
        match self.serve(entry, visit.request, visit.object, status, fields).await {
            Served::Answer(answer) => Some(answer),
            Served::Useless => None,
        }
    }

    /// Validates what was given out stale, for those who come later.
    fn validate_meanwhile(&self, visit: &Visit<'_>, why: Forward, entry: Entry) {
        tracing::trace!(key = visit.key, ?why, "validated meanwhile");
        let looked = Looked::This(entry);
        let name = visit.flight(&looked, None);
        let (_, Joined::First(ticket)) = self.shared.flights.join(&name, &visit.key, false) else { return };
        let Looked::This(entry) = looked else { return };
        let errand = visit.errand(None, Some(entry));
        let (nobody, _) = oneshot::channel();
        self.shared.tasks.spawn("cache validation", Box::pin(self.clone().fly(errand, ticket, nobody)));
    }

    /// What is asked of the origin where nothing is here: the blocks that the client's one range lies in. `None` is all of it.
    fn cold_range(&self, request: &Request) -> Option<HeaderValue> {
        let mut lines = request.headers.get_all(header::RANGE).iter();
        let line = lines.next().filter(|_| lines.next().is_none())?.to_str().ok()?;
        let block = self.shared.store.block_bytes();
        let set = line.split_once('=').filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes"))?.1;
        let (first, last) = set.split(',').next()?.trim().split_once('-')?;
        let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let range = match (first, last) {
            ("", suffix) => format!("bytes=-{}", number(suffix).filter(|suffix| *suffix > 0)?),
            (first, "") => format!("bytes={}-", floor(number(first)?, block)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                format!("bytes={}-{}", floor(first, block), floor(last, block).saturating_add(block - 1))
            }
        };
        if range == "bytes=0-" { None } else { HeaderValue::try_from(range).ok() }
    }
}

const fn floor(at: u64, block: u64) -> u64 {
    at - at % block
}

impl Visit<'_> {
    fn asked(&self) -> Asked<'_> {
        Asked {
            method: &self.request.method,
            target: &self.object.origin_target,
            headers: &self.wishes,
            has_content: !self.request.content.is_empty(),
        }
    }

    fn errand(&self, range: Option<HeaderValue>, stale: Option<Entry>) -> Errand {
        Errand { key: self.key.clone(), object: self.object.clone(), range, stale, chosen: self.chosen }
    }

    /// Whom it may wait for: those that want the same. What was not to be kept before is not worth waiting for.
    fn flight(&self, looked: &Looked, alone: Option<u64>) -> String {
        let Self { key, .. } = self;
        match looked {
            _ if alone.is_some() => format!("{key}\n\n\n\n{}", alone.unwrap_or_default()),
            Looked::Others(variant) => format!("{key}\n\n\n{variant:016x}"),
            Looked::Nothing | Looked::This(_) => key.clone(),
        }
    }
}

/// What the origin would be sent, and what a client says to every cache on its way.
fn wishes(request: &Request, object: &Object) -> HeaderMap {
    let mut wishes = object.origin_headers.clone();
    for name in [header::CACHE_CONTROL, header::PRAGMA] {
        if !wishes.contains_key(&name) {
            for value in request.headers.get_all(&name) {
                wishes.append(name.clone(), value.clone());
            }
        }
    }
    wishes
}

/// The client wants nothing but what is here (RFC 9111 section 5.2.1.7).
fn nothing_here() -> Answer {
    Answer::text(StatusCode::GATEWAY_TIMEOUT, "it is not in the cache")
}

#[cfg(test)]
mod tests;
