//! Everybody, and what happens next: one queue, one source of chance, one thread.

mod apply;
mod facts;
mod transport;

use std::{collections::BTreeSet, time::Duration};

use ferry_core::{id::Incarnation, membership::Probe, time::Tick};
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus, seq::IndexedRandom as _};

use crate::{
    Settings,
    coordinator::Coordinator,
    digest::Digest,
    faults::{CALM, Fault, Planner, TROUBLE},
    gateway::Gateway,
    history::History,
    message::{Act, Ask, Context, Input, Message, StreamId, Told},
    network::{Network, latency},
    node::Node,
    oracle::{Oracle, Violation},
    party::{Party, Sizes, number},
    queue::Queue,
    store::Store,
    streams::{Side, Streams},
};

/// How often the oracle looks.
const CHECK_EVERY: Duration = Duration::from_millis(100);
/// How often the store looks at its leases.
const LEASES_EVERY: Duration = Duration::from_secs(1);
/// What a lost question to the store costs before it is given up.
const STORE_PATIENCE: Duration = Duration::from_secs(1);
/// When the first faults may come.
const QUIET_START: Duration = Duration::from_secs(20);
/// 2023-11-14, where every wall clock begins.
const WALL_MILLIS: i64 = 1_700_000_000_000;
/// What a probe waits for the connection, and then for the answer.
const PROBE_PATIENCE: Duration = Duration::from_millis(700);

/// Something that is going to happen.
#[derive(Debug)]
enum Event {
    Input {
        to: Party,
        life: u64,
        input: Input,
    },
    Arrive {
        stream: StreamId,
        to: Side,
        message: Message,
    },
    Retry {
        stream: StreamId,
        to: Side,
    },
    /// An end looks whether the other one is there.
    Ping {
        stream: StreamId,
        side: Side,
    },
    Ask {
        from: usize,
        life: u64,
        ask: Ask,
    },
    Leases,
    Fault(Fault),
    Episode,
    Check,
}

/// One process of ferry's, alive or dead.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) life: u64,
    pub(crate) running: bool,
    pub(crate) hung: bool,
    /// When it last went on after it was stopped.
    pub(crate) resumed: Option<Tick>,
    /// Where its monotonic clock began.
    skew: Duration,
    /// How far its wall clock is off.
    wall_millis: i64,
    /// Whom it is told to dial.
    configured: BTreeSet<usize>,
    /// What waits for it while it hangs.
    deferred: Vec<Event>,
}

