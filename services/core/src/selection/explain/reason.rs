//! Reasons: why a node that could have been chosen was not, and what each reason is called.

use super::{Exclusion, Explained, Role};
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
    /// The key has several nodes, and the client drew another one of them.
    NotPicked,
    /// The key belongs to others first.
    Outscored,
}

impl Passed {
    /// The reason as programs see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Farther => "farther",
            Self::Spilled => "spilled",
            Self::Full => "full",
            Self::OverBound => "over-bound",
            Self::Busier => "busier",
            Self::NotPicked => "not-picked",
            Self::Outscored => "outscored",
        }
    }

    /// The same for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Farther => "farther away",
            Self::Spilled => "its tier is busy and passed the request on",
            Self::Full => "full",
            Self::OverBound => "would have more than its share of the load",
            Self::Busier => "busy, and the second choice clearly less so",
            Self::NotPicked => "the key has several nodes, and this client drew another",
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
    } else if node.score > primary.score && matches!(choice, Choice::Spread | Choice::Panic) {
        Passed::NotPicked
    } else if node.score > primary.score {
        Passed::Busier
    } else {
        Passed::Outscored
    }
}

impl Exclusion {
    /// The reason as programs see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Maintenance => "maintenance",
            Self::Probation => "probation",
            Self::Suspect => "suspect",
            Self::Unreachable => "unreachable",
            Self::OtherPrefix => "other-prefix",
            Self::Tried => "tried",
            Self::Doubted => "doubted",
        }
    }
}

impl Choice {
    /// The reason as people see it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Affinity => "the key belongs there",
            Self::Bounded => "whoever the key belongs to has more than its share of the load",
            Self::SecondChoice => "the first choice is busy, and this one clearly less so",
            Self::Spread => "the key has several nodes, and this client drew this one",
            Self::Unbounded => "the transfer would be more than anybody's share: the key stays where it belongs",
            Self::Panic => "everybody is full: the key stays where it belongs",
        }
    }
}

impl Role {
    /// What became of the node, as programs see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary(_) => "primary",
            Self::Alternate(_) => "alternate",
            Self::Passed(_) => "passed",
            Self::NotDrawn => "not-looked-at",
            Self::Excluded(_) => "excluded",
        }
    }

    /// Why, as programs see it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Primary(choice) => choice.as_str(),
            Self::Alternate(_) => "alternate",
            Self::Passed(why) => why.name(),
            Self::NotDrawn => "not-drawn",
            Self::Excluded(why) => why.name(),
        }
    }

    /// Why, as people see it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Primary(choice) => choice.words(),
            Self::Alternate(_) => "next if the primary fails",
            Self::Passed(why) => why.words(),
            Self::NotDrawn => "not among those that draw well for this key",
            Self::Excluded(why) => why.as_str(),
        }
    }
}
