//! Which versions of objects this node holds, as gateways are told: after a transfer that ended well, and no oftener than they forget.
//!
//! Bounded: what was told is remembered in a table of fixed size, and what waits to be told is a short list. What finds it full is told by the
//! next transfer of the same object.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ferry_core::{
    evidence::{Report, Told},
    known::{MEMORY, Version},
    object::ObjectKey,
    tokens::RedirectId,
};
use ferry_delivery::{
    Answer,
    semantics::repr_digest::{self, REPR_DIGEST},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::Instant;

/// Told again so often that gateways do not forget it meanwhile.
const AGAIN_AFTER: Duration = Duration::from_secs(MEMORY.as_secs() / 4);
/// Objects of which it is remembered when they were told; two that share a place are told oftener.
const REMEMBERED: usize = 4096;
/// Words that wait for the next reports.
const MOST_WAITING: usize = 4 * Report::MOST_OBJECTS;

/// Which version of an object a client gets, all of it or a part.
#[derive(Debug)]
pub(crate) struct Held {
    key: ObjectKey,
    etag: HeaderValue,
    length: u64,
    /// As the answer says them: read only if they are to be told.
    digest: HeaderMap,
}

/// What was told, and what is to be told next.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    books: Mutex<Books>,
    hashes: RandomState,
}

#[derive(Debug, Default)]
struct Books {
    /// By the object's hash: it, the version's, and when that was told.
    told: Vec<Option<(u64, u64, Instant)>>,
    waiting: Vec<Told>,
}

impl Held {
    /// `None` where the answer is not every client's, or its version cannot be named by the key alone.
    pub(crate) fn of(key: &ObjectKey, answer: &Answer) -> Option<Self> {
        let headers = &answer.headers;
        let etag = headers.get(header::ETAG)?;
        let is_one_of_several = headers.contains_key(header::VARY) || headers.contains_key(header::CONTENT_ENCODING);
        let too_long = key.path.as_str().len() + key.query.as_ref().map_or(0, |query| query.len()) > Told::LONGEST_KEY;
        if is_one_of_several || too_long || is_for_one_client(headers) || etag.as_bytes().starts_with(b"W/") {
            return None;
        }
        let length = match answer.status {
            StatusCode::OK => answer.body.length()?,
            StatusCode::PARTIAL_CONTENT => whole_length(headers)?,
            _ => return None,
        };
        let digests = headers.get_all(REPR_DIGEST).iter().map(|value| (REPR_DIGEST, value.clone()));
        Some(Self { key: key.clone(), etag: etag.clone(), length, digest: digests.collect() })
    }

    fn version(&self) -> Option<Version> {
        let validator = self.etag.to_str().ok()?.parse().ok()?;
        Some(Version { validator, length: self.length, sha256: repr_digest::sha256(&self.digest) })
    }
}

/// Whether the next client may get something else, or a cache in between would not keep it.
fn is_for_one_client(headers: &HeaderMap) -> bool {
    headers.get_all(header::CACHE_CONTROL).iter().any(|value| {
        let text = value.as_bytes().to_ascii_lowercase();
        ["no-store", "no-cache", "private"]
            .iter()
            .any(|word| text.windows(word.len()).any(|part| part == word.as_bytes()))
    })
}

/// What a part is a part of, in bytes (RFC 9110 section 14.4); several parts do not say it in the head.
fn whole_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?.1.parse().ok()
}

impl Telling {
    /// A client who came by this redirect has had what he wanted of it.
    pub(crate) fn note(&self, redirect: RedirectId, held: &Held, now: Instant) {
        let object = self.hashes.hash_one(&held.key);
        let version = self.hashes.hash_one((&held.etag, held.length, held.digest.get(REPR_DIGEST)));
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let Books { told, waiting } = &mut *books;
        told.resize(REMEMBERED, None);
        let place = &mut told[object as usize % REMEMBERED];
        let is_known = |(of, what, at): (u64, u64, Instant)| {
            (of, what) == (object, version) && now.duration_since(at) < AGAIN_AFTER
        };
        if place.is_some_and(is_known) || waiting.len() >= MOST_WAITING {
            return;
        }
        if let Some(version_told) = held.version() {
            *place = Some((object, version, now));
            waiting.push(Told { redirect, key: held.key.clone(), version: version_told });
        }
    }

