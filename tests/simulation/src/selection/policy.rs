//! Ways to choose a node. Each gateway has a chooser of its own, and knows of the nodes what they reported and what it did itself.

use ferry_core::{
    node::NodeView,
    object::ObjectPath,
    selection::{Client, Corrections, Heat, Request, Rules, Scheme, Sizes, Table, select},
    time::Tick,
};
use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};

/// What every gateway knows.
pub(super) struct Known {
    /// As reported, in the order of the nodes' numbers.
    pub(super) transfers: Vec<u32>,
    pub(super) table: Table,
    /// The same nodes, as if none had ever carried anything.
    idle: Table,
}

/// How to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Anybody.
    Random,
    /// One after the other.
    RoundRobin,
    /// Who reported the fewest transfers; of several, anybody.
    LeastLoaded,
    /// Of two at random, who reported fewer transfers.
    PowerOfTwo,
    /// Of two at random, who carries fewer transfers at this very moment, which no gateway can know: what reports that are never late would make of two choices.
    Oracle,
    /// Who the key belongs to, whatever it carries.
    Rendezvous,
    /// What ferry does.
    Ferry,
}

impl Policy {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Random,
        Self::RoundRobin,
        Self::LeastLoaded,
        Self::PowerOfTwo,
        Self::Oracle,
        Self::Rendezvous,
        Self::Ferry,
    ];

    /// As it stands in tables and plots.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::RoundRobin => "round robin",
            Self::LeastLoaded => "least loaded",
            Self::PowerOfTwo => "power of two choices",
            Self::Oracle => "two choices, by true load",
            Self::Rendezvous => "plain rendezvous",
            Self::Ferry => "ferry",
        }
    }
}

/// One request as a gateway sees it.
pub(super) struct Question {
    pub(super) object: u32,
    pub(super) size: u64,
    pub(super) client: u64,
    pub(super) now: Tick,
}

/// One gateway.
pub(super) struct Chooser {
    policy: Policy,
    random: Xoshiro256PlusPlus,
    turn: usize,
    corrections: Corrections,
    nothing_sent: Corrections,
    heat: Heat,
    sizes: Sizes,
}

impl Known {
    pub(super) fn of(views: &[NodeView], rules: Rules, now: Tick) -> Self {
        let table = Table::from_views(views, None, now).with_rules(rules);
        Self { transfers: vec![0; views.len()], idle: table.clone(), table }
    }

    /// What some nodes reported.
    pub(super) fn hear(&mut self, reports: &[(usize, NodeView)], now: Tick) {
        for (node, view) in reports {
            self.transfers[*node] = view.load.transfers;
        }
        self.table.apply(reports.iter().map(|(_, view)| (&view.facts.id, Some(view))), now);
    }
}

impl Chooser {
    pub(super) fn new(policy: Policy, known: &Known, number: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(number);
        Self {
            policy,
            turn: random.random_range(0..known.table.len()),
            random,
            corrections: Corrections::for_table(&known.table, None),
            nothing_sent: Corrections::for_table(&known.table, None),
            heat: Heat::for_nodes(known.table.len()),
            sizes: Sizes::default(),
        }
    }

    /// Two at random, if the policy is to know what they carry.
    pub(super) fn pair(&mut self, nodes: usize) -> Option<[usize; 2]> {
        (self.policy == Policy::Oracle).then(|| [(); 2].map(|()| self.random.random_range(0..nodes)))
    }

    /// The number of the node that the client is sent to.
    pub(super) fn choose(&mut self, known: &Known, question: &Question) -> usize {
        let nodes = known.transfers.len();
        match self.policy {
            Policy::Random => self.random.random_range(0..nodes),
            Policy::RoundRobin => {
                self.turn = (self.turn + 1) % nodes;
                self.turn
            }
            Policy::LeastLoaded => {
                let least = known.transfers.iter().min().copied().unwrap_or(0);
                let count = known.transfers.iter().filter(|&&transfers| transfers == least).count();
                let rank = self.random.random_range(0..count.max(1));
                known
                    .transfers
                    .iter()
                    .enumerate()
                    .filter(|(_, transfers)| **transfers == least)
                    .nth(rank)
                    .map_or(0, |(node, _)| node)
            }
            Policy::PowerOfTwo | Policy::Oracle => {
                let (one, other) = (self.random.random_range(0..nodes), self.random.random_range(0..nodes));
                if known.transfers[one] <= known.transfers[other] { one } else { other }
            }
            Policy::Rendezvous => self.select(known, question, false),
            Policy::Ferry => self.select(known, question, true),
        }
    }

    fn select(&self, known: &Known, question: &Question, by_load: bool) -> usize {
        let (prefix, affinity) = (prefix_of(question.size), format!("object-{}", question.object));
        // A gateway does not know how large an object is, but what others below its prefix were like.
        let usual = self.sizes.expected(prefix);
        let key = ObjectPath::from_decoded(&affinity).expect("a plain path");
        let client = Client { hash: question.client, ..Client::default() };
        let cost = known.table.cost(usual, None);
        let spread = if by_load { self.heat.spread(&affinity, usual, &known.table, question.now) } else { 1 };
        let request = Request {
            affinity: &affinity,
            key: &key,
            client,
            scheme: Scheme::Http,
            tried: &[],
            doubted: &[],
            cost,
            bytes: usual,
            spread,
            now: question.now,
        };
        let (table, corrections) =
            if by_load { (&known.table, &self.corrections) } else { (&known.idle, &self.nothing_sent) };
        let chosen = select(table, corrections, &request).primary.expect("all nodes are up");
        if by_load {
            self.corrections.sent(chosen, cost, question.now);
            self.heat.sent(&affinity, usual, question.now);
            self.sizes.learn(prefix, question.size);
        }
        number_of(chosen.id().as_str())
    }
}

/// Where a catalogue has its objects of such a size.
fn prefix_of(size: u64) -> &'static str {
    match size {
        0..4_000_000 => "video/",
        4_000_000..24_000_000 => "packages/",
        _ => "images/",
    }
}

/// Names are as long as each other, so that a table's order is that of the numbers.
pub(super) fn name_of(node: usize) -> String {
    format!("n{node:06}")
}

fn number_of(name: &str) -> usize {
    name[1..].parse().expect("a name that was made here")
}
