//! Whole objects of the cache, on their way as local files go.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::SystemTime,
};

use bytes::Bytes;
use ferry_core::object::{ObjectKey, ObjectPath};
use http::{HeaderValue, header};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::Instant};

use super::{tls::Identity, *};
use crate::{
    answer::{Body, FileBody, Parts, Slice},
    cache::store::{self, NewObject, Object, Span, Store},
    delivery::{self, Backend, Delivery},
    disk::{About, Disk},
    metrics::Metrics,
    ready::Prompt,
    semantics::validators::{Etag, Validators},
    transfers::Transfers,
};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// Answers everything with one object, as a cache would.
struct Hits {
    delivery: Delivery,
    object: Arc<Object>,
    /// How many requests were handled in the ordinary way.
    handled: Arc<AtomicUsize>,
}

impl Handler for Hits {
    async fn handle(&self, request: Request) -> Answer {
        self.handled.fetch_add(1, Relaxed);
        let reading = self.object.reading(|_| HeaderValue::from_static("video/mp4"));
        let about = |content_type: &HeaderValue| About {
            length: self.object.length().expect("it is whole"),
            modified: SystemTime::UNIX_EPOCH,
            validators: Validators::given(Etag::parse(HeaderValue::from_static("\"v1\"")), None),
            content_type: content_type.clone(),
        };
        let file = self.object.whole_file(&reading, about).expect("a good disk");
        let parts = Parts::One(Slice { offset: 0, length: file.length() });
        let answer = Answer {
            body: Body::File(FileBody { file, parts }),
            stands_until: Some(Instant::now() + Duration::from_secs(3600)),
            ..Answer::empty(StatusCode::OK)
        };
        let answer = answer.with(header::DATE, HeaderValue::from_static(DATE)).with(header::AGE, HeaderValue::from(7));
        let path = ObjectPath::from_decoded("a").expect("a good path");
        let object = delivery::Object::new(ObjectKey::plain(path), "/a");
        self.delivery.keep_ready(&request, &object, &answer);
        answer
    }

    fn ready(&self, plain: Plain<'_>) -> Option<Prompt> {
        self.delivery.ready(plain)
    }
}

/// A whole object, and where it is served.
struct World {
    folder: TempDir,
    store: Store,
    object: Arc<Object>,
    address: SocketAddr,
    tls: Option<Identity>,
    handled: Arc<AtomicUsize>,
    _tasks: Tasks,
}

impl World {
    async fn new(setup: Setup, content: &[u8]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let store = Store::open(folder.path().join("cache"), store::Settings::default()).await;
        let store = store.expect("a good directory");
        let length = content.len() as u64;
        let new = NewObject {
            head: Bytes::new(),
            validator: None,
            length: Some(length),
            created: SystemTime::now(),
            chosen: false,
        };
        let object = store.create("a", new).await.expect("a good disk").expect("there is room");
        let mut fill = object.claim(Span::at(0, length)).expect("nobody has it");
        fill.write(&Bytes::copy_from_slice(content)).await.expect("a good disk");
        fill.finish().await.expect("a good disk");
        let disk = Disk::open_root(folder.path()).expect("a good root");
        let delivery = Delivery::new(Backend::Filesystem(disk), Transfers::new(), Metrics::default());
        let (handled, tls) = (Arc::<AtomicUsize>::default(), setup.tls.clone());
        let handler = Hits { delivery, object: Arc::clone(&object), handled: Arc::clone(&handled) };
        let (address, tasks) = setup.serve(handler);
        Self { folder, store, object, address, tls, handled, _tasks: tasks }
    }

    /// A connection whose client takes little at a time.
    async fn connect_narrow(&self) -> Wire {
        self.shaken(wire::dial_narrow(self.address).await).await
    }

    async fn connect(&self) -> Wire {
        self.shaken(wire::dial(self.address).await).await
    }

    async fn shaken(&self, socket: TcpStream) -> Wire {
        match &self.tls {
            Some(identity) => Wire::over(identity.shake(socket).await),
            None => Wire::over(socket),
        }
    }

    /// Changes the last byte of the object on the disk, behind the store's back, and has that found out.
    async fn damage(&self) {
        let entries = |folder: PathBuf| fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("one").path());
        let shelves = entries(self.folder.path().join("cache")).filter(|path| path.is_dir());
        let data = shelves.flat_map(entries).find(|path| path.extension().is_some_and(|ending| ending == "data"));
        let file = File::options().write(true).open(data.expect("the object's bytes")).expect("our own file");
        file.write_all_at(b"!", self.object.length().expect("it is whole") - 1).expect("our own file");
        assert_eq!(self.store.prove("a").await.expect("readable").expect("it is there").bad.len(), 1);
    }
}

#[tokio::test]
async fn a_ready_answer_is_the_ordinary_one_with_the_date_of_its_origin() {
    for setup in [Setup::default, Setup::tls] {
        for length in [1, 4_096, 20_000, 3 << 20] {
            let content = pattern(length);
            let world = World::new(setup(), &content).await;
            let mut answers = Vec::new();
            for mut wire in [world.connect().await, world.connect().await, world.connect_narrow().await] {
                answers.push(wire.get("/a", "").await);
            }
            let ordinary = &answers[0];
            assert!(ordinary.body == content && ordinary.field("date") == DATE && ordinary.field("age") == "7");
            assert!(answers.iter().all(|answer| answer == ordinary), "{length} bytes");
            assert_eq!((world.handled.load(Relaxed), world.object.hits()), (1, 2), "nobody was asked again");
        }
    }
}

#[tokio::test]
async fn of_an_object_that_turns_out_to_be_damaged_nothing_false_is_sent() {
    for setup in [Setup::default, Setup::tls] {
        let content = pattern(8 << 20);
        let world = World::new(setup(), &content).await;
        // The first is answered in the ordinary way, the second out of what is ready.
        let mut wires = [world.connect_narrow().await, world.connect_narrow().await];
        for wire in &mut wires {
            wire.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await;
            assert_eq!(wire.head().await.field("content-length"), content.len().to_string());
        }
        assert_eq!((world.handled.load(Relaxed), world.object.hits()), (1, 1));
        world.damage().await;
        for wire in &mut wires {
            let got = wire.rest().await;
            assert!(got.len() < content.len() && got == content[..got.len()], "{} bytes", got.len());
        }
        world.connect().await.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let asked = async {
            while world.handled.load(Relaxed) == 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), asked)
            .await
            .expect("the next one is answered in the ordinary way");
    }
}

#[tokio::test]
async fn the_date_of_an_origin_is_not_replaced_by_the_other_engine() {
    let world = World::new(Setup::hyper(), b"content").await;
    let answer = world.connect().await.get("/a", "").await;
    assert_eq!((answer.field("date"), &answer.body[..]), (DATE, &b"content"[..]));
}
