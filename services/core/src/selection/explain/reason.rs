//! Why a node that could have been chosen was not.

use super::Explained;
use crate::selection::Choice;

/// Why a node was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Passed {
    /// A nearer tier took the request.
    Farther,
    /// Its tier is busy, and passed the request on.
    Spilled,
    /// It gets nothing new while others are not full.
    Full,
    /// With this transfer it would have more than its share of the tier's load.
    OverBound,
    /// The key belongs there, but the second choice is clearly less loaded.
    Busier,
    /// The key belongs to others first.
    Outscored,
}

impl Passed {
    /// The reason as people see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Farther => "farther away",
            Self::Spilled => "its tier is busy and passed the request on",
            Self::Full => "full",
            Self::OverBound => "would have more than its share of the load",
            Self::Busier => "busy, and the second choice clearly less so",
            Self::Outscored => "the key belongs to others first",
        }
    }
}

/// Why `node`, which was eligible, lost against `primary`. What rules it out whatever its score comes first.
pub(super) fn of(node: &Explained, primary: &Explained, cost: u64, choice: Choice) -> Passed {
    // The same sum as in the choice: a transfer costs at least something.
    let fits = |node: &Explained| node.bound.is_none_or(|bound| node.load + cost.max(1) as f64 <= bound);
    if node.tier > primary.tier {
        Passed::Farther
    } else if node.tier < primary.tier {
        Passed::Spilled
    } else if node.full && choice != Choice::Panic {
        Passed::Full
    } else if fits(primary) && !fits(node) {
        Passed::OverBound
    } else if node.score > primary.score {
        Passed::Busier
    } else {
        Passed::Outscored
    }
}
