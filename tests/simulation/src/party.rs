//! Who there is, and what they are called.

use ferry_core::{
    id::{CoordinatorId, NodeId},
    merge::Peer,
};

/// Somebody who sends and receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Party {
    /// The coordinator of that number.
    Coordinator(usize),
    /// The gateway of that number.
    Gateway(usize),
    /// The node of that number.
    Node(usize),
    /// The one store.
    Store,
}

/// How many there are of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// At most 16: so many are dialled when others name them.
    pub coordinators: usize,
    /// Any number.
    pub gateways: usize,
    /// Any number.
    pub nodes: usize,
}

impl Sizes {
    /// Everybody's place in a list of all.
    pub(crate) const fn place(self, party: Party) -> usize {
        match party {
            Party::Coordinator(index) => index,
            Party::Gateway(index) => self.coordinators + index,
            Party::Node(index) => self.coordinators + self.gateways + index,
            Party::Store => self.total() - 1,
        }
    }

    pub(crate) const fn total(self) -> usize {
        self.coordinators + self.gateways + self.nodes + 1
    }

    /// Everybody who is a process of ferry's, in the order of [`Self::place`].
    pub(crate) fn processes(self) -> impl Iterator<Item = Party> {
        self.all_coordinators().chain(self.all_gateways()).chain(self.all_nodes())
    }

    pub(crate) fn all_coordinators(self) -> impl Iterator<Item = Party> {
        (0..self.coordinators).map(Party::Coordinator)
    }

    pub(crate) fn all_gateways(self) -> impl Iterator<Item = Party> {
        (0..self.gateways).map(Party::Gateway)
    }

    pub(crate) fn all_nodes(self) -> impl Iterator<Item = Party> {
        (0..self.nodes).map(Party::Node)
    }
}

pub(crate) fn node_id(index: usize) -> NodeId {
    format!("n{index}").parse().expect("a short plain name")
}

pub(crate) fn coordinator_id(index: usize) -> CoordinatorId {
    format!("c{index}").parse().expect("a short plain name")
}

pub(crate) fn peer(index: usize) -> Peer {
    Peer { id: coordinator_id(index), url: format!("http://c{index}:7000") }
}

/// The number in such a name.
pub(crate) fn number(name: &str) -> usize {
    name[1..].parse().expect("names are made here")
}
