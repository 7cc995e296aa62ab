//! Filling and reading along.

use std::{
    future::Future,
    task::{Context, Poll, Waker},
};

use futures_util::future::BoxFuture;
use http::HeaderValue;
use proptest::{collection::vec, prelude::*};

use super::{faulty::Fault, *};
use crate::{disk::About, semantics::validators::Validators};

fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn bytes_are_here_as_soon_as_they_are_written() {
    let world = World::new();
    let store = world.open().await;
    let (object, content) = (create(&store, "a", 2_500).await, pattern(2_500));
    assert_eq!((object.present(0, 10), object.is_whole()), (0, false));
    let mut fill = object.claim(Span::at(0, 2_500)).expect("nobody has it");
    for (from, to) in [(0, 1), (1, 999), (999, 1_001), (1_001, 2_499)] {
        assert_eq!(fill.write(&content.slice(from..to)).await.expect("a good disk"), to - from);
        assert_eq!((object.present(0, u64::MAX), check(&object, &content)), (to as u64, to as u64));
    }
    assert!(!object.is_whole());
    fill.write(&content.slice(2_499..)).await.expect("a good disk");
    assert!(object.is_whole());
    assert_eq!(object.missing(Span::at(0, u64::MAX)), []);
}

#[tokio::test]
async fn who_waits_is_told_when_the_byte_comes_and_when_nobody_brings_it_any_more() {
    let world = World::new();
    let store = world.open().await;
    let (object, content) = (create(&store, "a", 3_000).await, pattern(3_000));
    assert_eq!(object.arrival(100).await, Arrival::Unclaimed);
    let mut fill = object.claim(Span::at(0, 2_000)).expect("nobody has it");
    let (mut near, mut far) = (Box::pin(object.arrival(100)), Box::pin(object.arrival(1_500)));
    assert!(poll(near.as_mut()).is_pending() && poll(far.as_mut()).is_pending());
    fill.write(&content.slice(..100)).await.expect("a good disk");
    assert!(poll(near.as_mut()).is_pending(), "the byte before it came");
    fill.write(&content.slice(100..101)).await.expect("a good disk");
    assert_eq!(near.await, Arrival::Here);
    assert!(poll(far.as_mut()).is_pending());
    drop(fill);
    assert_eq!(far.await, Arrival::Unclaimed);
    let fill = object.claim(Span::at(0, 2_000)).expect("it was given back");
    assert_eq!(fill.rest(), Span { start: 101, end: 2_000 });
}

#[tokio::test]
async fn two_fills_never_have_the_same_byte() {
    let world = World::new();
    let store = world.open().await;
    let (object, content) = (create(&store, "a", 10_000).await, pattern(10_000));
    let mut middle = object.claim(Span::at(4_000, 2_000)).expect("nobody has it");
    let mut all = object.claim(Span::at(0, 10_000)).expect("not all of it");
    assert_eq!(all.rest(), Span { start: 0, end: 4_000 });
    let tail = object.claim(Span::at(5_000, 100_000)).expect("what is behind");
    assert_eq!(tail.rest(), Span { start: 6_000, end: 10_000 });
    assert!(object.claim(Span::at(0, 10_000)).is_none(), "all of it is being brought");
    // An origin that sends more than was asked for writes over nobody's bytes.
    assert_eq!(all.write(&content).await.expect("a good disk"), 4_000);
    assert_eq!(all.write(&content.slice(4_000..)).await.expect("a good disk"), 0);
    assert_eq!(middle.write(&content.slice(4_000..5_000)).await.expect("a good disk"), 1_000);
    assert_eq!(object.present(0, u64::MAX), 5_000);
    assert_eq!(check(&object, &content), 5_000);
}

#[tokio::test]
async fn an_object_that_comes_without_its_length_learns_it_at_the_end() {
    let world = World::new();
    let (content, store) = (pattern(2_300), world.open().await);
    let object = store.create("a", new(None)).await.expect("a good disk").expect("there is room");
    let mut fill = object.claim(Span::at(0, u64::MAX)).expect("nobody has it");
    fill.write(&content).await.expect("a good disk");
    assert_eq!((object.length(), object.is_whole(), object.bytes_here()), (None, false, 2_300));
    fill.set_length(2_300).await.expect("it agrees");
    assert!(object.is_whole());
    fill.finish().await.expect("a good disk");
    drop((object, store));
    let object = find(&world.open().await, "a").await.expect("it was stored");
    assert_eq!((object.length(), object.is_whole(), check(&object, &content)), (Some(2_300), true, 2_300));
}

