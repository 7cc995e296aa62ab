//! What is stored under a key, and which of it answers a request.
//!
//! A response that does not vary lies under its cache key; those that do lie under that key and a mark made of the fields that chose
//! them. Both at once never last: storing the one kind takes the other out, since the origin has changed its mind.

use std::{fmt::Write as _, hash::Hasher as _, io, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use twox_hash::XxHash3_64;

use super::{
    filler::Reader,
    store::{Object, Reading, Store, StoreError},
};
use crate::{
    disk::{About, OpenFile},
    semantics::{
        caching::{Found, Policy, Stored, VaryKey, partial, stored},
        validators::{LastModified, Validators, parse_date},
    },
};

/// How many variants of one key are kept.
const MOST_VARIANTS: usize = 32;

/// The lines of a cache key that has all its parts (see `semantics::caching::key`); a variant's mark is one more.
const KEY_LINES: usize = 3;

/// A stored response.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its bytes, or some of them.
    pub(super) object: Arc<Object>,
    head: Reading<Option<Head>>,
    /// Keeps its fill going until whoever waited for it has begun to read.
    _hold: Option<Arc<Reader>>,
}

/// A stored head, as answers need it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) stored: Stored,
    pub(super) validators: Validators,
    /// Its media type, where it has one.
    pub(super) content_type: Option<HeaderValue>,
}

/// What is there for a request.
#[derive(Debug)]
pub(super) enum Looked {
    /// Nothing.
    Nothing,
    /// Answers to other requests; what they vary by, with this request's words.
    Others(u64),
    /// This.
    This(Entry),
}

impl Head {
    pub(super) fn new(stored: Stored) -> Self {
        let headers = stored.headers();
        let content_type = headers.get(header::CONTENT_TYPE).cloned();
        Self { validators: validators(headers), content_type, stored }
    }

    /// Whether parts that are fetched apart may be combined (promise P10).
    pub(super) fn is_strong(&self) -> bool {
        partial::is_strong(self.stored.headers())
    }
}

/// What a response is validated by: none of several that contradict each other.
pub(super) fn validators(headers: &HeaderMap) -> Validators {
    let strong = partial::is_dated_strongly(headers);
    let seconds = stored::last_modified(headers).and_then(|value| parse_date(value.as_bytes()));
    Validators::given(stored::etag(headers), seconds.map(|seconds| LastModified::new(seconds, strong)))
}

impl Entry {
    /// An object with its head; `None` if that cannot be read.
    pub(super) fn of(object: Arc<Object>, policy: &Policy) -> Option<Self> {
        let read = |bytes: &Bytes| Stored::from_bytes(bytes, policy).ok().map(Head::new);
        let head = object.reading(read);
        head.is_some().then_some(Self { object, head, _hold: None })
    }

    /// The same, of which a fill is kept going.
    pub(super) fn held(self, hold: Arc<Reader>) -> Self {
        Self { _hold: Some(hold), ..self }
    }

    /// The same, of which nothing is kept going.
    pub(super) fn free(&self) -> Self {
        Self { _hold: None, ..self.clone() }
    }

    /// Its head.
    pub(super) fn head(&self) -> &Head {
        self.head.as_ref().expect("an entry is made of a head that could be read")
    }

    pub(super) fn stored(&self) -> &Stored {
        &self.head().stored
    }

    /// One file for all who want the whole of it.
    pub(super) fn whole_file(&self, about: impl FnOnce() -> About) -> io::Result<Arc<OpenFile>> {
        self.object.whole_file(&self.head, |_| about())
    }
}

impl Looked {
    pub(super) fn found(&self) -> Found<'_> {
        match self {
            Self::Nothing => Found::Nothing,
            Self::Others(_) => Found::OtherVariants,
            Self::This(entry) => Found::This(entry.stored()),
        }
    }
}

/// Looks for what answers a request with these fields.
pub(super) async fn look(store: &Store, key: &str, fields: &HeaderMap, policy: &Policy) -> Result<Looked, StoreError> {
    if let Some(entry) = entry(store, key, policy).await? {
        return Ok(Looked::This(entry));
    }
    // Until stock is taken, what else there is does not show.
    if !store.is_stocked() {
        return Ok(Looked::Nothing);
    }
    Box::pin(look_among_variants(store, key, fields, policy)).await
}

