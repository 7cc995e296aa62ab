//! Whether what a cache says is here is what an origin had: every byte of it, of one version.

use std::io;

use bytes::Bytes;
use futures_util::future::{self, BoxFuture};

use super::{
    world::{Got, World},
    *,
};
use crate::{
    cache::store::{Object, Span, Supply},
    disk::{About, OpenFile},
    origin::faulty::Content,
    semantics::validators::Validators,
};

/// Nobody brings what is missing: only what is here is asked for.
#[derive(Debug)]
struct Nobody;

/// What is here of an object.
pub(super) struct Here {
    /// Which version it is of; `None` where there are no bytes to tell.
    pub(super) version: Option<u64>,
    pub(super) bytes: u64,
    pub(super) whole: bool,
}

/// Holds all that a store lists against the content, in the store's order, and has it proved.
pub(super) async fn of_store(store: &Store, content: Content, versions: u64) -> Vec<Here> {
    store.settle().await;
    let mut all = Vec::new();
    for listed in store.list("", None, usize::MAX).await {
        let object = store.find(&listed.key).await.expect("a good disk").expect("it is listed");
        let here = of_object(&object, content, versions).await;
        assert_eq!(here.bytes, object.bytes_here(), "{object:?} has what it says");
        let proof = store.prove(&listed.key).await.expect("a good disk").expect("it is listed");
        assert!(proof.bad.is_empty() && proof.good <= here.bytes, "{proof:?} of {object:?}");
        assert!(!here.whole || proof.good == here.bytes, "{proof:?}: all of {object:?} is listed on the disk");
        all.push(here);
    }
    all
}

async fn of_object(object: &Arc<Object>, content: Content, versions: u64) -> Here {
    let about = About {
        length: object.length().unwrap_or(u64::MAX),
        modified: object.created(),
        validators: Validators::given(None, None),
        content_type: HeaderValue::from_static("application/octet-stream"),
    };
    let file = object.open_file(about, Arc::new(Nobody)).expect("a good disk");
    let mut runs = Vec::new();
    let mut at = 0;
    for gap in object.missing(Span { start: 0, end: u64::MAX }) {
        runs.push(run(&file, at..gap.start).await);
        at = gap.end;
    }
    if let Some(length) = object.length() {
        runs.push(run(&file, at..length).await);
    }
    runs.retain(|(_, bytes)| !bytes.is_empty());
    let bytes: usize = runs.iter().map(|(_, bytes)| bytes.len()).sum();
    let is_of = |version: &u64| runs.iter().all(|(at, bytes)| content.has(*version, *at, bytes));
    let version = if bytes == 0 { None } else { Some((1..=versions).find(is_of)) };
    assert_ne!(version, Some(None), "{object:?} has bytes of no version, or of several");
    Here { version: version.flatten(), bytes: bytes as u64, whole: object.is_whole() }
}

async fn run(file: &OpenFile, place: std::ops::Range<u64>) -> (u64, Vec<u8>) {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < place.end.saturating_sub(place.start) {
        let at = place.start + bytes.len() as u64;
        let most = usize::try_from(place.end - at).expect("small");
        let more = file.read_at(at, most).await.expect("what is here can be read");
        assert!(!more.is_empty(), "the file ends at {at}, before {place:?} does");
        bytes.extend_from_slice(&more);
    }
    (place.start, bytes)
}

impl World {
    /// Holds all that the cache lists against what the origin has and had.
    pub(super) async fn truth(&self) -> Vec<Here> {
        let store = self.cache.store();
        let all = of_store(store, self.origin.content(), self.origin.version()).await;
        let listed = self.cache.list("", None, usize::MAX).await;
        assert_eq!(listed.len(), all.len(), "{listed:#?}");
        for (listed, here) in listed.iter().zip(&all) {
            assert_eq!(listed.bytes_here, here.bytes, "{listed:?}");
            let tag = here.version.map(|version| self.origin.content().etag(version));
            // A weak tag names its version as well.
            let names = |etag: &String| tag.as_ref().is_none_or(|tag| etag.trim_start_matches("W/") == tag);
            assert!(listed.etag.as_ref().is_none_or(names), "{listed:?} has bytes of another version: {tag:?}");
        }
        assert_eq!(store.usage().damaged, 0);
        all
    }

    /// The version that an answer is of, if what came of it is right: bytes of one version, the one that it names, and all where it claims that.
    pub(super) fn version_of(&self, got: &Got, wanted: &std::ops::Range<u64>) -> u64 {
        let content = self.origin.content();
        let (bytes, complete) = got.received();
        let place = match got.status() {
            200 => 0..content.length(),
            206 => wanted.clone(),
            _ => panic!("no such answer was asked for: {got:?}"),
        };
        if got.status() == 206 {
            let range = format!("bytes {}-{}/", place.start, place.end - 1);
            assert!(got.field("content-range").starts_with(&range), "{got:?}");
        }
        let named = |version: &u64| got.field("etag").contains(&content.etag(*version)) || got.field("etag").is_empty();
        let is_of = |version: &u64| content.has(*version, place.start, bytes) && named(version);
        let version = (1..=self.origin.version()).find(is_of);
        assert!(!complete || bytes.len() as u64 == place.end - place.start, "too few bytes look like all: {got:?}");
        version.unwrap_or_else(|| panic!("other bytes than those of the version that it names: {got:?}"))
    }
}

impl Supply for Nobody {
    fn supply(&self, _object: &Arc<Object>, _span: Span) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(future::ready(Err(io::ErrorKind::NotFound.into())))
    }

    fn pass(&self, _object: &Arc<Object>, _span: Span) -> BoxFuture<'_, io::Result<Bytes>> {
        Box::pin(future::ready(Err(io::ErrorKind::NotFound.into())))
    }
}