#[tokio::test]
async fn a_length_that_contradicts_what_came_ends_the_object() {
    let world = World::new();
    let store = world.open().await;
    let object = create(&store, "a", 2_000).await;
    let mut fill = object.claim(Span::at(0, 2_000)).expect("nobody has it");
    fill.write(&pattern(1_500)).await.expect("a good disk");
    assert!(matches!(fill.set_length(1_000).await, Err(FillError::Contradiction)));
    assert_eq!((object.is_lost(), object.arrival(1_999).await), (true, Arrival::Lost));
    assert!(find(&store, "a").await.is_none());
    assert!(object.claim(Span::at(0, 2_000)).is_none());
}

#[tokio::test]
async fn what_was_known_of_an_object_is_known_by_the_next_process() {
    let world = World::new();
    let (content, store) = (pattern(4_200), world.open().await);
    let object = create(&store, "a?x", 4_200).await;
    fill(&object, Span::at(1_000, 1_500), &content).await.expect("a good disk");
    object.used(long_ago() + Duration::from_secs(9));
    fill(&object, Span::at(4_000, 200), &content).await.expect("a good disk");
    let head = Bytes::from_static(b"another head");
    object.set_head(head.clone(), long_ago() + Duration::from_secs(7)).await.expect("a good disk");
    drop((object, store));

    let store = world.open().await;
    let object = find(&store, "a?x").await.expect("it was stored");
    assert_eq!((object.key(), object.length(), object.validator()), ("a?x", Some(4_200), Some(&validator("\"v1\""))));
    assert_eq!((object.head(), object.block_bytes()), (head, BLOCK));
    let times = [object.created(), object.validated(), object.last_used()];
    assert_eq!(times, [0, 7, 9].map(|seconds| long_ago() + Duration::from_secs(seconds)));
    assert_eq!(object.hits(), 1);
    // Blocks 1 and 4; block 2 came in half.
    assert_eq!(object.missing(Span::at(0, 9_999)), [Span::at(0, 1_000), Span::at(2_000, 2_000)]);
    assert_eq!(check(&object, &content), 1_200);
    fill(&object, Span::at(0, 4_200), &content).await.expect("a good disk");
    assert_eq!((object.is_whole(), check(&object, &content)), (true, 4_200));
}

#[tokio::test(start_paused = true)]
async fn a_slow_fill_is_listed_from_time_to_time() {
    let world = World::new();
    let (content, store) = (pattern(3_000), world.open().await);
    let object = create(&store, "a", 3_000).await;
    let mut fill = object.claim(Span::at(0, 3_000)).expect("nobody has it");
    fill.write(&content.slice(..2_100)).await.expect("a good disk");
    assert_eq!(world.files("meta").len(), 0);
    let listed =
        || Ledger::read(&fs::read(&world.files("meta")[0]).expect("readable")).expect("an object").0.blocks.len();
    let tended = tokio::time::timeout(settings().flush_every * 2, store.tend()).await;
    assert!(tended.is_err(), "it goes on");
    assert_eq!(listed(), 2);
}

#[tokio::test]
async fn pieces_of_any_length_are_written_one_behind_the_other() {
    let world = World::new();
    let (content, store) = (pattern(300_000), world.open().await);
    // Some that end where a call ends, some that hold several of them, and many within one.
    for sizes in [&[32_768, 32_768][..], &[1, 70_000, 3, 5, 7_000, 32_763], &[999], &[300_000], &[32_767, 1, 1, 32_767]]
    {
        let object = create(&store, &format!("{sizes:?}"), content.len()).await;
        let (mut fill, mut rest) = (object.claim(Span::at(0, 300_000)).expect("nobody has it"), content.clone());
        while !rest.is_empty() {
            let mut pieces: Vec<Bytes> = Vec::new();
            for size in sizes {
                pieces.push(rest.split_to(rest.len().min(*size)));
            }
            let count: usize = pieces.iter().map(Bytes::len).sum();
            assert_eq!(fill.write_all(&pieces).await.expect("a good disk"), count);
        }
        fill.finish().await.expect("a good disk");
        assert_eq!(check(&object, &content), 300_000);
        let proof = store.prove(object.key()).await.expect("a good disk").expect("it is here");
        assert_eq!((proof.good, proof.bad), (300_000, vec![]), "{sizes:?}");
    }
}