async fn look_among_variants(
    store: &Store,
    key: &str,
    fields: &HeaderMap,
    policy: &Policy,
) -> Result<Looked, StoreError> {
    let mut others = None;
    let mut entries = Vec::new();
    for listed in store.list(&variants(key), None, MOST_VARIANTS).await {
        let Some(entry) = entry(store, &listed.key, policy).await? else { continue };
        let vary = || VaryKey::of(entry.stored().headers(), fields);
        others = others.or_else(|| fingerprint(&vary()?));
        entries.push(entry);
    }
    let chosen = match Found::select(entries.iter().map(Entry::stored), fields) {
        Found::This(stored) => entries.iter().position(|entry| std::ptr::eq(entry.stored(), stored)),
        Found::Nothing | Found::OtherVariants => None,
    };
    Ok(match (chosen, others) {
        (Some(chosen), _) => Looked::This(entries.swap_remove(chosen)),
        (None, Some(others)) => Looked::Others(others),
        (None, None) => Looked::Nothing,
    })
}

pub(super) async fn entry(store: &Store, key: &str, policy: &Policy) -> Result<Option<Entry>, StoreError> {
    let Some(object) = store.find(key).await? else { return Ok(None) };
    let entry = Entry::of(Arc::clone(&object), policy);
    if entry.is_none() {
        // Another version of ferry wrote it.
        object.discard().await;
    }
    Ok(entry)
}

/// The key under which a response is stored; what else lies there and cannot stay is taken out.
pub(super) async fn place(store: &Store, key: &str, stored: &Stored) -> Result<String, StoreError> {
    let prefix = variants(key);
    let others = if store.is_stocked() { store.list(&prefix, None, MOST_VARIANTS).await } else { Vec::new() };
    let Some(mark) = fingerprint(stored.vary()) else {
        if !others.is_empty() {
            store.purge_below(&prefix).await?;
        }
        return Ok(key.to_owned());
    };
    store.purge(key).await?;
    let name = format!("{prefix}{mark:016x}");
    let is_new = others.iter().all(|other| *other.key != *name);
    if let (true, MOST_VARIANTS.., Some(first)) = (is_new, others.len(), others.first()) {
        // Marks are in no order: this is any of them.
        store.purge(&first.key).await?;
    }
    Ok(name)
}

/// How the keys of a key's variants begin.
pub(super) fn variants(key: &str) -> String {
    let lines = key.split('\n').count();
    let mut prefix = key.to_owned();
    for _ in lines..=KEY_LINES {
        prefix.push('\n');
    }
    prefix
}

/// The cache key, query and all, that a stored key belongs to, for people.
pub(super) fn shown(key: &str) -> String {
    let mut lines = key.split('\n');
    let mut text = lines.next().unwrap_or_default().to_owned();
    if let Some(query) = lines.next().filter(|query| !query.is_empty()) {
        let _ = write!(text, "?{query}");
    }
    text
}

/// What tells requests apart that differ in what a response varies by; `None` if it does not.
fn fingerprint(vary: &VaryKey) -> Option<u64> {
    let mut hash = XxHash3_64::new();
    let mut any = false;
    for (name, value) in vary.iter() {
        any = true;
        hash.write(name.as_str().as_bytes());
        // What no field value holds stands between them.
        hash.write(match value {
            Some(_) => b"\n=",
            None => b"\n-",
        });
        hash.write(value.unwrap_or_default());
        hash.write(b"\n");
    }
    any.then(|| hash.finish())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn of_several_entity_tags_none_counts() {
        let mut headers = HeaderMap::new();
        headers.append(header::ETAG, HeaderValue::from_static("\"a\""));
        assert!(validators(&headers).etag.is_some());
        headers.append(header::ETAG, HeaderValue::from_static("\"b\""));
        assert!(validators(&headers).etag.is_none());
    }
}
