//! Objects of the cache that are filled while they are sent: never a byte that has not come, whoever sends it, and every byte that has.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::SystemTime,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::{tls::Identity, *};
use crate::{
    cache::store::{self, Fill, NewObject, Object, Span, Store, Supply},
    disk::{About, OpenFile},
    semantics::{
        self, Representation,
        multipart::Boundaries,
        validators::{Etag, Validators},
    },
};

/// Brings what is asked for when it is allowed to, some bytes at a time; a cache has an origin for that.
#[derive(Debug)]
struct Origin {
    content: Bytes,
    /// One for each piece that may be brought.
    pieces: Semaphore,
    piece: usize,
    /// How often it was asked.
    asked: AtomicUsize,
    passed: AtomicUsize,
}

impl Supply for Origin {
    fn supply(&self, object: &Arc<Object>, span: Span) -> BoxFuture<'_, io::Result<()>> {
        self.asked.fetch_add(1, Relaxed);
        // In pieces of its own, whatever its client reads at a time.
        let fill = object.claim(Span::at(span.start, self.piece as u64));
        Box::pin(async move {
            let Some(mut fill) = fill else { return Ok(()) };
            self.pieces.acquire().await.map_err(io::Error::other)?.forget();
            self.bring(&mut fill).await
        })
    }

    fn pass(&self, _object: &Arc<Object>, span: Span) -> BoxFuture<'_, io::Result<Bytes>> {
        self.passed.fetch_add(1, Relaxed);
        let end = span.end.min(span.start + self.piece as u64);
        Box::pin(async move { Ok(self.content.slice(span.start as usize..end as usize)) })
    }
}

impl Origin {
    async fn bring(&self, fill: &mut Fill) -> io::Result<()> {
        let Span { start, end } = fill.rest();
        let end = end.min(start + self.piece as u64) as usize;
        // A fill that fails ends the object; the reader is told by that.
        let _ = fill.write(&self.content.slice(start as usize..end)).await;
        Ok(())
    }
}

/// Answers everything with one object, ranges included.
struct One {
    file: Arc<OpenFile>,
    boundaries: Boundaries,
}

impl Handler for One {
    async fn handle(&self, request: Request) -> Answer {
        let validators = self.file.validators();
        let representation = Representation {
            length: self.file.length(),
            etag: validators.etag.as_ref(),
            last_modified: validators.last_modified.as_ref(),
            content_type: self.file.content_type(),
            disposition: None,
            cache_control: None,
            coding: None,
            varies: false,
        };
        let plan = semantics::plan(&request.method, &request.headers, &representation, || self.boundaries.next());
        plan.into_answer(Arc::clone(&self.file))
    }
}

struct World {
    _folder: TempDir,
    _store: Store,
    object: Arc<Object>,
    origin: Arc<Origin>,
    content: Vec<u8>,
}

impl World {
    /// An object of which nothing is here, in blocks of 64 KiB.
    async fn new(length: usize, piece: usize, settings: &crate::disk::Settings) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let sending = settings.sending;
        let settings = store::Settings { block_bytes: 1 << 16, sending, ..store::Settings::default() };
        let store = Store::open(folder.path().join("cache"), settings).await.expect("a good directory");
        let new = NewObject {
            head: Bytes::new(),
            validator: None,
            length: Some(length as u64),
            created: SystemTime::now(),
            chosen: false,
        };
        let object = store.create("a", new).await.expect("a good disk").expect("there is room");
        let content = pattern(length);
        let origin = Origin {
            content: content.clone().into(),
            pieces: Semaphore::new(0),
            piece,
            asked: AtomicUsize::new(0),
            passed: AtomicUsize::new(0),
        };
        Self { _folder: folder, _store: store, object, origin: Arc::new(origin), content }
    }

    fn file(&self) -> Arc<OpenFile> {
        let etag = Etag::parse(HeaderValue::from_static("\"v1\""));
        let about = About {
            length: self.content.len() as u64,
            modified: SystemTime::UNIX_EPOCH,
            validators: Validators::given(etag, None),
            content_type: HeaderValue::from_static("video/mp4"),
        };
        self.object.open_file(about, Arc::clone(&self.origin) as Arc<dyn Supply>).expect("an open file")
    }

    /// Serves the object until the test ends.
    fn serve(&self, setup: Setup) -> Door {
        self.serve_file(setup, self.file())
    }

    fn serve_file(&self, setup: Setup, file: Arc<OpenFile>) -> Door {
        let tls = setup.tls.clone();
        let (address, tasks) = setup.serve(One { file, boundaries: Boundaries::default() });
        Door { address, tls, _tasks: tasks }
    }
}

/// Where the object is served.
struct Door {
    address: SocketAddr,
    tls: Option<Identity>,
    _tasks: Tasks,
}

impl Door {
    async fn connect(&self) -> Wire {
        let socket = wire::dial(self.address).await;
        match &self.tls {
            Some(identity) => Wire::over(identity.shake(socket).await),
            None => Wire::over(socket),
        }
    }
}

