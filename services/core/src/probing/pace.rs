//! When a node is looked at: often enough to see in time that it is gone, and never all nodes together.

use std::time::Duration;

use twox_hash::XxHash3_64;

use super::{
    Mode,
    seen::{Reason, Seen},
};
use crate::{id::NodeId, time::Tick};

/// Between two probes of a node that is in doubt.
const DOUBT_EVERY: Duration = Duration::from_secs(2);

/// Between two probes of each node that gets clients when no coordinator is live: with the second look and the longest probes a hang is seen
/// within 4.2 s, and a crash within 1.4 s.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Between two probes of one that is out, when no coordinator is live.
const RETURN_EVERY: Duration = Duration::from_secs(5);

/// Between two probes of one that is out, while nobody can be had.
const FORLORN_EVERY: Duration = Duration::from_secs(2);

/// How soon an answer is put to the test that stands against what the node is taken for.
const AGAIN_AFTER: Duration = Duration::from_millis(400);

/// With very many nodes each is looked at less often, so that a gateway makes no more probes than this.
const MOST_A_SECOND: u32 = 2000;

/// How long after the present the first look follows.
pub(super) fn first(id: &NodeId, reason: Reason, mode: Mode, count: usize, now: Tick) -> Duration {
    let span = match reason {
        Reason::Doubt => Duration::ZERO,
        // Somebody who answers is wanted as soon as may be.
        _ if mode.forlorn => least(count),
        Reason::Alone | Reason::Forlorn => WATCH_EVERY.max(least(count)),
    };
    span.mul_f64(share(id, now))
}

/// How long after a probe the next one follows.
pub(super) fn next(id: &NodeId, seen: &Seen, reason: Reason, count: usize, now: Tick) -> Duration {
    let span = match reason {
        Reason::Doubt => return DOUBT_EVERY,
        _ if seen.is_open() => return AGAIN_AFTER,
        Reason::Alone if seen.taken().selectable() => WATCH_EVERY,
        Reason::Alone => RETURN_EVERY,
        Reason::Forlorn => FORLORN_EVERY,
    };
    span.max(least(count)).mul_f64(0.8 + 0.2 * share(id, now))
}

/// Between two probes of one of so many nodes at least.
fn least(count: usize) -> Duration {
    Duration::from_secs(1) * u32::try_from(count).unwrap_or(u32::MAX) / MOST_A_SECOND
}

/// From 0 to 1, another one for each node at each moment; no two gateways' clocks show the same.
fn share(id: &NodeId, now: Tick) -> f64 {
    let seed = u64::try_from(now.since_origin().as_nanos()).unwrap_or(u64::MAX);
    let hash = XxHash3_64::oneshot_with_seed(seed, id.as_str().as_bytes());
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}
