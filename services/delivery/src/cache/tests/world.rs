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
    cache::store::{self, faulty::Faults},
    origin::{
        self, OriginSettings, Trust,
        faulty::{Faulty, Transport},
    },
};

pub(super) const MIB: u64 = 1 << 20;

/// 2026-01-01 00:00:00 UTC.
const NOW: UnixMillis = UnixMillis(1_767_225_600_000);

pub(super) struct World {
    pub(super) cache: Cache,
    pub(super) origin: Faulty,
    /// What is wrong with the disk, where that is for a test to say.
    pub(super) disk: Option<Faults>,
    pub(super) origins: Origins,
    clock: Clock,
    hand: Hand,
    folder: TempDir,
    tasks: Tasks,
}

/// How a world is made.
pub(super) struct Setup {
    pub(super) transport: Transport,
    /// How long the object is.
    pub(super) length: u64,
    pub(super) cache: Settings,
    pub(super) store: store::Settings,
    /// The limits of the client; who the origin is, is known later.
    pub(super) origins: origin::Settings,
    /// Whether the disk fails on command.
    pub(super) faulty_disk: bool,
}

/// What a client got.
pub(super) struct Got {
    head: Answer,
    content: Vec<u8>,
    /// Why it broke off, if it did.
    broke: Option<io::Error>,
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
        let mut setup = Setup { transport, ..Setup::of(length) };
        change(&mut setup.cache);
        Self::of(setup).await
    }

    pub(super) async fn of(setup: Setup) -> Self {
        let Setup { transport, length, cache, store, mut origins, faulty_disk } = setup;
        let (folder, tasks, (clock, hand)) =
            (TempDir::new().expect("a temporary folder"), Tasks::new(), Clock::manual(NOW));
        let origin = Faulty::start(transport, length).await;
        let mut base = OriginSettings::new(origin.url().parse().expect("a base"));
        base.trust = origin.certificate().map_or(Trust::System, |certificate| Trust::Only(vec![certificate]));
        origins.origins.push(base);
        let origins = Origins::new(&origins).expect("good settings");
        let (directory, shadows) = (folder.path().join("cache"), folder.path().join("shadows"));
        std::fs::create_dir(&shadows).expect("a folder");
        let (store, disk) = match faulty_disk {
            true => {
                let (store, disk) = Store::open_faulty(directory, store, shadows).await.expect("a good directory");
                (store, Some(disk))
            }
            false => (Store::open(directory, store).await.expect("a good directory"), None),
        };
        store.stocked().await;
        let cache = Cache::new(store, origins.clone(), cache, clock.clone(), &tasks);
        Self { cache, origin, disk, origins, clock, hand, folder, tasks }
    }

    /// From now on the cache is one that only reads what the other one kept.
    pub(super) async fn read_only(&mut self) {
        let store = self.cache.store().clone();
        let directory = store.path().to_owned();
        store.settle().await;
        drop(store);
        let spare = Store::open(self.folder.path().join("spare"), store::Settings::default()).await;
        self.replace(spare.expect("a good directory"));
        let settings = store::Settings { mode: store::Mode::ReadOnly, ..store::Settings::default() };
        let open = async {
            loop {
                match Store::open(&directory, settings.clone()).await {
                    Ok(store) => break store,
                    // Helper threads are about to let go of it.
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        };
        let store = tokio::time::timeout(Duration::from_secs(60), open).await.expect("nobody holds it any more");
        store.stocked().await;
        self.replace(store);
    }

    fn replace(&mut self, store: Store) {
        self.cache = Cache::new(store, self.origins.clone(), Settings::default(), self.clock.clone(), &self.tasks);
    }

    /// The files that hold the bytes of objects.
    pub(super) fn data_files(&self) -> Vec<std::path::PathBuf> {
        let entries = |folder| std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("one").path());
        let shelves = entries(self.folder.path().join("cache")).filter(|path| path.is_dir());
        shelves.flat_map(entries).filter(|path| path.extension().is_some_and(|ending| ending == "data")).collect()
    }

    /// What is wrong with the disk.
    pub(super) fn disk(&self) -> &Faults {
        self.disk.as_ref().expect("a disk that fails on command was asked for")
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
        Got::of(self.open(method, target, fields).await).await
    }

    /// An answer whose body was not asked for yet.
    pub(super) async fn begin(&self, target: &str) -> Answer {
        self.open(Method::GET, target, &[]).await
    }

    pub(super) async fn open(&self, method: Method, target: &str, fields: &[(&'static str, String)]) -> Answer {
        let mut request = Request::internal(method, &format!("/{target}")).expect("a request");
        for (name, value) in fields {
            request.headers.append(HeaderName::from_static(name), value.parse().expect("a value"));
        }
        self.answer(&request, &self.object(target)).await
    }

    pub(super) async fn answer(&self, request: &Request, object: &Object) -> Answer {
        match self.cache.answer(request, object).await {
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

impl Setup {
    pub(super) fn of(length: u64) -> Self {
        Self {
            transport: Transport::Plain,
            length,
            cache: Settings::default(),
            store: store::Settings::default(),
            origins: origin::Settings::new(Vec::new(), "node-1"),
            faulty_disk: false,
        }
    }
}

/// All bytes of an answer, or why it broke off.
pub(super) async fn bytes_of(answer: Answer) -> io::Result<Vec<u8>> {
    let Got { content, broke, .. } = Got::of(answer).await;
    broke.map_or(Ok(content), Err)
}

/// Takes what a body has, as a connection does: neither more nor less than was announced is sent as all.
async fn read(body: Body, content: &mut Vec<u8>) -> io::Result<()> {
    let announced = body.length();
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
                            if bytes.is_empty() {
                                return Err(io::ErrorKind::UnexpectedEof.into());
                            }
                            at += bytes.len() as u64;
                            content.extend_from_slice(&bytes);
                        }
                    }
                }
            }
        }
    }
    match announced {
        Some(length) if length != content.len() as u64 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

impl Got {
    pub(super) async fn of(mut head: Answer) -> Self {
        let (body, mut content) = (std::mem::replace(&mut head.body, Body::Empty), Vec::new());
        let broke = read(body, &mut content).await.err();
        Self { head, content, broke }
    }

    pub(super) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// A field's only value; nothing if it is absent.
    pub(super) fn field(&self, name: &str) -> &str {
        self.head.headers.get(name).map_or("", |value| value.to_str().expect("plain text"))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        assert!(self.broke.is_none(), "{self:?}");
        &self.content
    }

    /// What came, and whether that claims to be all.
    pub(super) fn received(&self) -> (&[u8], bool) {
        (&self.content, self.broke.is_none())
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
        let Self { head, content, broke } = self;
        f.debug_struct("Got").field("head", head).field("content", &content.len()).field("broke", broke).finish()
    }
}
