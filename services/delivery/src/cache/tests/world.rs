//! A cache, an origin, and clients.

use std::{fmt, io, time::Duration};

use ferry_core::{
    object::{ObjectKey, ObjectPath},
    time::UnixMillis,
};
use ferry_runtime::clock::Hand;
use futures_util::StreamExt as _;
use http::{HeaderName, Method};
use tempfile::TempDir;

use super::*;
use crate::{
    answer::{Body, Parts, Segment},
    cache::store,
    origin::{
        self, OriginSettings,
        faulty::{Faulty, Transport},
    },
};

pub(super) const MIB: u64 = 1 << 20;

/// 2026-01-01 00:00:00 UTC.
const NOW: UnixMillis = UnixMillis(1_767_225_600_000);

pub(super) struct World {
    pub(super) cache: Cache,
    pub(super) origin: Faulty,
    hand: Hand,
    _folder: TempDir,
    tasks: Tasks,
}

/// What a client got.
pub(super) struct Got {
    head: Answer,
    content: io::Result<Vec<u8>>,
}

/// A range as a client asks for it.
pub(super) fn range(first: u64, last: u64) -> (&'static str, String) {
    ("range", format!("bytes={first}-{last}"))
}

pub(super) fn path(text: &str) -> ObjectPath {
    ObjectPath::from_decoded(text).expect("a good path")
}

impl World {
    pub(super) async fn new(length: u64) -> Self {
        Self::with(length, |_| {}).await
    }

    pub(super) async fn with(length: u64, change: impl FnOnce(&mut Settings)) -> Self {
        Self::over(Transport::Plain, length, change).await
    }

    pub(super) async fn over(transport: Transport, length: u64, change: impl FnOnce(&mut Settings)) -> Self {
        let (folder, tasks, (clock, hand)) =
            (TempDir::new().expect("a temporary folder"), Tasks::new(), Clock::manual(NOW));
        let origin = Faulty::start(transport, length).await;
        let base = OriginSettings::new(origin.url().parse().expect("a base"));
        let origins = Origins::new(&origin::Settings::new(vec![base], "node-1")).expect("good settings");
        let settings = store::Settings::default();
        let store = Store::open(folder.path().join("cache"), settings).await.expect("a good directory");
        store.stocked().await;
        let mut settings = Settings::default();
        change(&mut settings);
        let cache = Cache::new(store, origins, settings, clock, &tasks);
        Self { cache, origin, hand, _folder: folder, tasks }
    }

    /// Lets seconds pass.
    pub(super) fn pass(&self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
    }

    pub(super) fn object(&self, target: &str) -> Object {
        let (path_part, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        Object::new(ObjectKey { path: path(path_part), query: query.map(Into::into) }, format!("/{target}"))
    }

    pub(super) async fn get(&self, target: &str) -> Got {
        self.ask(target, &[]).await
    }

    pub(super) async fn ask(&self, target: &str, fields: &[(&'static str, String)]) -> Got {
        self.send(Method::GET, target, fields).await
    }

    pub(super) async fn send(&self, method: Method, target: &str, fields: &[(&'static str, String)]) -> Got {
        let mut head = self.open(method, target, fields).await;
        let body = std::mem::replace(&mut head.body, Body::Empty);
        Got { content: read(body).await, head }
    }

    /// An answer whose body was not asked for yet.
    pub(super) async fn begin(&self, target: &str) -> Answer {
        self.open(Method::GET, target, &[]).await
    }

    async fn open(&self, method: Method, target: &str, fields: &[(&'static str, String)]) -> Answer {
        let mut request = Request::internal(method, &format!("/{target}")).expect("a request");
        for (name, value) in fields {
            request.headers.append(HeaderName::from_static(name), value.parse().expect("a value"));
        }
        match self.cache.answer(&request, &self.object(target)).await {
            Ok(answer) => answer,
            Err(error) => error.answer(),
        }
    }

    /// Waits until that is so.
    pub(super) async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let come = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), come).await.expect("it comes to be");
    }

    /// Asks all fetches to end; says whether they did.
    pub(super) async fn stop(&self) -> bool {
        self.tasks.clone().finish(Duration::from_secs(5)).await.is_ok()
    }

    /// Waits until nothing is being fetched.
    pub(super) async fn idle(&self) {
        self.until(|world| {
            let stats = world.cache.stats();
            stats.fetches == 0 && stats.waiting == 0
        })
        .await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

/// All bytes of an answer, or why it broke off.
pub(super) async fn bytes_of(answer: Answer) -> io::Result<Vec<u8>> {
    read(answer.body).await
}

async fn read(body: Body) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    match body {
        Body::Empty => {}
        Body::Bytes(bytes) => content.extend_from_slice(&bytes),
        Body::Stream(mut stream) => {
            while let Some(bytes) = stream.next().await {
                content.extend_from_slice(&bytes?);
            }
        }
        Body::File(body) => {
            let segments = match body.parts {
                Parts::One(slice) => vec![Segment::Slice(slice)],
                Parts::Many(segments) => segments.to_vec(),
            };
            for segment in segments {
                match segment {
                    Segment::Text(text) => content.extend_from_slice(&text),
                    Segment::Slice(slice) => {
                        let (mut at, end) = (slice.offset, slice.offset + slice.length);
                        while at < end {
                            let bytes = body.file.read_at(at, usize::try_from(end - at).expect("small")).await?;
                            assert!(!bytes.is_empty(), "it ends early");
                            at += bytes.len() as u64;
                            content.extend_from_slice(&bytes);
                        }
                    }
                }
            }
        }
    }
    Ok(content)
}

impl Got {
    pub(super) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// A field's only value; nothing if it is absent.
    pub(super) fn field(&self, name: &str) -> &str {
        self.head.headers.get(name).map_or("", |value| value.to_str().expect("plain text"))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.content.as_deref().expect("it did not break off")
    }

    /// Whether it has all of a version.
    pub(super) fn is_whole(&self, world: &World, version: u64) -> bool {
        let content = world.origin.content();
        self.bytes().len() as u64 == content.length() && content.has(version, 0, self.bytes())
    }

    /// Whether it has that part of a version.
    pub(super) fn has(&self, world: &World, version: u64, offset: u64, length: u64) -> bool {
        self.bytes().len() as u64 == length && world.origin.content().has(version, offset, self.bytes())
    }
}

impl fmt::Debug for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = self.content.as_ref().map(Vec::len);
        f.debug_struct("Got").field("head", &self.head).field("content", &content).finish()
    }
}
