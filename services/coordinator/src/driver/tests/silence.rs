//! P5 for half a large cluster: whether so many silent nodes are looked at in time. The membership is the real one, and time and probes are played.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use ferry_core::{
    id::{Incarnation, NodeId},
    load::Load,
    membership::{Effect, Event, Membership, Probe, Record, Registration, SecretDigest, SessionId, Timing},
    node::{Intent, NodeFacts, NodeState},
    time::{Tick, UnixMillis},
};

use ferry_runtime::probe::MOST_AT_ONCE;

const NODES: u64 = 10_000;
/// The first of them whose cables are cut.
const GONE: u64 = NODES / 2;
const STEP: Duration = Duration::from_millis(10);
const CUT_AT: Tick = Tick::from_origin(Duration::from_secs(10));
const BOUND: Duration = Duration::from_secs(5);
/// As `runtime::probe` has it: a connection that nobody takes, and an answer over loopback.
const UNREACHED_TAKES: Duration = Duration::from_millis(700);
const WELL_TAKES: Duration = Duration::from_millis(10);

/// A coordinator, and what it is doing about its nodes.
struct Played {
    membership: Membership,
    now: Tick,
    waiting: VecDeque<(NodeId, Incarnation)>,
    under_way: BTreeMap<Tick, Vec<(NodeId, Incarnation, Probe)>>,
    busy: usize,
}

fn id(number: u64) -> NodeId {
    format!("n{number}").parse().expect("a name")
}

fn is_gone(id: &NodeId, now: Tick) -> bool {
    now >= CUT_AT && id.as_str()[1..].parse::<u64>().expect("a number") < GONE
}

impl Played {
    fn new() -> Self {
        let now = Tick::default();
        let membership = Membership::new(Timing::default(), now);
        let mut played = Self { membership, now, waiting: VecDeque::new(), under_way: BTreeMap::new(), busy: 0 };
        for number in 0..NODES {
            let facts = Arc::new(NodeFacts {
                address: Some("192.0.2.1:8001".parse().expect("an address")),
                ..NodeFacts::named(id(number))
            });
            let secret = SecretDigest([7; 32]);
            let intent = Intent { revision: number + 1, ..Intent::default() };
            played.step(Event::Record(Record { facts: Arc::clone(&facts), secret, first_seen: UnixMillis(0), intent }));
            let registration = Registration { facts, secret, incarnation: Incarnation(1), draining: false };
            played.step(Event::Attend { session: SessionId(number), registration: Box::new(registration) });
        }
        played
    }

    fn step(&mut self, event: Event) {
        for effect in self.membership.step(self.now, event) {
            if let Effect::Probe { id, incarnation } = effect {
                self.waiting.push_back((id, incarnation));
            }
        }
    }

    /// Lets that much time pass: whoever is there beats once a second, and probes are made, so many at a time.
    fn pass(&mut self, until: Tick, at_once: usize) {
        while self.now < until {
            self.now = self.now + STEP;
            let slots = 1000 / STEP.as_millis() as u64;
            let tick = self.now.since_origin().as_millis() as u64 / STEP.as_millis() as u64;
            for number in (tick % slots..NODES).step_by(slots as usize) {
                if !is_gone(&id(number), self.now) {
                    let (session, sequence) = (SessionId(number), tick);
                    self.step(Event::Beat { session, sequence, load: Load::default(), draining: false });
                }
            }
            self.step(Event::TimePassed);
            let still = self.under_way.split_off(&(self.now + Duration::from_nanos(1)));
            for (id, incarnation, probe) in std::mem::replace(&mut self.under_way, still).into_values().flatten() {
                self.busy -= 1;
                self.step(Event::Probed { id, incarnation, probe });
            }
            while self.busy < at_once
                && let Some((id, incarnation)) = self.waiting.pop_front()
            {
                let gone = is_gone(&id, self.now);
                let (probe, takes) = if gone { (Probe::Unreached, UNREACHED_TAKES) } else { (Probe::Well, WELL_TAKES) };
                self.busy += 1;
                self.under_way.entry(self.now + takes).or_default().push((id, incarnation, probe));
            }
        }
    }

    /// How many of those that are gone a client could still be sent to.
    fn selectable_dead(&self) -> usize {
        let views = self.membership.views(self.now);
        views.filter(|view| is_gone(&view.facts.id, self.now) && view.state.selectable()).count()
    }

    fn living(&self) -> usize {
        self.membership.census().of(NodeState::Up)
    }
}

#[test]
fn half_of_ten_thousand_nodes_that_vanish_at_once_are_down_within_the_bound() {
    let mut played = Played::new();
    played.pass(CUT_AT, MOST_AT_ONCE);
    assert_eq!(played.living(), NODES as usize);
    played.pass(CUT_AT + BOUND, MOST_AT_ONCE);
    assert_eq!(played.selectable_dead(), 0, "some get clients {BOUND:?} later");
    assert_eq!(played.living(), (NODES - GONE) as usize, "somebody else was taken for dead");
}
