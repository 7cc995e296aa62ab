//! What a cache keeps: S3-FIFO against LRU, over the same requests. `cargo bench -p ferry-core --bench eviction`, or `./tests/bench/run eviction`; a
//! computation of some seconds, which no other load on the machine changes.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it saw")]

mod trace;

use std::collections::{BTreeMap, HashMap};

use ferry_core::eviction::{Arrival, S3Fifo, Token};

use trace::{Plan, Request, check, requests};

/// The cache's share of all that is asked for more than once.
const SHARES: [f64; 3] = [0.02, 0.05, 0.2];

/// The share of scans among the requests.
const SCANS: [(&str, f64); 2] = [("no scans", 0.0), ("scans", 0.3)];

const SEEDS: [u64; 3] = [1, 2, 3];

fn main() {
    println!("Hits in percent of all, of three traces the mean: S3-FIFO, LRU, and the one over the other.\n");
    println!("| trace    | room | requests          | ratio | bytes             | ratio |");
    println!("|----------|------|-------------------|-------|-------------------|-------|");
    for (kind, scans) in SCANS {
        let plans = SEEDS.map(|seed| Plan { objects: 20_000, requests: 400_000, skew: 0.9, scans, seed });
        let traces = plans.map(|plan| {
            let trace = requests(&plan);
            check(&plan, &trace);
            trace
        });
        for share in SHARES {
            let ours = traces.each_ref().map(|trace| Hits::of(trace, share, Queues::default()));
            let lru = traces.each_ref().map(|trace| Hits::of(trace, share, Lru::default()));
            let [requests, bytes] = [Hits::by_requests, Hits::by_bytes].map(|figure| {
                let mean = |hits: &[Hits]| 100.0 * hits.iter().map(figure).sum::<f64>() / hits.len() as f64;
                let (ours, lru) = (mean(&ours), mean(&lru));
                format!("{ours:>5.1} % / {lru:>5.1} % |  {:.2} ", ours / lru)
            });
            println!("| {kind:<8} | {:>2.0} % | {requests} | {bytes} |", share * 100.0);
        }
    }
}

/// How often what was asked for was there.
#[derive(Debug, Default, Clone, Copy)]
struct Hits {
    requests: (u64, u64),
    bytes: (u64, u64),
}

/// A cache that takes in whatever it does not have.
trait Cache {
    fn bytes(&self) -> u64;
    /// Whether it is here; it was asked for.
    fn hit(&mut self, object: u64) -> bool;
    fn insert(&mut self, request: Request);
    fn evict(&mut self);
}

impl Hits {
    fn of(trace: &[Request], share: f64, mut cache: impl Cache) -> Self {
        let mut objects: HashMap<u64, (u64, u64)> = HashMap::new();
        for request in trace {
            objects.entry(request.object).or_insert((0, request.bytes)).0 += 1;
        }
        let asked_again = objects.values().filter(|(times, _)| *times > 1).map(|(_, bytes)| bytes);
        let most = (asked_again.sum::<u64>() as f64 * share) as u64;
        let mut hits = Self::default();
        for (number, request) in trace.iter().enumerate() {
            let hit = cache.hit(request.object);
            if !hit && request.bytes <= most {
                while cache.bytes() + request.bytes > most {
                    cache.evict();
                }
                cache.insert(*request);
            }
            // An empty cache says nothing about its policy.
            if number > trace.len() / 4 {
                hits.count(hit, request.bytes);
            }
        }
        hits
    }

    fn count(&mut self, hit: bool, bytes: u64) {
        self.requests = (self.requests.0 + u64::from(hit), self.requests.1 + 1);
        self.bytes = (self.bytes.0 + if hit { bytes } else { 0 }, self.bytes.1 + bytes);
    }

    fn by_requests(&self) -> f64 {
        self.requests.0 as f64 / self.requests.1 as f64
    }

    fn by_bytes(&self) -> f64 {
        self.bytes.0 as f64 / self.bytes.1 as f64
    }
}

#[derive(Default)]
struct Queues {
    queues: S3Fifo<u64>,
    tokens: HashMap<u64, Token>,
}

impl Cache for Queues {
    fn bytes(&self) -> u64 {
        self.queues.bytes()
    }

    fn hit(&mut self, object: u64) -> bool {
        let token = self.tokens.get(&object).copied();
        token.inspect(|token| self.queues.hit(*token)).is_some()
    }

    fn insert(&mut self, request: Request) {
        let Request { object, bytes } = request;
        let arrival = Arrival { what: object, fingerprint: object, bytes, asked: 0, pinned: false };
        self.tokens.insert(object, self.queues.insert(arrival));
    }

    fn evict(&mut self) {
        if let Some(object) = self.queues.evict(|_| true) {
            self.tokens.remove(&object);
        }
    }
}

/// Least recently used.
#[derive(Default)]
struct Lru {
    /// When each was last asked for, and its bytes.
    objects: HashMap<u64, (u64, u64)>,
    by_use: BTreeMap<u64, u64>,
    clock: u64,
    bytes: u64,
}

impl Cache for Lru {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn hit(&mut self, object: u64) -> bool {
        self.clock += 1;
        let Some((used, _)) = self.objects.get_mut(&object) else { return false };
        self.by_use.remove(used);
        *used = self.clock;
        self.by_use.insert(self.clock, object);
        true
    }

    fn insert(&mut self, request: Request) {
        self.objects.insert(request.object, (self.clock, request.bytes));
        self.by_use.insert(self.clock, request.object);
        self.bytes += request.bytes;
    }

    fn evict(&mut self) {
        if let Some((_, object)) = self.by_use.pop_first() {
            self.bytes -= self.objects.remove(&object).map_or(0, |(_, bytes)| bytes);
        }
    }
}
