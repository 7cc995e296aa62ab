//! How long silence means what.

use std::time::Duration;

/// The times by which a coordinator judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How often a node beats; nodes spread it by ± 20 %.
    pub beat_every: Duration,
    /// Silence after which a node is chosen only if nothing better is left.
    pub suspect_after: Duration,
    /// Silence after which a node is dead.
    pub dead_after: Duration,
    /// How long a node whose stream ended without a goodbye may take to redial.
    pub redial_within: Duration,
    /// The longest that the observer itself may be away between two looks: what goes beyond it is nobody's silence.
    pub look_within: Duration,
    /// Between two probes of one node.
    pub probe_every: Duration,
    /// How long the observer's words outlive it: who is silent for longer finds that others go by other words.
    pub believed_for: Duration,
    /// How long a node may be kept out for no other reason than that its probes do not get through.
    pub unreachable_for: Duration,
}

impl Timing {
    /// A node that lives, and that is heard, is heard again within this.
    pub(super) fn beats_within(&self) -> Duration {
        self.beat_every.mul_f32(1.5)
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            beat_every: Duration::from_secs(1),
            suspect_after: Duration::from_millis(2500),
            dead_after: Duration::from_secs(4),
            redial_within: Duration::from_millis(500),
            look_within: Duration::from_secs(1),
            probe_every: Duration::from_secs(2),
            believed_for: crate::merge::LIVE_FOR,
            unreachable_for: Duration::from_secs(30),
        }
    }
}
