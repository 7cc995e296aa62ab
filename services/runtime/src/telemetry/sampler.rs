//! Which requests are traced, decided before anything is built for them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ferry_core::trace::TraceContext;
use tokio::time::Instant;

/// Decides by the parent where there is one, else by a share. Clones decide together.
///
/// It costs a few instructions and takes no lock: it stands on the path of every request.
#[derive(Debug, Clone)]
pub struct Sampler(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    exporting: bool,
    /// How many of 2^64 draws are sampled.
    threshold: u64,
    draws: AtomicU64,
    started: Instant,
    /// The second since the start (upper bits) and how many of its [`FLOOR`] requests were taken (lower eight).
    window: AtomicU64,
}

/// So many requests a second are traced whatever the share: on a quiet system, where whoever fetches one file wants to see its
/// trace, that is all of them; on a busy one it is nothing. Jaeger calls this the guaranteed throughput of a sampler.
const FLOOR: u64 = 10;

impl Sampler {
    /// Samples `share` (0 to 1) of the requests that have no parent, and ten a second at least; with a share of 0, none.
    #[must_use]
    pub fn new(share: f64) -> Self {
        // A conversion to an integer saturates: 1.0 means all of them but one in 2^64.
        let threshold = (share.clamp(0.0, 1.0) * u64::MAX as f64) as u64;
        Self(Arc::new(Inner { exporting: true, threshold, ..Inner::silent() }))
    }

    /// Samples nothing: there is nowhere to send it. What a parent decided goes on in the context that is handed on.
    #[must_use]
    pub fn off() -> Self {
        Self(Arc::new(Inner::silent()))
    }

    /// Whether to make a span for a request with this parent.
    #[must_use]
    pub fn decide(&self, parent: Option<&TraceContext>) -> bool {
        self.0.exporting
            && match parent {
                Some(parent) => parent.sampled,
                None => self.0.threshold != 0 && (self.0.draw() || self.0.within_floor()),
            }
    }
}

impl Inner {
    fn silent() -> Self {
        Self {
            exporting: false,
            threshold: 0,
            draws: AtomicU64::new(0),
            started: Instant::now(),
            window: AtomicU64::new(0),
        }
    }

    fn draw(&self) -> bool {
        mix(self.draws.fetch_add(1, Ordering::Relaxed)) <= self.threshold
    }

    fn within_floor(&self) -> bool {
        let second = self.started.elapsed().as_secs();
        let take = |window: u64| match (window >> 8 == second, window & 0xff) {
            (true, FLOOR..) => None,
            (true, _) => Some(window + 1),
            (false, _) => Some(second << 8 | 1),
        };
        self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// SplitMix64's output function (Steele, Lea, Flood 2014): consecutive numbers become evenly spread ones, which is all that a
/// share needs; nobody gains by guessing it.
const fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled_of_100_000(share: f64) -> usize {
        let sampler = Sampler::new(share);
        (0..100_000).filter(|_| sampler.decide(None)).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_system_is_traced_whole() {
        let sampler = Sampler::new(0.000_001);
        for second in 0..3 {
            let sampled = (0..50).filter(|_| sampler.decide(None)).count();
            assert_eq!(sampled, 10, "in second {second}");
            tokio::time::advance(std::time::Duration::from_secs(1)).await;
        }
    }

    #[test]
    fn the_share_is_kept() {
        assert_eq!(sampled_of_100_000(0.0), 0);
        assert_eq!(sampled_of_100_000(1.0), 100_000);
        let one_percent = sampled_of_100_000(0.01);
        assert!((900..1100).contains(&one_percent), "{one_percent}");
    }

    #[test]
    fn a_parent_decides_for_its_children() {
        let parent = |sampled| TraceContext { trace_id: [1; 16], span_id: [1; 8], sampled };
        assert!(Sampler::new(0.0).decide(Some(&parent(true))));
        assert!(!Sampler::new(1.0).decide(Some(&parent(false))));
    }

    #[test]
    fn without_a_collector_nothing_is_sampled() {
        let parent = TraceContext { trace_id: [1; 16], span_id: [1; 8], sampled: true };
        assert!(!Sampler::off().decide(Some(&parent)));
        assert!(!Sampler::off().decide(None));
    }
}
