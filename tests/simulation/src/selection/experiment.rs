//! One policy, one trace, and what came of it.

use std::{
    collections::{BTreeSet, VecDeque},
    num::NonZeroU64,
    sync::Arc,
    time::Duration,
};

use ferry_core::{
    id::Incarnation,
    load::Load,
    node::{Freshness, Intent, NodeFacts, NodeState, NodeView},
    selection::Rules,
    time::Tick,
};

use super::{
    cache::Cache,
    policy::{Chooser, Known, Policy, Question, name_of},
    server::Server,
    trace::{Catalogue, Crowd, Trace},
};

/// What a node's link carries, in bytes per second: a gigabit.
pub(super) const CAPACITY: f64 = 125e6;
/// The load rises for so many seconds.
const RISING: f64 = 20.0;
/// The nodes report in so many turns a second.
const TURNS: usize = 10;
/// A report is heard so many turns later: it is half a second to one and a half old when it counts, 1 s on average.
const TURNS_ON_THE_WAY: usize = 5;

/// A cluster and what is asked of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// All is drawn from it.
    pub seed: u64,
    /// How many nodes there are.
    pub nodes: usize,
    /// How many gateways.
    pub gateways: usize,
    /// How many files there are.
    pub objects: u32,
    /// Zipf's exponent.
    pub exponent: f64,
    /// The share of all links together that the requests need.
    pub utilisation: f64,
    /// What a node's cache holds, in bytes.
    pub cache: u64,
    /// What a client takes at most, in bytes per second.
    pub client_rate: f64,
    /// Seconds before anything is measured.
    pub warm_up: f64,
    /// Seconds in all.
    pub length: f64,
    /// A node that is slower than it says, and since when.
    pub slow: Option<Slow>,
    /// Between what ferry weighs.
    pub rules: Rules,
    /// A crowd for the last object: from when, and the share of all links together that it needs.
    pub crowd: Option<(f64, f64)>,
}

/// A node that carries less than its link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    /// Which.
    pub node: usize,
    /// What is left of its link.
    pub share: f64,
    /// Since when, in seconds.
    pub from: f64,
}

impl Setting {
    /// The one that docs/selection.md speaks of.
    #[must_use]
    pub fn large() -> Self {
        Self {
            seed: 1,
            nodes: 1_000,
            gateways: 20,
            objects: 100_000,
            exponent: 0.9,
            utilisation: 0.5,
            cache: 512_000_000,
            client_rate: 2.5e6,
            warm_up: 40.0,
            length: 80.0,
            slow: None,
            rules: Rules::default(),
            crowd: None,
        }
    }

    /// A hundredth of the load, and somebody who wants the last object twice a second.
    #[must_use]
    pub fn idle() -> Self {
        Self { utilisation: 0.005, warm_up: 0.0, length: 60.0, crowd: Some((0.0, 1e-4)), ..Self::large() }
    }

    /// The same in small, for tests: what the figures of a few nodes tell is less sure.
    #[must_use]
    pub fn small() -> Self {
        Self { nodes: 100, gateways: 4, objects: 10_000, ..Self::large() }
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// For each second: transfers under way at the busiest node, over the mean.
    pub imbalance: Vec<f64>,
    /// For each second: new transfers of the slow node, over the mean of all nodes.
    pub slow_share: Vec<f64>,
    /// The share of requests, after the warm-up, that found the object not kept.
    pub fills: f64,
    /// How many times as long a download took as the client alone would have made it take: the median, and 99 of 100.
    pub slowness: (f64, f64),
    /// For each second: how many nodes served the last object so far.
    pub spread: Vec<f64>,
    warm_up: f64,
}

impl Outcome {
    /// Maximum over mean load: the mean over the seconds after the warm-up.
    #[must_use]
    pub fn load(&self) -> f64 {
        let measured = &self.imbalance[(self.warm_up as usize).min(self.imbalance.len() - 1)..];
        measured.iter().sum::<f64>() / measured.len() as f64
    }
}

/// Plays the trace.
#[must_use]
pub fn run(setting: &Setting, policy: Policy) -> Outcome {
    let catalogue = Catalogue::new(setting.objects, setting.exponent, setting.seed);
    let per_second = setting.utilisation * CAPACITY * setting.nodes as f64 / catalogue.mean_size();
    let last = setting.objects - 1;
    let crowd = setting.crowd.map(|(from, share)| Crowd {
        object: last,
        from,
        per_second: share * CAPACITY * setting.nodes as f64 / catalogue.size(last) as f64,
    });
    let mut fleet = Fleet::new(setting, policy);
    for asked in Trace::new(&catalogue, per_second, setting.gateways, crowd, setting.seed)
        .take_while(|asked| asked.at < setting.length)
    {
        fleet.go_on(asked.at);
        // A cluster is not switched on under its full load.
        if asked.at < RISING && (asked.client % 1_000) as f64 >= 1_000.0 * asked.at / RISING {
            continue;
        }
        let size = catalogue.size(asked.object);
        let question = Question { object: asked.object, size, client: asked.client, now: tick(asked.at) };
        let node = fleet.choose(asked.gateway, &question, asked.at);
        fleet.begin(node, asked.object, size, asked.at);
        if asked.object == last {
            fleet.served_last.insert(node);
        }
    }
    fleet.outcome()
}

struct Fleet<'s> {
    setting: &'s Setting,
    servers: Vec<Server>,
    views: Vec<NodeView>,
    known: Known,
    gateways: Vec<Chooser>,
    /// How many turns of reports were taken.
    turn: usize,
    on_the_way: VecDeque<Vec<(usize, NodeView)>>,
    began: Vec<u32>,
    served_last: BTreeSet<usize>,
    asked: u64,
    filled: u64,
    slowness: Vec<f32>,
    outcome: Outcome,
}

