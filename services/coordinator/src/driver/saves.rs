//! Which nodes' facts are to be written: one write of each node is under way, and of those that wait for it the last one counts.
//!
//! So a node that changes what it says faster than the store writes costs one task, not one for each change.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use ferry_core::{id::NodeId, node::NodeFacts};

/// The writes under way, and what waits for each.
#[derive(Debug, Default)]
pub(super) struct Saves {
    under_way: HashMap<NodeId, Option<Arc<NodeFacts>>>,
}

impl Saves {
    /// These are the node's facts now. Returns whether they are to be written at once; else they wait.
    pub(super) fn begin(&mut self, facts: &Arc<NodeFacts>) -> bool {
        match self.under_way.entry(facts.id.clone()) {
            Entry::Occupied(mut write) => {
                write.insert(Some(Arc::clone(facts)));
                false
            }
            Entry::Vacant(none) => {
                none.insert(None);
                true
            }
        }
    }

    /// The write of this node has ended. Returns what is to be written next, which is then under way.
    pub(super) fn end(&mut self, id: &NodeId) -> Option<Arc<NodeFacts>> {
        let next = self.under_way.get_mut(id)?.take();
        if next.is_none() {
            self.under_way.remove(id);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(software: &str) -> Arc<NodeFacts> {
        let named = NodeFacts::named("n1".parse().expect("a name"));
        Arc::new(NodeFacts { software: software.to_owned(), ..named })
    }

    #[test]
    fn of_what_waits_for_a_write_the_last_is_written() {
        let (mut saves, id) = (Saves::default(), "n1".parse().expect("a name"));
        assert!(saves.begin(&facts("1")));
        assert!(!saves.begin(&facts("2")) && !saves.begin(&facts("3")), "one at a time");
        assert_eq!(saves.end(&id), Some(facts("3")));
        assert!(!saves.begin(&facts("4")), "that one is under way now");
        assert_eq!(saves.end(&id), Some(facts("4")));
        assert_eq!(saves.end(&id), None);
        assert!(saves.under_way.is_empty(), "nothing is kept of it");
        assert!(saves.begin(&facts("5")));
    }
}
