//! The numbers between which affinity and balance are weighed.

/// When a node that has a key's affinity is passed over for its load. The defaults are where the comparison of policies put them (docs/selection.md).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// A busy node takes at most this many times its share: smaller moves more keys, larger balances worse (Mirrokni, Thorup and
    /// Zadimoghaddam, "Consistent hashing with bounded loads", 2018).
    pub bound: f64,
    /// Below this utilisation nobody is asked to share: an idle cluster must not scatter a key for balance that nobody needs.
    pub busy: f64,
    /// The second choice wins if its load per weight is below this part of the first's.
    pub clearly_less: f64,
    /// The part of a node that one key may need before it is spread over several ([`Heat`](super::Heat)).
    pub hot: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { bound: 1.5, busy: 0.30, clearly_less: 0.5, hot: 0.1 }
    }
}
