//! The numbers between which affinity and balance are weighed.

use super::table::RISE;

/// When a node that has a key's affinity is passed over for its load, and how many nodes a key has. The defaults are where the comparison of policies put them
/// (docs/selection.md).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// A busy node takes at most this many times its share, for transfers that are over before a report shows them: smaller moves more keys, larger balances
    /// worse (Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads", 2018).
    pub bound: f64,
    /// The same for transfers without end. Each that goes elsewhere costs a cold cache, and a long one relieves its node for longer: so the bound falls from the
    /// one to the other as transfers last.
    pub bound_of_long: f64,
    /// Below this utilisation nobody is asked to share: an idle cluster must not scatter a key for balance that nobody needs.
    pub busy: f64,
    /// The second choice wins if its load per weight is below this part of the first's. 0 is never: it costs a cache that may be cold, and a key that is asked for
    /// often has several warm ones to choose from.
    pub clearly_less: f64,
    /// The part of a node that one key may need before it is spread over several ([`Heat`](super::Heat)).
    pub hot: f64,
    /// So many requests a minute keep a further copy of a key warm ([`Heat`](super::Heat)).
    pub warm: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { bound: 2.0, bound_of_long: 1.3, busy: 0.30, clearly_less: 0.0, hot: 0.1, warm: 45.0 }
    }
}

impl Rules {
    /// How many times its share a busy node may have with a transfer that lasts so many seconds.
    pub(super) fn bound_for(&self, seconds: f64) -> f64 {
        let unseen = (RISE.as_secs_f64() / seconds).min(1.0);
        self.bound_of_long + (self.bound - self.bound_of_long) * unseen
    }
}
