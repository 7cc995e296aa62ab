//! Answers out of what is stored.

mod growing;

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use ferry_core::time::UnixMillis;
use tokio::time::Instant;

use super::{
    Cache,
    filler::{Trouble, Whence},
    found::{Entry, Head},
    store::Span,
};
use crate::{
    answer::{Answer, Body, FileBody, Parts, Segment, Slice},
    delivery::Object,
    disk::{About, OpenFile},
    request::Request,
    semantics::{
        self, Representation,
        caching::{CacheStatus, Forward, cache_status},
        plan::Content,
        repr_digest::{self, REPR_DIGEST},
    },
};

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// What a 304 says (RFC 9110 section 15.4.5), besides how old it is.
const OF_NOT_MODIFIED: [HeaderName; 7] = [
    header::AGE,
    header::CACHE_CONTROL,
    header::CONTENT_LOCATION,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::VARY,
];

/// What came of a try to answer from what is stored.
pub(super) enum Served {
    Answer(Answer),
    /// It is of no use: bytes are missing that cannot be had.
    Useless,
}

impl Cache {
    /// Answers a GET or HEAD, with what is stored, or with fields that have come just now.
    pub(super) async fn serve(
        &self,
        entry: &Entry,
        request: &Request,
        object: &Object,
        status: CacheStatus<'_>,
        fields: Option<HeaderMap>,
    ) -> Served {
        let (stored, now) = (entry.stored(), self.shared.clock.wall());
        let mut headers = fields.unwrap_or_else(|| stored.answer_headers(now, &self.shared.settings.policy));
        headers.remove(header::CONTENT_LENGTH);
        let ttl = cache_status::ttl(stored.terms().freshness.lifetime, stored.age(now));
        let status = CacheStatus { ttl: Some(ttl), ..status };
        let mut served = match (stored.status(), entry.object.length()) {
            (StatusCode::OK, Some(length)) => self.serve_whole(entry, request, object, length, (headers, status)).await,
            (_, Some(length)) => {
                let body = Parts::One(Slice { offset: 0, length });
                self.with_body(
                    entry,
                    request,
                    object,
                    body,
                    Answer { headers, ..Answer::empty(stored.status()) },
                    status,
                )
                .await
            }
            (_, None) => self.serve_growing(entry, request, object, headers, status),
        };
        if let Served::Answer(answer) = &mut served {
            if status.forwarded.is_none() && stored.is_fresh(now) {
                answer.stands_until = Instant::now().checked_add(until_it_shows(entry, now));
            }
            entry.object.used(self.shared.clock.wall().into());
        }
        served
    }

