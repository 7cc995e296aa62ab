//! What operators ask of a cache: to forget, to fetch ahead, to tell.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use ferry_core::{
    object::{ObjectKey, ObjectPath},
    target::default_target,
};
use http::{HeaderValue, Method, StatusCode, header};

use super::{
    Cache,
    filler::{Trouble, Whence},
    flights::Ticket,
    found,
    found::{Entry, Looked},
    store::{Span, StoreError},
};
use crate::{answer::Body, delivery::Object, origin::OriginError, request::Request, semantics::caching::cache_status};

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purge {
    /// One path, with all its queries and variants.
    Path(ObjectPath),
    /// Every path that begins so; the empty text is everything.
    Below(String),
}

/// An object on the list of what is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// The cache key: where the next page begins.
    pub key: String,
    /// Path and query, for people.
    pub name: String,
    /// The status that it answers with.
    pub status: StatusCode,
    /// Its length, if that is known.
    pub length: Option<u64>,
    /// How many of its bytes are here.
    pub bytes_here: u64,
    /// What it takes on the disk.
    pub bytes_on_disk: u64,
    /// How old it is.
    pub age: Duration,
    /// How long it is fresh yet, in seconds; below zero, for how long it has been stale.
    pub ttl: i64,
    /// Its entity tag, as it was sent.
    pub etag: Option<String>,
    /// How often it was used.
    pub hits: u64,
    /// When it came to be.
    pub created: SystemTime,
    /// When it was used last.
    pub last_used: SystemTime,
    /// SHA-256 of all of it, if somebody has computed that.
    pub digest: Option<[u8; 32]>,
}

/// How far an object is that is fetched ahead of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warm {
    /// How many of the bytes that were asked for are here.
    pub bytes: u64,
    /// How many were asked for, if that is known.
    pub length: Option<u64>,
}

/// Why an object is not fetched ahead.
#[derive(Debug, thiserror::Error)]
pub enum WarmError {
    /// No origin gave it.
    #[error("no origin gave the object")]
    Origin(#[source] Arc<OriginError>),
    /// There is an answer, but it is not the object.
    #[error("the origin answered {0}")]
    Status(StatusCode),
    /// It is not to be kept.
    #[error("the object is not kept here: the origin, the policy or the room does not allow it")]
    NotKept,
    /// The fetch broke off.
    #[error("the object was not filled")]
    Broken(#[source] std::io::Error),
}

impl Cache {
    /// Forgets; returns how many objects that were. When it returns, nobody is answered from them, after a power cut either; transfers under way go
    /// on, and what is being fetched is not kept.
    pub async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        match purge {
            Purge::Path(path) => {
                let (key, below) = (path.as_str(), format!("{path}\n"));
                self.revoke(|flight| flight == key || flight.starts_with(&below), None).await;
                let one = u64::from(self.shared.store.purge(key).await?);
                Ok(one + self.shared.store.purge_below(&below).await?)
            }
            Purge::Below(prefix) => {
                self.revoke(|flight| flight.starts_with(prefix.as_str()), None).await;
                self.shared.store.purge_below(prefix).await
            }
        }
    }

    /// What flights under way bring under keys like these is not kept; what they have made an object of by now is there to be purged.
    async fn revoke(&self, purged: impl Fn(&str) -> bool, spared: Option<&Ticket>) {
        self.shared.flights.revoke(purged, spared);
        drop(self.shared.keeping.write().await);
    }

    /// Forgets what is under one key, but for what one flight brings.
    pub(super) async fn drop_key(&self, key: &str, spared: Option<&Ticket>) -> Result<(), StoreError> {
        self.revoke(|flight| flight == key, spared).await;
        self.shared.passing.forget(key);
        self.shared.store.purge(key).await?;
        if self.shared.store.is_stocked() {
            self.shared.store.purge_below(&found::variants(key)).await?;
        }
        Ok(())
    }

    /// Up to `most` objects whose keys begin so, ascending, from behind the key `after` on.
    pub async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Vec<Cached> {
        let mut list = Vec::new();
        for listed in self.shared.store.list(prefix, after, most).await {
            // Gone since, or not to be read: then it is not here.
            let Ok(Some(entry)) = found::entry(&self.shared.store, &listed.key, &self.shared.settings.policy).await
            else {
                continue;
            };
            list.push(self.describe(&entry, listed.bytes));
        }
        list
    }

    fn describe(&self, entry: &Entry, bytes_on_disk: u64) -> Cached {
        let (object, head) = (&entry.object, entry.head());
        let age = head.stored.age(self.shared.clock.wall());
        let etag = head.validators.etag.as_ref();
        Cached {
            key: object.key().to_owned(),
            name: found::shown(object.key()),
            status: head.stored.status(),
            length: object.length(),
            bytes_here: object.bytes_here(),
            bytes_on_disk,
            age,
            ttl: cache_status::ttl(head.stored.terms().freshness.lifetime, age),
            etag: etag.map(|etag| String::from_utf8_lossy(etag.value().as_bytes()).into_owned()),
            hits: object.hits(),
            created: object.created(),
            last_used: object.last_used(),
            digest: object.digest(),
        }
    }

    /// Fetches an object, or a span of it, before anybody asks. `progress` is told how far it is, about once for each block.
    ///
    /// Cancelling it leaves what came.
    pub async fn warm(
        &self,
        object: &Object,
        span: Option<Span>,
        mut progress: impl FnMut(Warm),
    ) -> Result<Warm, WarmError> {
        // What a client's request would do, without its bytes.
        let mut request = Request::internal(Method::GET, "/").map_err(|_| WarmError::NotKept)?;
        if let Some(Span { start, end }) = span {
            let range = format!("bytes={start}-{}", end.saturating_sub(1));
            request.headers.insert(header::RANGE, HeaderValue::try_from(range).map_err(|_| WarmError::NotKept)?);
        }
        let answer = self.answer_chosen(&request, object).await.map_err(WarmError::Origin)?;
        if !matches!(answer.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
            return Err(WarmError::Status(answer.status));
        }
        let key = crate::semantics::caching::cache_key(&object.key, &object.origin_target);
        let looked = found::look(&self.shared.store, &key, &object.origin_headers, &self.shared.settings.policy).await;
        let Ok(Looked::This(entry)) = looked else { return Err(WarmError::NotKept) };
        let wanted = span.unwrap_or(Span { start: 0, end: u64::MAX });
        let filler = self.shared.fillers.of(&self.shared, &entry, || Whence::of(object));
        let reader = filler.reader(vec![wanted]);
        // Its own reader is enough.
        drop::<Body>(answer.body);
        let broken = |trouble: Trouble| WarmError::Broken(trouble.into());
        let mut at = wanted.start;
        loop {
            let end = entry.object.length().map(|length| wanted.end.min(length));
            let warm = Warm { bytes: at - wanted.start, length: end.map(|end| end.saturating_sub(wanted.start)) };
            progress(warm);
            if end.is_some_and(|end| at >= end) {
                return Ok(warm);
            }
            reader.begin(at).await.map_err(broken)?;
            if entry.object.is_lost() {
                return Err(WarmError::NotKept);
            }
            let most = end.unwrap_or(u64::MAX) - at;
            at += entry.object.present(at, most.min(u64::from(entry.object.block_bytes())));
        }
    }
}

/// The cache key of a target that a response names, as the default route would have it.
pub(super) fn key_of(target: &str) -> Option<String> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let path = ObjectPath::from_target(path).ok()?;
    let key = ObjectKey { path, query: query.map(Into::into) };
    let target = default_target(&key);
    Some(crate::semantics::caching::cache_key(&key, &target))
}
