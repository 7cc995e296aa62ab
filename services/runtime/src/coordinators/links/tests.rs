//! Links over a network that exists only here, in paused time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::*;

/// What answers behind each URL, and what was asked of it.
#[derive(Clone, Default)]
struct World(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    up: HashMap<String, (CoordinatorId, CancellationToken)>,
    refusing: Option<String>,
    dials: HashMap<String, Vec<Instant>>,
    streams: HashMap<CoordinatorId, usize>,
}

/// A stream that stands, counted while it does.
struct Standing(World, CoordinatorId);

impl World {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn raise(&self, url: &str, id: &str) {
        self.with(|state| state.up.insert(url.to_owned(), (name(id), CancellationToken::new())));
    }

    fn fell(&self, url: &str) {
        if let Some((_, down)) = self.with(|state| state.up.remove(url)) {
            down.cancel();
        }
    }

    fn dials(&self, url: &str) -> Vec<Instant> {
        self.with(|state| state.dials.get(url).cloned().unwrap_or_default())
    }

    fn start(&self, tasks: &Tasks, urls: &[&str], discovered: &watch::Sender<Vec<Peer>>) -> Links {
        let urls = urls.iter().map(|url| BaseUrl::parse(url).expect("a URL")).collect();
        let world = self.clone();
        let stop = tasks.stop_token();
        Links::start(tasks, urls, discovered.subscribe(), move |link| world.clone().stream(link, stop.clone()))
    }

    async fn stream(self, link: Link, stop: CancellationToken) -> Ending {
        let url = link.url().origin();
        let answer = self.with(|state| {
            state.dials.entry(url.clone()).or_default().push(Instant::now());
            match &state.refusing {
                Some(why) => Err(Ending::Refused(why.clone())),
                None => state.up.get(&url).cloned().ok_or_else(|| Ending::Lost("nobody there".to_owned())),
            }
        });
        // The round trip, during which others dial too.
        sleep(Duration::from_millis(1)).await;
        let (id, down) = match answer {
            Ok(answer) => answer,
            Err(ending) => return ending,
        };
        let _standing = Standing::begin(&self, &id);
        link.welcomed(&id);
        tokio::select! {
            () = stop.cancelled() => {}
            () = down.cancelled() => {}
        }
        Ending::Lost("the stream ended".to_owned())
    }
}

impl Standing {
    fn begin(world: &World, id: &CoordinatorId) -> Self {
        world.with(|state| *state.streams.entry(id.clone()).or_default() += 1);
        Self(world.clone(), id.clone())
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.with(|state| *state.streams.entry(self.1.clone()).or_default() -= 1);
    }
}

fn name(text: &str) -> CoordinatorId {
    text.parse().expect("a name")
}

fn peer(id: &str, url: &str) -> Peer {
    Peer { id: name(id), url: url.to_owned() }
}

/// (url, connected), sorted.
fn shown(links: &Links) -> Vec<(String, bool)> {
    let mut shown: Vec<_> = links.list().into_iter().map(|status| (status.url, status.connected)).collect();
    shown.sort();
    shown
}

const A: &str = "http://a:7000";
const B: &str = "http://b:7000";
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn one_coordinator_under_two_names_gets_one_stream_for_good() {
    let (world, tasks, discovered) = (World::default(), Tasks::new(), watch::Sender::new(Vec::new()));
    world.raise(A, "c1");
    world.raise(B, "c1");
    let links = world.start(&tasks, &[A, B], &discovered);
    sleep(MINUTE).await;
    assert_eq!(links.connected(), 1);
    assert_eq!(world.with(|state| state.streams[&name("c1")]), 1);
    let dials = world.dials(A).len() + world.dials(B).len();
    assert!(dials <= 3, "{dials} dials: the two names push each other out");
    let troubles: Vec<_> = links.list().into_iter().filter_map(|status| status.trouble).collect();
    assert!(troubles.is_empty(), "{troubles:?}");
}

#[tokio::test(start_paused = true)]
async fn when_the_name_in_use_dies_the_other_takes_over() {
    let (world, tasks, discovered) = (World::default(), Tasks::new(), watch::Sender::new(Vec::new()));
    world.raise(A, "c1");
    world.raise(B, "c1");
    let links = world.start(&tasks, &[A, B], &discovered);
    sleep(MINUTE).await;
    let used = shown(&links).into_iter().find(|(_, connected)| *connected).expect("one is connected").0;
    world.fell(&used);
    sleep(Duration::from_millis(50)).await;
    let now_used = shown(&links).into_iter().find(|(_, connected)| *connected).expect("the other is connected").0;
    assert_ne!(now_used, used);
}