#[derive(Debug)]
pub(crate) struct World {
    settings: Settings,
    pub(crate) sizes: Sizes,
    pub(crate) now: Tick,
    queue: Queue<Event>,
    random: Xoshiro256PlusPlus,
    planner: Planner,
    pub(crate) network: Network,
    streams: Streams,
    next_stream: u64,
    pub(crate) processes: Vec<Process>,
    pub(crate) coordinators: Vec<Coordinator>,
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) nodes: Vec<Node>,
    store: Store,
    oracle: Oracle,
    history: History,
    pub(crate) digest: Digest,
    pub(crate) events: u64,
    pub(crate) faults: u64,
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        let sizes = settings.sizes;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(settings.seed);
        let coordinators: Vec<usize> = (0..sizes.coordinators).collect();
        let process = |random: &mut Xoshiro256PlusPlus| Process {
            life: 0,
            running: false,
            hung: false,
            resumed: None,
            skew: Duration::from_millis(random.random_range(0..1 << 40)),
            wall_millis: 0,
            configured: coordinators.sample(random, 2).copied().collect(),
            deferred: Vec::new(),
        };
        let processes = (0..sizes.total() - 1).map(|_| process(&mut random)).collect();
        let mut world = Self {
            settings,
            sizes,
            now: Tick::default(),
            queue: Queue::new(),
            random,
            planner: Planner::new(sizes),
            network: Network::new(sizes),
            streams: Streams::default(),
            next_stream: 0,
            processes,
            coordinators: Vec::new(),
            gateways: Vec::new(),
            nodes: Vec::new(),
            store: Store::default(),
            oracle: Oracle::new(sizes),
            history: History::default(),
            digest: Digest::default(),
            events: 0,
            faults: 0,
        };
        world.begin();
        world
    }

    /// Runs until the end of its time, or until something is as it must not be.
    pub(crate) fn run(mut self) -> (Self, Option<Violation>) {
        let end = Tick::from_origin(self.settings.length);
        while let Some((at, event)) = self.queue.take(end) {
            self.now = at;
            if let Err(violation) = self.dispatch(event) {
                return (self, Some(violation));
            }
        }
        (self, None)
    }

    pub(crate) const fn oracle(&self) -> &Oracle {
        &self.oracle
    }

    pub(crate) const fn history(&self) -> &History {
        &self.history
    }

    pub(crate) fn process(&self, party: Party) -> &Process {
        &self.processes[self.sizes.place(party)]
    }

    fn process_mut(&mut self, party: Party) -> &mut Process {
        &mut self.processes[self.sizes.place(party)]
    }

    /// A moment of the world by the clock of one process.
    pub(crate) fn local(&self, party: Party) -> Tick {
        self.now + self.process(party).skew
    }

    fn begin(&mut self) {
        for index in 0..self.sizes.coordinators {
            self.coordinators.push(Coordinator::new(index, Incarnation(0), self.now));
        }
        for index in 0..self.sizes.gateways {
            let configured = self.process(Party::Gateway(index)).configured.clone();
            self.gateways.push(Gateway::new(ferry_core::merge::Merge::default(), configured, self.now));
        }
        for index in 0..self.sizes.nodes {
            let configured = self.process(Party::Node(index)).configured.clone();
            self.nodes.push(Node::new(index, 0, Incarnation(0), configured));
        }
        for party in self.sizes.processes() {
            let at = self.now + Duration::from_millis(self.random.random_range(0..2000));
            self.queue.put(at, Event::Fault(Fault::Restart(party)));
        }
        self.queue.put(self.now + LEASES_EVERY, Event::Leases);
        self.queue.put(self.now + CHECK_EVERY, Event::Check);
        self.queue.put(self.now + QUIET_START, Event::Episode);
    }

    fn dispatch(&mut self, event: Event) -> Result<(), Violation> {
        self.events += 1;
        match event {
            Event::Input { to, life, input } => self.input(to, life, input),
            Event::Arrive { stream, to, message } => self.arrive(stream, to, message),
            Event::Retry { stream, to } => self.retry(stream, to),
            Event::Ping { stream, side } => self.ping(stream, side),
            Event::Ask { from, life, ask } => self.ask(from, life, ask),
            Event::Leases => {
                if let Some(news) = self.store.expire(self.now) {
                    self.tell_watches(&news);
                }
                self.queue.put(self.now + LEASES_EVERY, Event::Leases);
            }
            Event::Fault(fault) => {
                self.faults += 1;
                self.apply(fault);
            }
            Event::Episode => {
                for (at, fault) in self.planner.episode(&mut self.random, self.now) {
                    self.queue.put(at, Event::Fault(fault));
                }
                self.oracle.trouble();
                self.queue.put(self.now + TROUBLE + CALM, Event::Episode);
            }
            Event::Check => {
                self.queue.put(self.now + CHECK_EVERY, Event::Check);
                let mut oracle = std::mem::replace(&mut self.oracle, Oracle::new(Sizes { nodes: 0, ..self.sizes }));
                let verdict = oracle.look(self);
                self.oracle = oracle;
                return verdict;
            }
        }
        Ok(())
    }

    /// Gives an actor what is for it: now, later if it hangs, never if that life of it is over.
    fn input(&mut self, to: Party, life: u64, input: Input) {
        let process = self.process_mut(to);
        if !process.running || process.life != life {
            return;
        }
        if process.hung {
            process.deferred.push(Event::Input { to, life, input });
            return;
        }
        self.digest.add(&[self.now.since_origin().as_nanos() as u64, self.sizes.place(to) as u64]);
        let now = self.local(to);
        let mut context = Context { now, random: &mut self.random, streams: &mut self.next_stream, acts: Vec::new() };
        match to {
            Party::Coordinator(index) => self.coordinators[index].take(&mut context, input),
            Party::Gateway(index) => self.gateways[index].take(&mut context, input),
            Party::Node(index) => self.nodes[index].take(&mut context, input),
            Party::Store => unreachable!("the store is no process of ferry's"),
        }
        let acts = context.acts;
        for act in acts {
            self.perform(to, act);
        }
    }

    fn perform(&mut self, who: Party, act: Act) {
        let life = self.process(who).life;
        match act {
            Act::Dial { stream, coordinator, opening } => self.dial(who, stream, coordinator, opening),
            Act::Send { stream, message } => self.send(stream, Streams::side_of(who), message),
            Act::Close(stream) => self.close(stream, Streams::side_of(who)),
            Act::After(wait, timer) => self.later(wait, who, life, Input::Timer(timer)),
            Act::Probe { id, incarnation } => {
                let (probe, takes) = self.look_at(who, Party::Node(number(id.as_str())));
                self.later(takes, who, life, Input::Probed { id, incarnation, probe });
            }
            Act::Ask(ask) => {
                let Party::Coordinator(from) = who else { return };
                let at = self.now + latency(&mut self.random);
                self.queue.put(at, Event::Ask { from, life, ask });
            }
            Act::Exit => self.crash(who),
            Act::Note(what) => self.digest.add(&[what]),
        }
    }

    fn later(&mut self, wait: Duration, to: Party, life: u64, input: Input) {
        self.queue.put(self.now + wait, Event::Input { to, life, input });
    }

    /// What a probe from there would find, and how long it takes.
    fn look_at(&mut self, from: Party, node: Party) -> (Probe, Duration) {
        let trip = latency(&mut self.random) + latency(&mut self.random);
        let process = self.process(node);
        if !self.network.answers(from, node) {
            (Probe::Unreached, PROBE_PATIENCE)
        } else if !process.running {
            (Probe::Unwell, trip)
        } else if process.hung {
            (Probe::Unwell, trip + PROBE_PATIENCE)
        } else {
            (Probe::Well, trip * 2)
        }
    }

    /// A question comes to the store.
    fn ask(&mut self, from: usize, life: u64, ask: Ask) {
        let who = Party::Coordinator(from);
        if self.store.away || !self.network.answers(who, Party::Store) {
            let answer = match ask {
                Ask::Read => Some(Told::OutOfSight),
                Ask::Create { stream, .. } => Some(Told::NotCreated { stream }),
                Ask::Save { .. } | Ask::Hold => None,
            };
            if let Some(answer) = answer {
                self.later(STORE_PATIENCE, who, life, Input::Store(answer));
            }
            return;
        }
        let outcome = self.store.answer(self.now, from, life, ask);
        if let Some(news) = outcome.news {
            self.tell_watches(&news);
        }
        if let Some(answer) = outcome.answer {
            self.tell(from, life, answer);
        }
    }

    /// Tells everybody who watches; a watch that cannot be told is over.
    fn tell_watches(&mut self, news: &Told) {
        for (coordinator, (life, _)) in self.store.watches.clone() {
            let who = Party::Coordinator(coordinator);
            if self.network.answers(who, Party::Store) {
                self.tell(coordinator, life, news.clone());
            } else {
                self.store.watches.remove(&coordinator);
                self.later(STORE_PATIENCE, who, life, Input::Store(Told::OutOfSight));
            }
        }
    }

    fn tell(&mut self, coordinator: usize, life: u64, told: Told) {
        let mut at = self.now + latency(&mut self.random);
        if let Some((_, arrives)) = self.store.watches.get_mut(&coordinator) {
            at = at.max(*arrives);
            *arrives = at;
        }
        self.queue.put(at, Event::Input { to: Party::Coordinator(coordinator), life, input: Input::Store(told) });
    }

    fn wall_millis(&self, party: Party) -> u64 {
        let since = self.now.since_origin().as_millis() as i64;
        (WALL_MILLIS + since + self.process(party).wall_millis) as u64
    }

    /// Drawn from what is left of the seed, so that two runs that drew differently end differently.
    pub(crate) fn last_draw(&mut self) -> u64 {
        self.random.next_u64()
    }
}