    /// What the next report says.
    pub(crate) fn take(&self) -> Vec<Told> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let count = books.waiting.len().min(Report::MOST_OBJECTS);
        books.waiting.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use ferry_core::object::ObjectPath;
    use http::HeaderName;

    use super::*;

    fn key(path: &str) -> ObjectKey {
        ObjectKey::plain(ObjectPath::from_decoded(path).expect("a good path"))
    }

    fn answer(status: u16, fields: &[(&'static str, &'static str)]) -> Answer {
        let status = StatusCode::from_u16(status).expect("a status");
        let content = Answer::bytes(status, HeaderValue::from_static("text/plain"), "0123456789");
        fields.iter().fold(content, |answer, (name, value)| {
            answer.with(HeaderName::from_static(name), HeaderValue::from_static(value))
        })
    }

    fn version(status: u16, fields: &[(&'static str, &'static str)]) -> Option<Version> {
        Held::of(&key("a"), &answer(status, fields))?.version()
    }

    const DIGEST: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";

    #[test]
    fn a_version_is_its_strong_validator_its_length_and_its_digest_where_that_is_known() {
        let plain = version(200, &[("etag", "\"v\"")]).expect("a version");
        assert_eq!((plain.validator.as_str(), plain.length, plain.sha256), ("\"v\"", 10, None));
        let part = [("etag", "\"v\""), ("content-range", "bytes 5-14/1000"), ("repr-digest", DIGEST)];
        let part = version(206, &part).expect("a version");
        assert_eq!((part.length, part.sha256.map(|digest| digest[0])), (1000, Some(0x44)));
    }

    #[test]
    fn nothing_is_told_of_what_the_key_alone_does_not_name_or_one_client_alone_gets() {
        let etag = ("etag", "\"v\"");
        for fields in [
            vec![],
            vec![("etag", "W/\"v\"")],
            vec![etag, ("vary", "accept-encoding")],
            vec![etag, ("content-encoding", "gzip")],
            vec![etag, ("cache-control", "max-age=3, Private")],
            vec![etag, ("cache-control", "no-store")],
        ] {
            assert_eq!(version(200, &fields), None, "{fields:?}");
        }
        for status in [206, 304, 404, 416, 500] {
            assert_eq!(version(status, &[etag]), None, "{status}");
        }
        assert_eq!(version(206, &[etag, ("content-range", "bytes 0-9/*")]), None, "of nobody knows how much");
        let long = key(&"x".repeat(Told::LONGEST_KEY + 1));
        assert!(Held::of(&long, &answer(200, &[etag])).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_version_is_told_once_and_again_before_it_is_forgotten_and_at_once_when_it_changed() {
        let (telling, start) = (Telling::default(), Instant::now());
        let note = |etag: &'static str, seconds: u64| {
            let held = Held::of(&key("a"), &answer(200, &[("etag", etag)])).expect("a version");
            telling.note(RedirectId(seconds), &held, start + Duration::from_secs(seconds));
            telling.take().iter().map(|told| told.version.validator.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(note("\"v1\"", 0), ["\"v1\""]);
        assert!(note("\"v1\"", 14).is_empty());
        assert_eq!(note("\"v1\"", 15), ["\"v1\""]);
        assert_eq!(note("\"v2\"", 16), ["\"v2\""]);
        assert_eq!(note("\"v1\"", 17), ["\"v1\""]);
    }

    #[test]
    fn what_waits_is_bounded_and_what_found_no_room_is_told_by_the_next_transfer() {
        let (telling, now) = (Telling::default(), Instant::now());
        let note = |number: usize| {
            let held = Held::of(&key(&format!("o{number}")), &answer(200, &[("etag", "\"v\"")])).expect("a version");
            telling.note(RedirectId(1), &held, now);
        };
        (0..MOST_WAITING + 1).for_each(note);
        let reports: Vec<_> = (0..6).map(|_| telling.take().len()).collect();
        assert_eq!(
            reports,
            [Report::MOST_OBJECTS, Report::MOST_OBJECTS, Report::MOST_OBJECTS, Report::MOST_OBJECTS, 0, 0]
        );
        note(MOST_WAITING);
        assert_eq!(telling.take().len(), 1);
    }
}
