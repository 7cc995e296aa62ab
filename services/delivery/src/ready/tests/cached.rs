//! Answers out of the cache: given again while their object is the one, and no longer than they say themselves.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use ferry_core::object::ObjectKey;
use tokio::time::Instant;

use super::*;
use crate::{
    answer::{Body, FileBody, Parts, Slice},
    cache::store::{self, NewObject, Span, Store},
    disk::About,
    semantics::validators::Validators,
};

/// A delivery, and a store with an object of which answers are made by hand.
struct Cached {
    site: Site,
    store: Store,
    object: Arc<store::Object>,
}

impl Cached {
    async fn new() -> Self {
        let site = Site::new();
        let store = Store::open(site.folder.path().join("cache"), store::Settings::default()).await;
        let store = store.expect("a good directory");
        let object = create(&store).await;
        bring(&object).await;
        Self { site, store, object }
    }

    /// An answer as a cache makes it.
    fn answer(&self, stands_until: Option<Instant>) -> Answer {
        let reading = self.object.reading(|_| HeaderValue::from_static("text/plain"));
        let about = |content_type: &HeaderValue| About {
            length: 7,
            modified: UNIX_EPOCH,
            validators: Validators::given(None, None),
            content_type: content_type.clone(),
        };
        let file = self.object.whole_file(&reading, about).expect("a good disk");
        let parts = Parts::One(Slice { offset: 0, length: file.length() });
        let date = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
        Answer { body: Body::File(FileBody { file, parts }), stands_until, ..Answer::empty(StatusCode::OK) }
            .with(header::AGE, HeaderValue::from(7))
            .with(header::DATE, date)
    }

    /// Offers an answer to keep; says whether another request gets it.
    fn keeps(&self, answer: &Answer) -> bool {
        let path = ObjectPath::from_decoded("a").expect("a good path");
        let object = Object::new(ObjectKey::plain(path), "/a");
        let request = Request { plain: true, ..Request::internal(Method::GET, "/a").expect("a request") };
        self.site.delivery.keep_ready(&request, &object, answer);
        self.site.is_ready("a")
    }
}

async fn create(store: &Store) -> Arc<store::Object> {
    let head = Bytes::from_static(b"a head");
    let new = NewObject { head, validator: None, length: Some(7), created: SystemTime::now(), chosen: false };
    store.create("a", new).await.expect("a good disk").expect("there is room")
}

async fn bring(object: &Arc<store::Object>) {
    let mut fill = object.claim(Span::at(0, 7)).expect("nobody has it");
    fill.write(&Bytes::from_static(b"content")).await.expect("a good disk");
    fill.finish().await.expect("a good disk");
}

/// Changes the object's bytes behind the store's back, and has that found out.
async fn damage(site: &Site, store: &Store) {
    let entries =
        |folder: PathBuf| fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let shelves = entries(site.folder.path().join("cache")).filter(|path| path.is_dir());
    let data = shelves.flat_map(entries).find(|path| path.extension().is_some_and(|ending| ending == "data"));
    fs::write(data.expect("the object's bytes"), b"kontent").expect("our own file");
    let proof = store.prove("a").await.expect("readable").expect("it is there");
    assert_eq!(proof.bad, [Span::at(0, 7)]);
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

#[tokio::test]
async fn an_answer_out_of_the_cache_is_given_again_with_its_own_date_and_counts_as_a_hit() {
    let cached = Cached::new().await;
    assert!(cached.keeps(&cached.answer(Some(later()))));
    let before = cached.object.hits();
    let prompt = cached.site.delivery.ready(plain("/a")).expect("it is ready");
    assert!(prompt.is_cached() && cached.object.hits() == before + 1);
    assert_eq!(prompt.ready.content.as_deref(), Some(&b"content"[..]));
    let head = String::from_utf8(prompt.ready.head.to_vec()).expect("ASCII");
    let expected = "HTTP/1.1 200 OK\r\nage: 7\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 7";
    assert!(prompt.ready.dated && head == expected, "{head:?}");
    cached.site.file("b", b"of the disk");
    cached.site.ask_until_ready("b").await;
    let prompt = cached.site.delivery.ready(plain("/b")).expect("it is ready");
    assert!(!prompt.is_cached() && !prompt.ready.dated);
}

#[tokio::test]
async fn an_answer_ends_with_its_time_though_its_file_stands() {
    let (cached, until) = (Cached::new().await, later());
    cached.site.file("a", b"of the disk");
    cached.site.ask_until_ready("a").await;
    let of_the_disk = Answer { stands_until: Some(until), ..cached.site.ask("a", true).await };
    for answer in [cached.answer(Some(until)), of_the_disk] {
        let ready_at = |since| cached.site.delivery.ready(Plain { since, ..plain("/a") }).is_some();
        assert!(cached.keeps(&answer));
        assert!(ready_at(until - Duration::from_nanos(1)));
        assert!(!ready_at(until));
        assert!(cached.keeps(&answer), "and is kept anew");
    }
}

#[tokio::test]
async fn an_answer_of_which_nobody_knows_how_long_it_holds_is_not_kept_nor_is_a_failure() {
    let cached = Cached::new().await;
    assert!(!cached.keeps(&cached.answer(None)));
    let missing = Answer { status: StatusCode::NOT_FOUND, ..cached.answer(Some(later())) };
    assert!(!cached.keeps(&missing), "it would be counted as a success");
}

#[tokio::test]
async fn an_answer_is_not_given_again_once_its_object_is_another() {
    for change in ["purged", "replaced", "re-headed", "damaged", "damaged and brought anew"] {
        let cached = Cached::new().await;
        assert!(cached.keeps(&cached.answer(Some(later()))), "{change}");
        let Cached { site, store, object } = cached;
        // Somebody is being sent it all the while, so that it stays open.
        let _prompt = site.delivery.ready(plain("/a")).expect("it is ready");
        match change {
            "purged" => assert!(store.purge("a").await.expect("a good disk")),
            "replaced" => drop(create(&store).await),
            "re-headed" => object.set_head(Bytes::from_static(b"newer"), UNIX_EPOCH).await.expect("a good disk"),
            "damaged" => damage(&site, &store).await,
            _ => {
                damage(&site, &store).await;
                bring(&object).await;
                assert!(object.is_whole(), "but what was kept in memory of it may be what was damaged");
            }
        }
        assert!(!site.is_ready("a"), "{change}");
    }
}

#[tokio::test]
async fn what_is_ready_keeps_no_object_open() {
    let cached = Cached::new().await;
    assert!(cached.keeps(&cached.answer(Some(later()))));
    let file = Arc::downgrade(&cached.site.delivery.ready(plain("/a")).expect("it is ready").file);
    let Cached { site, store, object } = cached;
    let held = Arc::downgrade(&object);
    drop((store, object));
    assert_eq!((file.strong_count(), held.strong_count()), (0, 0));
    assert!(!site.is_ready("a"));
}