#[tokio::test]
async fn pieces_end_with_the_claim() {
    let world = World::new();
    let (content, store) = (pattern(3_000), world.open().await);
    let object = create(&store, "a", 3_000).await;
    let mut fill = object.claim(Span::at(0, 2_000)).expect("nobody has it");
    let pieces =
        [content.slice(..1_500), content.slice(1_500..1_500), content.slice(1_500..2_500), content.slice(2_500..)];
    assert_eq!(fill.write_all(&pieces).await.expect("a good disk"), 2_000);
    assert_eq!(fill.write_all(&pieces).await.expect("a good disk"), 0);
    assert_eq!(check(&object, &content), 2_000);
}

#[tokio::test(start_paused = true)]
async fn what_waits_to_be_listed_is_listed_at_once_where_it_is_much() {
    let world = World::new();
    let (content, store) = (pattern(1_000), world.open_with(Settings { open_objects: 8, ..settings() }).await);
    let mut objects = Vec::new();
    for key in 0..3 {
        let object = create(&store, &key.to_string(), 1_000).await;
        let mut fill = object.claim(Span::at(0, 1_000)).expect("nobody has it");
        fill.write(&content).await.expect("a good disk");
        fill.leave().await;
        objects.push(object);
    }
    assert_eq!(world.files("meta").len(), 0);
    let early = tokio::time::timeout(settings().flush_every / 10, store.tend()).await;
    assert!(early.is_err(), "it goes on");
    assert_eq!(world.files("meta").len(), 3);
}

#[tokio::test]
async fn an_object_that_cannot_be_listed_keeps_no_other_from_it() {
    let world = World::new();
    let (content, (store, faults)) = (pattern(1_000), world.open_faulty().await);
    let mut objects = Vec::new();
    for key in 0..40 {
        let object = create(&store, &format!("{key:02}"), 1_000).await;
        let mut fill = object.claim(Span::at(0, 1_000)).expect("nobody has it");
        fill.write(&content).await.expect("a good disk");
        objects.push(object);
    }
    faults.fail_one_after(7, Fault::Full);
    store.settle().await;
    let lost: Vec<_> = objects.iter().filter(|object| object.is_lost()).collect();
    assert_eq!((lost.len(), world.files("meta").len(), world.files("data").len()), (1, 39, 39));
}

#[tokio::test]
async fn metadata_that_were_overruled_many_times_are_written_anew() {
    let world = World::new();
    let (content, store) = (pattern(2_000), world.open().await);
    let object = create(&store, "a", 2_000).await;
    fill(&object, Span::at(0, 1_000), &content).await.expect("a good disk");
    let head = Bytes::from(vec![b'x'; 10_000]);
    for _ in 0..20 {
        object.set_head(head.clone(), long_ago()).await.expect("a good disk");
    }
    let length = || fs::metadata(&world.files("meta")[0]).expect("there").len();
    assert!(length() > 200_000);
    fill(&object, Span::at(0, 2_000), &content).await.expect("a good disk");
    assert!(length() < 11_000, "{}", length());
    object.set_head(head.clone(), long_ago() + Duration::from_secs(1)).await.expect("a good disk");
    drop((object, store));
    let object = find(&world.open().await, "a").await.expect("it was stored");
    assert_eq!((object.head(), object.validated()), (head, long_ago() + Duration::from_secs(1)));
    assert_eq!(check(&object, &content), 2_000);
}

/// Brings nothing.
#[derive(Debug)]
struct Nobody;

impl Supply for Nobody {
    fn supply(&self, _: &Arc<Object>, _: Span) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async { Err(io::ErrorKind::NotConnected.into()) })
    }

    fn pass(&self, _: &Arc<Object>, _: Span) -> BoxFuture<'_, io::Result<Bytes>> {
        Box::pin(async { Err(io::ErrorKind::NotConnected.into()) })
    }
}

#[tokio::test]
async fn an_open_file_gives_out_what_is_here_and_no_more() {
    let world = World::new();
    let (content, store) = (pattern(9_000), world.open().await);
    let object = create(&store, "a", 9_000).await;
    let about = About {
        length: 9_000,
        modified: long_ago(),
        validators: Validators::given(None, None),
        content_type: HeaderValue::from_static("text/plain"),
    };
    let file = object.open_file(about, Arc::new(Nobody)).expect("an open file");
    let mut fill = object.claim(Span::at(2_000, 5_000)).expect("nobody has it");
    fill.write(&content.slice(2_000..4_500)).await.expect("a good disk");
    drop(fill);
    let mut buffer = [0; 3_000];
    assert_eq!(file.read_now(0, &mut buffer).expect("a good disk"), None, "it would have to be waited for");
    assert_eq!(file.read_now(9_000, &mut buffer).expect("a good disk"), Some(0), "the end");
    assert_eq!(file.read_now(2_500, &mut buffer).expect("a good disk"), Some(2_000));
    assert_eq!(buffer[..2_000], content[2_500..4_500]);
    assert_eq!([0, 1_999, 2_000, 4_499, 4_500].map(|at| file.resident(at, 3_000)), [0, 0, 2_500, 1, 0]);
    assert_eq!(file.fetch(3_000, 6_000).await.expect("it is here"), 1_500);
    assert_eq!(file.read_at(4_000, 3_000).await.expect("it is here"), content[4_000..4_500]);
    for at in [0, 4_500] {
        assert!(file.fetch(at, 10).await.is_err() && file.read_at(at, 10).await.is_err(), "nobody brings it");
    }
}

