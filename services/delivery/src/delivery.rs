//! From an object to an answer: which source gives the bytes.

mod variant;

use std::{
    future,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ferry_core::{
    chain::Chain,
    object::{ObjectKey, ObjectPath},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::time::Instant;

use crate::{
    answer::{Answer, Body},
    cache::Cache,
    disk::{self, Disk, DiskError, OpenFile},
    metrics::Metrics,
    origin::Origins,
    ready::{Prompt, Ready, ReadyAnswers},
    request::Request,
    semantics::{self, Representation, disposition, methods, multipart::Boundaries, repr_digest},
    server::Plain,
    transfers::Transfers,
};
use variant::{Form, Variant};

/// A name that no file has, to look for.
const NOBODY: &str = ".ferry-probe";

/// When to ask again where there was no room for a transfer: some of those that are under way will have ended.
const CROWDED_FOR: Duration = Duration::from_secs(2);

/// What node and gateway hold to answer requests for objects; a cheap clone.
#[derive(Debug, Clone)]
pub struct Delivery {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    backend: Backend,
    transfers: Transfers,
    metrics: Metrics,
    boundaries: Boundaries,
    ready: ReadyAnswers,
}

/// Where the bytes are.
#[derive(Debug)]
pub enum Backend {
    /// Below a root of this machine.
    Filesystem(Disk),
    /// At origins.
    Http {
        /// Those.
        origins: Origins,
        /// What keeps what they send; without, all of it passes by.
        cache: Option<Cache>,
    },
    /// On the disk, else at the origins.
    Hybrid {
        /// What goes first.
        disk: Disk,
        /// What is asked for what is not there.
        origins: Origins,
        /// What keeps what they send; without, all of it passes by.
        cache: Option<Cache>,
    },
}

/// An object that a route made out of a request.
#[derive(Debug, Clone)]
pub struct Object {
    /// What it is called.
    pub key: ObjectKey,
    /// Path and query at an origin, encoded, with the leading slash.
    pub origin_target: String,
    /// The name under which clients save it, if the route says so.
    pub filename: Option<String>,
    /// `Cache-Control`, if the route says so.
    pub cache_control: Option<HeaderValue>,
    /// The media type, where the route knows better than the name.
    pub content_type: Option<HeaderValue>,
    /// Further header fields for the origin, such as a trace context or what the route's allow list lets through. Cookies,
    /// credentials and forwarding fields are taken out even here.
    pub origin_headers: HeaderMap,
    /// Whether the route lets other methods than GET and HEAD through. Then its origin is an application: it is asked in the client's name, and its
    /// answers are passed on as they are, redirects and all.
    pub through: bool,
}

impl Object {
    /// An object that has nothing but its key and its target.
    #[must_use]
    pub fn new(key: ObjectKey, origin_target: impl Into<String>) -> Self {
        Self {
            key,
            origin_target: origin_target.into(),
            filename: None,
            cache_control: None,
            content_type: None,
            origin_headers: HeaderMap::new(),
            through: false,
        }
    }
}

impl Delivery {
    /// A delivery out of `backend`; transfers are listed in `transfers`, figures counted in `metrics`.
    #[must_use]
    pub fn new(backend: Backend, transfers: Transfers, metrics: Metrics) -> Self {
        Self {
            shared: Arc::new(Shared {
                backend,
                transfers,
                metrics,
                boundaries: Boundaries::default(),
                ready: ReadyAnswers::new(),
            }),
        }
    }

    /// The transfers under way.
    #[must_use]
    pub fn transfers(&self) -> &Transfers {
        &self.shared.transfers
    }

    /// Where the bytes come from.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.shared.backend
    }

    /// The root that it serves from, if it has one.
    #[must_use]
    pub fn disk(&self) -> Option<&Disk> {
        match &self.shared.backend {
            Backend::Filesystem(disk) | Backend::Hybrid { disk, .. } => Some(disk),
            Backend::Http { .. } => None,
        }
    }

    /// The origins that it asks, if it has any.
    #[must_use]
    pub fn origins(&self) -> Option<&Origins> {
        match &self.shared.backend {
            Backend::Http { origins, .. } | Backend::Hybrid { origins, .. } => Some(origins),
            Backend::Filesystem(_) => None,
        }
    }

    /// What keeps what the origins send, if anything does.
    #[must_use]
    pub fn cache(&self) -> Option<&Cache> {
        match &self.shared.backend {
            Backend::Http { cache, .. } | Backend::Hybrid { cache, .. } => cache.as_ref(),
            Backend::Filesystem(_) => None,
        }
    }

    /// Looks after what is kept open between requests ([`Disk::tend`]). Runs until it is dropped.
    pub async fn tend(&self) {
        match self.disk() {
            Some(disk) => disk.tend().await,
            None => future::pending().await,
        }
    }

    /// How many requests were answered so far, and how many of them with an error of the server's.
    #[must_use]
    pub fn answers(&self) -> (u64, u64) {
        self.shared.metrics.answers()
    }

    /// What calls to its disks that may block took so far.
    #[must_use]
    pub fn disk_time(&self) -> disk::Time {
        let root = self.disk().map(Disk::time).unwrap_or_default();
        let cache = self.cache().map(|cache| cache.store().disk_time()).unwrap_or_default();
        disk::Time { calls: root.calls + cache.calls, spent: root.spent + cache.spent }
    }

    /// Whether a look through each of its roots succeeds. It may take as long as its disks' patience.
    pub async fn is_well(&self) -> bool {
        let nobody = ObjectPath::from_decoded(NOBODY).expect("a name is a path");
        let looked = match self.disk() {
            Some(disk) => disk.open(&nobody).await.map(drop),
            None => Ok(()),
        };
        // Nobody has that name: a refusal is about the root.
        let root = matches!(looked, Ok(()) | Err(DiskError::NotFound)) && self.disk().is_none_or(Disk::has_a_name);
        root && self.cache().is_none_or(|cache| cache.store().health().is_well())
    }

    /// Answers a request for an object; whatever fails becomes an answer too: 503 also where there are as many transfers as there may be.
    ///
    /// Cancelling it gives back every slot it holds.
    pub async fn deliver(&self, request: &Request, object: &Object) -> Answer {
        let answer = self.prepare(request, object).await;
        self.enter(request, object, answer).unwrap_or_else(|| self.crowded())
    }

    /// The answer to a request for an object, of which nobody knows yet: whoever gives it enters it ([`Self::enter`]), and whoever finds something better
    /// drops it.
    ///
    /// Cancelling it gives back every slot it holds.
    pub async fn prepare(&self, request: &Request, object: &Object) -> Answer {
        // What a route lets through is for its origin to judge.
        let through = object.through && self.origins().is_some();
        let refused = if through { None } else { methods::refusal(request) };
        match refused {
            Some(refused) => refused,
            None => self.find(request, object).await,
        }
    }

    /// Enters an answer in the books: counts it, and registers its transfer if it has bytes. `None` where there are as many transfers as there may be:
    /// then it is dropped, and [`Self::crowded`] or something better is to be said.
    #[must_use]
    pub fn enter(&self, request: &Request, object: &Object, mut answer: Answer) -> Option<Answer> {
        let has_bytes = matches!(answer.body, Body::File(_) | Body::Stream(_));
        if has_bytes && request.method != Method::HEAD {
            let (key, length) = (object.key.clone(), answer.body.length());
            let transfer = self.shared.transfers.try_begin(key, request.peer, length, SystemTime::now())?;
            answer.transfer = Some(transfer);
        }
        self.shared.metrics.answered(answer.status);
        Some(answer)
    }

    /// The answer where there are as many transfers as there may be. It counts as given.
    #[must_use]
    pub fn crowded(&self) -> Answer {
        self.shared.metrics.answered(StatusCode::SERVICE_UNAVAILABLE);
        Answer::unavailable("as many transfers as there may be are under way", CROWDED_FOR)
    }

    /// Keeps an answer that [`Self::deliver`] gave to a plain request ([`Request::plain`]), for others like it. Whether they may have it is
    /// the caller's to ask each time.
    pub fn keep_ready(&self, request: &Request, object: &Object, answer: &Answer) {
        // What depends on `Accept-Encoding` is not the same for all of them.
        if request.plain && !answer.headers.contains_key(header::VARY) {
            self.shared.ready.keep(request.target.as_str(), answer, &object.key, &self.shared.transfers);
        }
    }

    /// The answer to a plain request for `target`, if one was kept, its file is still the one, and its time is not over. It counts as given; out of a
    /// cache ([`Prompt::is_cached`]), as a hit of its object. Where transfers are limited, there is none for want of room: but what is kept in memory takes
    /// none, since it costs no more to send than a refusal.
    #[must_use]
    pub fn ready(&self, plain: Plain<'_>) -> Option<Prompt> {
        let Plain { target, peer, since, .. } = plain;
        let ready = self.shared.ready.get(target)?;
        let Some(file) = self.standing(&ready, since) else {
            self.shared.ready.forget(target, &ready);
            return None;
        };
        let transfer = match ready.content.is_none() && self.shared.transfers.is_limited() {
            true => Some(ready.try_begin(&file, peer)?),
            false => None,
        };
        file.given_again();
        if let (true, Some(cache)) = (ready.is_cached(), self.cache()) {
            cache.hit_again();
        }
        self.shared.metrics.answered(StatusCode::OK);
        Some(Prompt { ready, file, client: peer, transfer })
    }

    /// The file of an answer that a request is to be given which came then.
    fn standing(&self, ready: &Ready, came: Instant) -> Option<Arc<OpenFile>> {
        if !ready.holds_at(came) {
            return None;
        }
        // What was never looked up below the root is not looked for there.
        let again = || self.disk().filter(|_| !ready.is_cached())?.at_hand(&ready.key().path);
        ready.standing(came).or_else(|| again().filter(|file| ready.is_of(file)))
    }

    async fn find(&self, request: &Request, object: &Object) -> Answer {
        match &self.shared.backend {
            Backend::Filesystem(disk) => match self.file_or_trouble(request, object, disk).await {
                Ok(answer) => answer,
                Err(error) => self.disk_failure(object, &error).answer(),
            },
            Backend::Http { origins, cache } => self.origin_answer((origins, cache.as_ref()), request, object).await,
            Backend::Hybrid { origins, cache, .. } if !is_read(request) => {
                self.origin_answer((origins, cache.as_ref()), request, object).await
            }
            Backend::Hybrid { disk, origins, cache } => match self.file_or_trouble(request, object, disk).await {
                Ok(answer) => answer,
                Err(DiskError::NotFound) => self.origin_answer((origins, cache.as_ref()), request, object).await,
                // The origin has the object too: a sick disk is no reason to refuse it.
                Err(error) => {
                    self.disk_failure(object, &error);
                    self.origin_answer((origins, cache.as_ref()), request, object).await
                }
            },
        }
    }

    async fn file_or_trouble(&self, request: &Request, object: &Object, disk: &Disk) -> Result<Answer, DiskError> {
        let variant = Variant::choose(disk, &object.key.path, &request.headers).await?;
        let answer = self.file_answer(request, object, disk, variant);
        if request.method == Method::GET
            && let Body::File(body) = &answer.body
            && let Some(first) = body.first()
        {
            body.file.first_read(first).await?;
        }
        Ok(answer)
    }

    fn file_answer(&self, request: &Request, object: &Object, disk: &Disk, variant: Variant) -> Answer {
        let Variant { plain, form, varies } = variant;
        let kind = object.media_type(disk).unwrap_or_else(|| plain.content_type().clone());
        let (file, coding) = match form {
            Form::Plain => (plain, None),
            Form::Coded(coding, file) => (file, Some(coding)),
            Form::None => return semantics::not_acceptable(),
        };
        let validators = file.validators();
        let coded = coding.zip(validators.etag.as_ref()).map(|(coding, etag)| etag.coded(coding));
        let representation = Representation {
            length: file.length(),
            etag: coded.as_ref().or(validators.etag.as_ref()),
            last_modified: validators.last_modified.as_ref(),
            content_type: &kind,
            disposition: object.filename.as_deref().map(disposition::attachment),
            cache_control: object.cache_control.as_ref(),
            coding,
            varies,
        };
        let boundary = || self.shared.boundaries.next();
        let plan = semantics::plan(&request.method, &request.headers, &representation, boundary);
        let carries = matches!(plan.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT);
        let digest = file.digest().filter(|_| carries).map(repr_digest::of_sha256);
        let answer = plan.into_answer(file);
        match digest {
            Some(digest) => answer.with(repr_digest::REPR_DIGEST, digest),
            None => answer,
        }
    }

    async fn origin_answer(
        &self,
        (origins, cache): (&Origins, Option<&Cache>),
        request: &Request,
        object: &Object,
    ) -> Answer {
        let answer = match cache {
            Some(cache) => cache.answer(request, object).await,
            None => Box::pin(origins.pass(request, object)).await.map_err(Arc::new),
        };
        match answer {
            Ok(mut answer) => {
                object.describe(&mut answer);
                answer
            }
            Err(error) => {
                tracing::warn!(key = %object.key, error = %Chain(&*error), "no origin gave the object");
                self.shared.metrics.origin_failed(error.kind());
                error.answer()
            }
        }
    }

    fn disk_failure<'a>(&self, object: &Object, error: &'a DiskError) -> &'a DiskError {
        self.shared.metrics.disk_failed(error.kind());
        match error {
            DiskError::NotFound => {}
            DiskError::Forbidden
            | DiskError::Busy
            | DiskError::Exhausted(_)
            | DiskError::Away(_)
            | DiskError::Io(_) => {
                tracing::warn!(key = %object.key, error = %Chain(error), "the disk did not give the object");
            }
        }
        error
    }
}

