//! How many nodes are in each state, counted as they change.

use std::collections::BTreeMap;

use crate::node::NodeState;

/// Counts of nodes by state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census(BTreeMap<NodeState, usize>);

impl Census {
    /// A node is there.
    pub fn enter(&mut self, state: NodeState) {
        *self.0.entry(state).or_default() += 1;
    }

    /// A node that was counted in that state is there no longer.
    pub fn leave(&mut self, state: NodeState) {
        // Equal counts are equal values: none is no entry.
        match self.0.get_mut(&state) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.0.remove(&state)),
        }
    }

    /// A node changed its state.
    pub fn change(&mut self, from: NodeState, to: NodeState) {
        self.leave(from);
        self.enter(to);
    }

    /// How many nodes are in that state.
    #[must_use]
    pub fn of(&self, state: NodeState) -> usize {
        self.0.get(&state).copied().unwrap_or_default()
    }
}

impl FromIterator<NodeState> for Census {
    fn from_iter<I: IntoIterator<Item = NodeState>>(states: I) -> Self {
        let mut census = Self::default();
        states.into_iter().for_each(|state| census.enter(state));
        census
    }
}