/// A step of a random fill.
#[derive(Debug, Clone)]
enum Step {
    Claim(u64, u64),
    Write(usize, usize),
    Drop(usize),
    Settle,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..6_000_u64, 1..4_000_u64).prop_map(|(offset, length)| Step::Claim(offset, length)),
        8 => (any::<usize>(), 1..2_500_usize).prop_map(|(fill, length)| Step::Write(fill, length)),
        2 => any::<usize>().prop_map(Step::Drop),
        1 => Just(Step::Settle),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// B2 and B3: whatever fills do, what is here is what the origin has, and after a restart all blocks that were whole are here.
    #[test]
    fn any_fills_leave_what_the_origin_has(script in vec(step(), 1..40), length in 4_500..5_500_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(run(script, length));
    }
}

async fn run(script: Vec<Step>, length: usize) {
    let (world, content) = (World::new(), pattern(length));
    let mut store = world.open().await;
    let mut object = create(&store, "a", length).await;
    let mut fills: Vec<Fill> = Vec::new();
    for step in script {
        match step {
            Step::Claim(offset, length) => fills.extend(object.claim(Span::at(offset, length))),
            Step::Write(which, most) if !fills.is_empty() => {
                let which = which % fills.len();
                let at = fills[which].rest().start as usize;
                let bytes = content.slice(at..(at + most).min(length));
                fills[which].write(&bytes).await.expect("a good disk");
            }
            Step::Drop(which) if !fills.is_empty() => drop(fills.swap_remove(which % fills.len())),
            Step::Write(..) | Step::Drop(_) => {}
            Step::Settle => store.settle().await,
            Step::Reopen => {
                fills.clear();
                store.settle().await;
                let blocks = (0..length as u64).step_by(BLOCK as usize).map(|at| Span::at(at, BLOCK.into()));
                let whole = |span: &Span| object.missing(*span).is_empty();
                let expected: u64 = blocks.filter(whole).map(|span| span.end.min(length as u64) - span.start).sum();
                drop((object, store));
                store = world.open().await;
                object = find(&store, "a").await.expect("it was stored");
                assert_eq!(object.bytes_here(), expected);
            }
        }
        check(&object, &content);
    }
}

#[tokio::test]
async fn objects_that_wait_to_be_listed_do_not_pile_up_open() {
    let (world, most) = (World::new(), 8);
    // Nothing is listed by itself, and nothing stays open but what waits for that.
    let patient = Settings { open_objects: most, flush_every: Duration::from_secs(3600), ..settings() };
    let store = world.open_with(patient).await;
    let content = pattern(1_000);
    for number in 0..10 * most {
        let object = create(&store, &number.to_string(), 1_000).await;
        let mut fill = object.claim(Span::at(0, 1_000)).expect("nobody has it");
        fill.write(&content).await.expect("a good disk");
        fill.leave().await;
        drop(object);
        until_open(&world, 2 * most).await;
    }
    store.settle().await;
    assert_eq!(store.usage().objects, 10 * most);
    // Nor do those whose use is to be noted.
    for number in 0..10 * most {
        find(&store, &number.to_string()).await.expect("it was stored").used(SystemTime::now());
        until_open(&world, 2 * most).await;
    }
}

/// Waits until no more than so many files of objects are open: they are closed by another thread.
async fn until_open(world: &World, most: usize) {
    let come = async {
        while open_files(world) > most {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), come).await.expect("what nobody needs is closed");
}

/// How many files of objects this process has open.
fn open_files(world: &World) -> usize {
    let open =
        fs::read_dir("/proc/self/fd").expect("a Linux").filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    open.filter(|path| path.starts_with(&world.directory) && has_ending(path, "data")).count()
}