/// Whether a request is for what is there, and for nothing else.
fn is_read(request: &Request) -> bool {
    matches!(request.method, Method::GET | Method::HEAD) && request.content.is_empty()
}

impl Object {
    /// The media type that the route has for it. What it says of itself, or by the name that it gives, goes before the file's own
    /// name: a package may lie on disk under any.
    fn media_type(&self, disk: &Disk) -> Option<HeaderValue> {
        let by_name = || self.filename.as_deref().map(|name| disk.types().by_name(name));
        self.content_type.clone().or_else(by_name)
    }

    /// Puts what the route says in place of what the origin said, on answers that carry the object.
    fn describe(&self, answer: &mut Answer) {
        let carries = matches!(answer.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT);
        if let (true, Some(name)) = (carries, &self.filename) {
            answer.headers.insert(header::CONTENT_DISPOSITION, disposition::attachment(name));
        }
        if let (true, Some(value)) = (carries || answer.status == StatusCode::NOT_MODIFIED, &self.cache_control) {
            answer.headers.insert(header::CACHE_CONTROL, value.clone());
        }
        // A multipart body's own type must stay: it has the boundary.
        let several = answer
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/")));
        if let (true, false, Some(value)) = (carries, several, &self.content_type) {
            answer.headers.insert(header::CONTENT_TYPE, value.clone());
        }
    }
}

#[cfg(test)]
mod tests;
