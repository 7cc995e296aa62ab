//! A trace of requests for the objects of a cache: popularity after Zipf, sizes that span four powers of ten, popular objects that change
//! with time, and scans through objects that nobody asks for again. Nothing in it is random between two runs: it follows from its seed.

use std::collections::HashMap;

/// What a trace is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Objects that are asked for more than once.
    pub(crate) objects: u64,
    pub(crate) requests: u64,
    /// Zipf's exponent.
    pub(crate) skew: f64,
    /// The share of the requests that are parts of scans.
    pub(crate) scans: f64,
    pub(crate) seed: u64,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) object: u64,
    pub(crate) bytes: u64,
}

/// How many objects one scan reads.
const SCAN: u64 = 2_000;

/// How often an object trades its popularity with another: once for so many requests.
const CHANGE_EVERY: u64 = 100;

/// All requests of a trace.
pub(crate) fn requests(plan: &Plan) -> Vec<Request> {
    let mut random = Random(plan.seed);
    let sums = popularity(plan);
    let mut objects: Vec<u64> = (0..plan.objects).collect();
    // Objects of scans have numbers of their own.
    let (mut next_scanned, mut scan_left) = (plan.objects, 0_u64);
    let begins = plan.scans / (SCAN as f64) / (1.0 - plan.scans);
    let mut requests = Vec::new();
    for number in 0..plan.requests {
        if number % CHANGE_EVERY == 0 {
            let (one, other) = (random.below(plan.objects), random.below(plan.objects));
            objects.swap(one as usize, other as usize);
        }
        if scan_left == 0 && random.unit() < begins {
            scan_left = SCAN;
        }
        let object = if scan_left > 0 && random.unit() < 0.5 {
            scan_left -= 1;
            next_scanned += 1;
            next_scanned
        } else {
            let at = random.unit() * sums[sums.len() - 1];
            objects[sums.partition_point(|sum| *sum < at).min(objects.len() - 1)]
        };
        requests.push(Request { object, bytes: size_of(object, plan.seed) });
    }
    requests
}

/// Running sums of the objects' shares, the most popular first.
fn popularity(plan: &Plan) -> Vec<f64> {
    let shares = (1..=plan.objects).map(|rank| (rank as f64).powf(-plan.skew));
    let mut sum = 0.0;
    shares
        .map(|share| {
            sum += share;
            sum
        })
        .collect()
}

/// From 16 KiB to 1 GiB, small ones more often: the middle one is near 2 MiB.
fn size_of(object: u64, seed: u64) -> u64 {
    let mut random = Random(object.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed);
    // Four of them make a bell.
    let bell = (0..4).map(|_| random.unit()).sum::<f64>() / 4.0;
    (2_f64.powf(14.0 + 16.0 * bell.powf(1.2))) as u64
}

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 on, below 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Asserts that a trace is what its plan says.
pub(crate) fn check(plan: &Plan, trace: &[Request]) {
    let mut times: HashMap<u64, u64> = HashMap::new();
    trace.iter().for_each(|request| *times.entry(request.object).or_default() += 1);
    let scanned = trace.iter().filter(|request| request.object > plan.objects).count() as f64 / trace.len() as f64;
    assert!((scanned - plan.scans).abs() <= plan.scans / 2.0, "scans are {scanned} of all requests");
    assert!(times.iter().all(|(object, times)| *object <= plan.objects || *times == 1), "a scan asks once");
    let most = times.values().max().copied().unwrap_or_default();
    assert!(most * 1_000 > plan.requests, "nothing is popular: {most}");
    assert!(trace.iter().all(|request| (1 << 14..=1 << 30).contains(&request.bytes)));
}