    async fn serve_whole(
        &self,
        entry: &Entry,
        request: &Request,
        object: &Object,
        length: u64,
        (mut headers, status): (HeaderMap, CacheStatus<'_>),
    ) -> Served {
        let Head { validators, content_type, .. } = entry.head();
        let octets = OCTETS;
        let representation = Representation {
            length,
            etag: validators.etag.as_ref(),
            last_modified: validators.last_modified.as_ref(),
            content_type: content_type.as_ref().unwrap_or(&octets),
            disposition: None,
            cache_control: None,
            coding: None,
            varies: false,
        };
        let boundary = || self.shared.boundaries.next();
        let plan = semantics::plan(&request.method, &request.headers, &representation, boundary);
        match plan.content {
            Content::Parts(parts) => {
                // What the plan knows better: the place of a part, and the boundary between several.
                let several = matches!(parts, Parts::Many(_));
                for name in [header::CONTENT_RANGE, header::CONTENT_TYPE] {
                    if let Some(value) = plan.headers.get(&name).filter(|_| several || name == header::CONTENT_RANGE) {
                        headers.insert(name, value.clone());
                    }
                }
                headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
                // The origin's word goes before what was computed of its bytes here.
                if let Some(digest) = entry.object.digest().filter(|_| !headers.contains_key(REPR_DIGEST)) {
                    headers.insert(REPR_DIGEST, repr_digest::of_sha256(&digest));
                }
                let answer = Answer { headers, ..Answer::empty(plan.status) };
                self.with_body(entry, request, object, parts, answer, status).await
            }
            Content::Nothing => {
                self.count(&status);
                let mut answer = Answer { headers: of_not_modified(&headers), ..Answer::empty(plan.status) };
                if let (None, Some(modified)) = (&validators.etag, &validators.last_modified) {
                    answer.headers.insert(header::LAST_MODIFIED, modified.value().clone());
                }
                status.append_to(&mut answer.headers);
                Served::Answer(answer)
            }
            Content::Line(line) => {
                self.count(&status);
                let mut answer = Answer::text(plan.status, line);
                answer.headers.extend(plan.headers);
                status.append_to(&mut answer.headers);
                Served::Answer(answer)
            }
        }
    }

    /// Adds the bytes to an answer that has all else.
    async fn with_body(
        &self,
        entry: &Entry,
        request: &Request,
        object: &Object,
        parts: Parts,
        mut answer: Answer,
        mut status: CacheStatus<'_>,
    ) -> Served {
        let length = parts.length();
        if request.method == Method::HEAD {
            answer.headers.insert(header::CONTENT_LENGTH, length.into());
        } else if length > 0 {
            let file = match self.file(entry, object, &parts, &mut status).await {
                Ok(Some(file)) => file,
                Ok(None) => return Served::Useless,
                Err(trouble) if trouble.ends_it() => return Served::Useless,
                Err(trouble) => return Served::Answer(trouble.answer()),
            };
            answer.body = Body::File(FileBody { file, parts });
        }
        self.count(&status);
        status.append_to(&mut answer.headers);
        Served::Answer(answer)
    }

    /// The object as a file of which the first byte that is wanted is there; `None` if something cannot be had.
    async fn file(
        &self,
        entry: &Entry,
        object: &Object,
        parts: &Parts,
        status: &mut CacheStatus<'_>,
    ) -> Result<Option<Arc<OpenFile>>, Trouble> {
        let spans = spans(parts);
        let Some(first) = spans.first().copied() else { return Ok(None) };
        let whole = entry.object.is_whole();
        let file = if whole {
            entry.whole_file(|| about(entry))
        } else {
            let filler = self.shared.fillers.of(&self.shared, entry, || Whence::of(object));
            let missing = spans.iter().any(|span| entry.object.present(span.start, span.length()) < span.length());
            if missing && (self.shared.store.is_read_only() || !spans.iter().all(|span| filler.can_give(*span))) {
                return Ok(None);
            }
            if missing && status.forwarded.is_none() {
                status.forwarded = Some(Forward::Partial);
            }
            let reader = filler.reader(spans);
            Box::pin(async {
                reader.assure().await?;
                reader.begin(first.start).await
            })
            .await?;
            entry.object.open_file(about(entry), reader)
        };
        let file = match file {
            Ok(file) => file,
            Err(error) => {
                tracing::warn!(key = entry.object.key(), %error, "an object in the cache cannot be opened");
                entry.object.discard().await;
                return Ok(None);
            }
        };
        // What was here and cannot be read is fetched anew. What came just now is in memory.
        if whole && let Err(error) = file.first_read(Slice { offset: first.start, length: first.length() }).await {
            tracing::warn!(key = entry.object.key(), %error, "an object in the cache cannot be read");
            entry.object.discard().await;
            return Ok(None);
        }
        Ok(Some(file))
    }

    fn count(&self, status: &CacheStatus<'_>) {
        let stats = &self.shared.stats;
        match status.forwarded {
            None if status.ttl.is_some_and(|ttl| ttl <= 0) => stats.stale(),
            None => stats.hit(),
            Some(Forward::Partial) => stats.partial(),
            Some(_) => stats.missed(status.collapsed),
        }
    }
}

/// How long an answer stays the same: until its age has a second more, or its freshness ends.
fn until_it_shows(entry: &Entry, now: UnixMillis) -> Duration {
    let (age, lifetime) = (entry.stored().age(now), entry.stored().terms().freshness.lifetime);
    let second = Duration::from_secs(1).saturating_sub(Duration::from_nanos(age.subsec_nanos().into()));
    second.min(lifetime.saturating_sub(age))
}

fn spans(parts: &Parts) -> Vec<Span> {
    let span = |slice: &Slice| Span::at(slice.offset, slice.length);
    match parts {
        Parts::One(slice) => vec![span(slice)],
        Parts::Many(segments) => {
            let slices = segments.iter().filter_map(|segment| match segment {
                Segment::Slice(slice) => Some(slice),
                Segment::Text(_) => None,
            });
            slices.map(span).collect()
        }
    }
}

/// What answers say of an object. Of one whose length is not known, its reader knows where the end is.
fn about(entry: &Entry) -> About {
    About {
        length: entry.object.length().unwrap_or(u64::MAX),
        modified: entry.object.created(),
        validators: entry.head().validators.clone(),
        content_type: entry.head().content_type.clone().unwrap_or(OCTETS),
    }
}

/// The fields of a 304 out of those of the 200.
pub(super) fn of_not_modified(headers: &HeaderMap) -> HeaderMap {
    let mut some = HeaderMap::new();
    for name in OF_NOT_MODIFIED {
        for value in headers.get_all(&name) {
            some.append(name.clone(), value.clone());
        }
    }
    some
}