impl<'s> Fleet<'s> {
    fn new(setting: &'s Setting, policy: Policy) -> Self {
        let views: Vec<_> = (0..setting.nodes).map(view).collect();
        let known = Known::of(&views, setting.rules, tick(0.0));
        let chooser = |number: usize| Chooser::new(policy, &known, setting.seed + number as u64);
        Self {
            servers: (0..setting.nodes)
                .map(|_| Server::new(CAPACITY, setting.client_rate, Cache::with_room(setting.cache)))
                .collect(),
            gateways: (0..setting.gateways).map(chooser).collect(),
            views,
            known,
            turn: 0,
            on_the_way: VecDeque::new(),
            began: vec![0; setting.nodes],
            served_last: BTreeSet::new(),
            asked: 0,
            filled: 0,
            slowness: Vec::new(),
            outcome: Outcome { warm_up: setting.warm_up, ..Outcome::default() },
            setting,
        }
    }

    fn choose(&mut self, gateway: usize, question: &Question, now: f64) -> usize {
        let Some(pair) = self.gateways[gateway].pair(self.servers.len()) else {
            return self.gateways[gateway].choose(&self.known, question);
        };
        for node in pair {
            self.advance(node, now);
        }
        let [one, other] = pair.map(|node| self.servers[node].transfers());
        if one <= other { pair[0] } else { pair[1] }
    }

    /// Has the nodes report up to `now`.
    fn go_on(&mut self, now: f64) {
        loop {
            let at = self.turn as f64 / TURNS as f64;
            if at > now {
                break;
            }
            if let Some(slow) = self.setting.slow.filter(|slow| (slow.from - at).abs() < 0.5 / TURNS as f64) {
                self.advance(slow.node, at);
                self.servers[slow.node].set_capacity(CAPACITY * slow.share);
            }
            let reporting = (self.turn % TURNS..self.setting.nodes).step_by(TURNS);
            let reports = reporting.map(|node| (node, self.report(node, at))).collect();
            self.on_the_way.push_back(reports);
            if self.on_the_way.len() > TURNS_ON_THE_WAY
                && let Some(reports) = self.on_the_way.pop_front()
            {
                self.known.hear(&reports, tick(at));
            }
            if self.turn.is_multiple_of(TURNS) && self.turn > 0 {
                self.sample(at);
            }
            self.turn += 1;
        }
    }

    fn advance(&mut self, node: usize, now: f64) {
        let measured = now >= self.setting.warm_up;
        let slowness = &mut self.slowness;
        self.servers[node].advance(now, |times| {
            if measured {
                slowness.push(times as f32);
            }
        });
    }

    fn report(&mut self, node: usize, at: f64) -> NodeView {
        self.advance(node, at);
        let view = &mut self.views[node];
        view.freshness.beat += 1;
        view.load.bytes_per_second = self.servers[node].take_sent() as u64;
        view.load.transfers = self.servers[node].transfers() as u32;
        view.clone()
    }

    /// Once a second.
    fn sample(&mut self, at: f64) {
        for node in 0..self.servers.len() {
            self.advance(node, at);
        }
        let transfers = || self.servers.iter().map(Server::transfers);
        let mean = transfers().sum::<usize>() as f64 / self.servers.len() as f64;
        self.outcome.spread.push(self.served_last.len() as f64);
        self.outcome.imbalance.push(transfers().max().unwrap_or(0) as f64 / mean);
        if let Some(slow) = self.setting.slow {
            let mean = f64::from(self.began.iter().sum::<u32>()) / self.servers.len() as f64;
            self.outcome.slow_share.push(f64::from(self.began[slow.node]) / mean);
        }
        self.began.fill(0);
    }

    fn begin(&mut self, node: usize, object: u32, size: u64, at: f64) {
        self.advance(node, at);
        let kept = self.servers[node].cache.ask(object, size);
        self.servers[node].begin(size);
        self.began[node] += 1;
        if at >= self.setting.warm_up {
            self.asked += 1;
            self.filled += u64::from(!kept);
        }
    }
}

impl Fleet<'_> {
    fn outcome(mut self) -> Outcome {
        self.slowness.sort_by(f32::total_cmp);
        let quantile = |share: f64| {
            let rank = (self.slowness.len() as f64 * share) as usize;
            self.slowness.get(rank).map_or(0.0, |times| f64::from(*times))
        };
        Outcome {
            fills: self.filled as f64 / self.asked.max(1) as f64,
            slowness: (quantile(0.5), quantile(0.99)),
            ..self.outcome
        }
    }
}

fn tick(seconds: f64) -> Tick {
    Tick::from_origin(Duration::from_secs(1_000) + Duration::from_secs_f64(seconds))
}

fn view(number: usize) -> NodeView {
    let name = name_of(number);
    let facts = NodeFacts {
        address: format!("{name}.example:8001").parse().ok(),
        capacity: NonZeroU64::new(CAPACITY as u64),
        ..NodeFacts::named(name.parse().expect("a good name"))
    };
    NodeView {
        facts: Arc::new(facts),
        state: NodeState::Up,
        freshness: Freshness { incarnation: Incarnation(1), beat: 0 },
        load: Load::default(),
        heard_ago: Duration::ZERO,
        intent: Intent::default(),
        in_doubt: false,
    }
}