#[tokio::test(start_paused = true)]
async fn a_lost_coordinator_is_redialled_quickly_at_first_and_then_patiently() {
    let (world, tasks, discovered) = (World::default(), Tasks::new(), watch::Sender::new(Vec::new()));
    world.raise(A, "c1");
    let links = world.start(&tasks, &[A], &discovered);
    sleep(MINUTE).await;
    assert_eq!(links.connected(), 1);
    world.fell(A);
    let lost = Instant::now();
    sleep(MINUTE).await;
    let dials = world.dials(A);
    assert!(dials[1] - lost <= REDIAL_BASE, "the first redial came after {:?}", dials[1] - lost);
    let waits: Vec<_> = dials.windows(2).skip(1).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.iter().all(|wait| *wait <= REDIAL_CAP + Duration::from_millis(5)), "{waits:?}");
    assert!(waits.len() < 200, "{} dials in a minute", waits.len());
    assert_eq!(links.list()[0].trouble.as_deref(), Some("nobody there"));
    world.raise(A, "c1");
    tokio::time::timeout(REDIAL_CAP * 2, links.until_connected(1)).await.expect("it is found again");
}

#[tokio::test(start_paused = true)]
async fn a_welcome_that_does_not_last_makes_no_redial_quicker() {
    let (world, tasks, discovered) = (World::default(), Tasks::new(), watch::Sender::new(Vec::new()));
    let urls = vec![BaseUrl::parse(A).expect("a URL")];
    let seen = world.clone();
    Links::start(&tasks, urls, discovered.subscribe(), move |link| {
        seen.with(|state| state.dials.entry(A.to_owned()).or_default().push(Instant::now()));
        link.welcomed(&name("c1"));
        async { Ending::Lost("thrown out".to_owned()) }
    });
    sleep(MINUTE).await;
    let dials = world.dials(A).len();
    assert!(dials < 200, "{dials} dials in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_asked_about_again_every_ten_seconds() {
    let (world, tasks, discovered) = (World::default(), Tasks::new(), watch::Sender::new(Vec::new()));
    world.with(|state| state.refusing = Some("the id is taken".to_owned()));
    let links = world.start(&tasks, &[A], &discovered);
    sleep(Duration::from_secs(35)).await;
    assert_eq!(world.dials(A).len(), 4);
    assert_eq!(links.list()[0].trouble.as_deref(), Some("the id is taken"));
}

#[tokio::test(start_paused = true)]
async fn discovered_coordinators_come_and_go_with_the_list() {
    let (world, tasks, discovered) = (World::default(), Tasks::new(), watch::Sender::new(Vec::new()));
    world.raise(A, "c1");
    world.raise(B, "c2");
    let links = world.start(&tasks, &[A], &discovered);
    discovered.send_replace(vec![peer("c1", A), peer("c2", B)]);
    links.until_connected(2).await;
    assert_eq!(shown(&links), [(A.to_owned(), true), (B.to_owned(), true)]);
    discovered.send_replace(vec![peer("c1", A)]);
    sleep(MINUTE).await;
    assert_eq!(links.connected(), 2, "a stream that stands was cut because of a list");
    world.fell(B);
    sleep(MINUTE).await;
    assert_eq!(shown(&links), [(A.to_owned(), true)]);
    let dialled = world.dials(B).len();
    sleep(MINUTE).await;
    assert_eq!(world.dials(B).len(), dialled, "it is still dialled");
    world.raise(B, "c2");
    discovered.send_replace(vec![peer("c1", A), peer("c2", B)]);
    tokio::time::timeout(MINUTE, links.until_connected(2)).await.expect("it is listed again");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_every_link() {
    let (world, tasks, discovered) = (World::default(), Tasks::new(), watch::Sender::new(Vec::new()));
    world.raise(A, "c1");
    let links = world.start(&tasks, &[A, B], &discovered);
    links.until_connected(1).await;
    tasks.finish(Duration::from_secs(1)).await.expect("all of them ended");
    assert_eq!(world.with(|state| state.streams[&name("c1")]), 0);
}

/// No thundering herd: whoever lost one coordinator at one moment comes back to it one after the other.
#[tokio::test(start_paused = true)]
async fn a_crowd_that_lost_its_coordinator_does_not_come_back_as_one() {
    const CROWD: usize = 300;
    const SLICE: Duration = Duration::from_millis(100);
    let (world, tasks, discovered) = (World::default(), Tasks::new(), watch::Sender::new(Vec::new()));
    world.raise(A, "c1");
    let crowd: Vec<Links> = (0..CROWD).map(|_| world.start(&tasks, &[A], &discovered)).collect();
    sleep(MINUTE).await;
    assert!(crowd.iter().all(|links| links.connected() == 1), "not everybody came in");

    // A restart takes a moment: its crowd is back within little more than that, but spread. An outage lasts: then over seconds.
    for (outage, most_at_once) in [(Duration::from_millis(300), CROWD / 2), (MINUTE, CROWD / 10)] {
        world.fell(A);
        sleep(outage).await;
        world.raise(A, "c1");
        let back = Instant::now();
        let earlier = world.dials(A).len();
        sleep(REDIAL_CAP + SLICE).await;
        assert!(crowd.iter().all(|links| links.connected() == 1), "somebody stayed away after {outage:?}");
        let mut slices = HashMap::<u128, usize>::new();
        for dial in &world.dials(A)[earlier..] {
            *slices.entry((*dial - back).as_millis() / SLICE.as_millis()).or_default() += 1;
        }
        let busiest = slices.values().max().expect("they came back");
        assert!(*busiest <= most_at_once, "{busiest} of {CROWD} came within {SLICE:?}, after {outage:?}");
        sleep(MINUTE).await;
    }
}