fn setups() -> [Setup; 4] {
    [Setup::default(), Setup::buffered(10_000), Setup::hyper(), Setup::tls()]
}

#[tokio::test]
async fn an_object_is_sent_as_it_comes() {
    for setup in setups() {
        let world = World::new(3_000_000, 700_000, &setup.settings).await;
        let door = world.serve(setup);
        let mut wire = door.connect().await;
        wire.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await;
        world.origin.pieces.add_permits(1);
        let head = wire.head().await;
        assert_eq!((head.status, head.field("content-length"), head.field("etag")), (200, "3000000", "\"v1\""));
        let mut got = Vec::new();
        while got.len() < world.content.len() {
            let here = world.content.len().min(got.len() + 700_000);
            got.extend(wire.exactly(here - got.len()).await);
            assert!(got == world.content[..got.len()], "at {}", got.len());
            // The next piece comes once this one has arrived.
            world.origin.pieces.add_permits(1);
        }
        assert!(world.object.is_whole());
        assert!(wire.get("/a", "").await.body == world.content, "out of the file");
        assert_eq!(world.origin.asked.load(Relaxed), 5);
    }
}

#[tokio::test]
async fn ranges_far_into_a_cold_object_do_not_wait_for_what_comes_before() {
    for setup in setups() {
        let world = World::new(3_000_000, 100_000, &setup.settings).await;
        world.origin.pieces.add_permits(100);
        let door = world.serve(setup);
        let mut wire = door.connect().await;
        let part = wire.get("/a", "Range: bytes=2000000-2099999\r\n").await;
        assert!(part.status == 206 && part.body == world.content[2_000_000..2_100_000]);
        assert_eq!(world.object.bytes_here(), 100_000, "and nothing else was fetched");
        let parts = wire.get("/a", "Range: bytes=0-9,2050000-2500000\r\n").await;
        assert!(parts.body.windows(10).any(|piece| piece == &world.content[..10]));
        assert!(parts.body.windows(450_001).any(|piece| piece == &world.content[2_050_000..2_500_001]));
        assert!(wire.get("/a", "").await.body == world.content);
        assert!(world.object.is_whole());
    }
}

#[tokio::test]
async fn many_clients_of_one_cold_object_are_one_fetch() {
    for setup in setups() {
        let world = World::new(1_000_000, 50_000, &setup.settings).await;
        let door = world.serve(setup);
        world.origin.pieces.add_permits(20);
        let clients = (0..20).map(|_| async {
            let mut wire = door.connect().await;
            assert!(wire.get("/a", "").await.body == world.content);
        });
        futures_util::future::join_all(clients).await;
        // Each piece took one permit, and no byte was brought twice.
        assert_eq!(world.origin.pieces.available_permits(), 0);
        assert_eq!(world.object.bytes_here(), 1_000_000);
    }
}

#[tokio::test]
async fn clients_of_an_object_that_is_given_up_get_their_bytes_past_it() {
    for setup in setups() {
        let world = World::new(3_000_000, 400_000, &setup.settings).await;
        let door = world.serve(setup);
        let mut wire = door.connect().await;
        world.origin.pieces.add_permits(2);
        wire.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await;
        wire.head().await;
        let mut got = wire.exactly(800_000).await;
        // What it was said to be turns out to be wrong: it is not kept any more.
        let mut fill = world.object.claim(Span::at(2_999_999, 1)).expect("nobody has it yet");
        assert!(fill.set_length(5).await.is_err());
        world.origin.pieces.add_permits(100);
        got.extend(wire.exactly(2_200_000).await);
        assert!(got == world.content);
        assert!(world.origin.passed.load(Relaxed) > 0);
    }
}

#[tokio::test]
async fn an_object_that_was_here_before_is_sent_without_asking_anybody() {
    let setup = Setup::default();
    let world = World::new(500_000, 500_000, &setup.settings).await;
    let mut fill = world.object.claim(Span::at(0, 500_000)).expect("nobody has it");
    world.origin.bring(&mut fill).await.expect("a good disk");
    let door = world.serve(setup);
    assert!(door.connect().await.get("/a", "").await.body == world.content);
    assert_eq!(world.origin.asked.load(Relaxed), 0);
}

#[tokio::test]
async fn a_client_that_leaves_while_nothing_comes_is_let_go() {
    for setup in [Setup::default(), Setup::buffered(10_000)] {
        let world = World::new(1_000_000, 100_000, &setup.settings).await;
        let file = world.file();
        let door = world.serve_file(setup, Arc::clone(&file));
        let held = Arc::strong_count(&file);
        let mut wire = door.connect().await;
        wire.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await;
        wire.head().await;
        let holders = async |is_so: fn(usize, usize) -> bool| {
            while !is_so(Arc::strong_count(&file), held) {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        holders(|now, before| now > before).await;
        drop(wire);
        let let_go = holders(|now, before| now == before);
        tokio::time::timeout(std::time::Duration::from_secs(20), let_go).await.expect("it is noticed");
    }
}
