//! Which ways are sick: what arrives at a node, beside what arrives of the same networks' redirects elsewhere. design.md section 7.
//!
//! Each network has one vote on a node, however many redirects it had. It weighs less than one as long as fewer than three of them were
//! to be expected there, by what arrives from this network at the other nodes; so a network that follows nothing (bots, checks of links) has none. The
//! comparison within a network is stricter than one with the other nodes' arrivals as they are: who asks for what differs from node to node, and some
//! follow less than others.
//!
//! Only clients count who follow redirects at all: of one that never arrived anywhere in the last minute, nothing is counted. And one client alone does not keep its
//! network from a node: for itself it is sent elsewhere anyway (P7).
//!
//! A node is doubted for everybody if three networks' votes are there, and less than a fifth of what was to come has come; for one network alone if
//! nothing at all came of four that were expected, of three of its clients. A doubt is over when arrivals speak for the node, and otherwise after 20 s without news: a few
//! clients are sent there in spite of it ([`Votes::ONE_IN`]), and they are the news. It takes as many networks or clients to prolong a doubt as to begin it.
//!
//! What is remembered is bounded, and what does not fit is not counted. Invariant V1: no doubt for everybody begins or goes on by the word of fewer than
//! three networks.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Network, NodeKey, Outcome, Who};
use crate::time::Tick;

/// What is older than one to two of these is forgotten.
const WINDOW: Duration = Duration::from_secs(10);
/// Ways that are counted within one.
const MOST_WAYS: usize = 8192;
/// Ways of one network that are doubted, for all networks together.
const MOST_DOUBTS: usize = 4096;

/// Expected arrivals that make a whole vote.
const WHOLE: f64 = 3.0;
/// Votes without which nobody is doubted for everybody, and what suffices to confirm or to lift a doubt.
const ENOUGH: f64 = 3.0;
const ENOUGH_OF_DOUBTED: f64 = 0.3;
/// Networks in which little or nothing arrives, without which no doubt for everybody begins or goes on.
const ENOUGH_NETWORKS: usize = 3;
/// Expected arrivals of which none came, so that a network alone does without a node.
const ENOUGH_OF_ONE: f64 = 4.0;
/// Clients of one network who came to nothing, in any case, before it does without a node.
const ENOUGH_CLIENTS: usize = 3;
/// How long somebody counts as one who follows redirects, and how many such are remembered: of one network, and of all together. The first of one network are
/// as good as any, and one host with many names leaves room for the others.
const FOLLOWS: Duration = Duration::from_secs(60);
const MOST_FOLLOWERS_OF_ONE: usize = 256;
const MOST_FOLLOWERS: usize = 16_384;
/// Below the first part of what was to come, the way is sick; above the second, it is well.
const SICK: f64 = 0.2;
const WELL: f64 = 0.5;

/// How long a doubt lasts after the last word against the node.
const DOUBTED: Duration = Duration::from_secs(20);
/// For how long nothing is counted of a node about which something is missing.
const EXCUSED: Duration = Duration::from_secs(6);

/// What has arrived lately.
#[derive(Debug, Default)]
pub struct Votes {
    /// Of this window and of the one before.
    ways: [BTreeMap<Way, Count>; 2],
    turned: Tick,
    doubts: BTreeMap<(NodeKey, Option<Network>), Tick>,
    excused: BTreeMap<NodeKey, Tick>,
    /// Until then nothing is counted of any node.
    deaf_until: Tick,
    /// Each with the network from which it was first seen to follow.
    followers: BTreeMap<Who, (Network, Tick)>,
    /// How many those are of each network.
    following: BTreeMap<Network, usize>,
}

type Way = (Network, NodeKey);
/// A way, how many arrivals were expected of it, and what came.
type Alone = (Way, f64, Count);

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    sent: u32,
    arrived: u32,
    /// The first of those who did not arrive, each once.
    lost: [Option<Who>; ENOUGH_CLIENTS],
}

/// The votes on one node.
#[derive(Debug, Clone, Copy, Default)]
struct Poll {
    weight: f64,
    arrived: f64,
    /// Networks of which less than [`SICK`] arrives, whatever their weight.
    against: usize,
}

impl Votes {
    /// Of so many requests, one is decided as if nobody were doubted.
    pub const ONE_IN: u32 = 32;

    /// A redirect of this client arrived, who was sent from there.
    pub fn follows(&mut self, network: Network, who: Who, now: Tick) {
        if let Some((_, at)) = self.followers.get_mut(&who) {
            *at = now;
        } else if self.followers.len() < MOST_FOLLOWERS {
            let of_one = self.following.entry(network).or_default();
            if *of_one < MOST_FOLLOWERS_OF_ONE {
                *of_one += 1;
                self.followers.insert(who, (network, now));
            }
        }
    }

    /// Counts one redirect.
    pub fn count(&mut self, outcome: Outcome, now: Tick) {
        let Outcome { who, network, node, arrived } = outcome;
        if now < self.deaf_until {
            return;
        }
        if arrived.is_none() && self.followers.get(&who).is_none_or(|(_, at)| now.since(*at) >= FOLLOWS) {
            return;
        }
        if self.excused.get(&node).is_none_or(|until| now >= *until) {
            self.add((network, node), Some(who).filter(|_| arrived != Some(node)));
        }
        // Who finds his way to another node by himself arrived there.
        if let Some(other) = arrived.filter(|other| *other != node) {
            self.add((network, other), None);
        }
    }

    fn add(&mut self, way: Way, lost: Option<Who>) {
        let ways = &mut self.ways[0];
        if ways.len() < MOST_WAYS || ways.contains_key(&way) {
            let count = ways.entry(way).or_default();
            count.sent = count.sent.saturating_add(1);
            count.arrived = count.arrived.saturating_add(lost.is_none().into());
            lost.into_iter().for_each(|who| count.lose(who));
        }
    }

    /// Something is missing of what this node has to say: what was sent there a moment ago, or is sent there now, says nothing.
    pub fn excuse(&mut self, node: NodeKey, now: Tick) {
        self.excused.insert(node, now + EXCUSED);
    }

    /// No word of any node comes: what was counted is forgotten, and what was sent a moment ago, or is sent now, says nothing.
    pub fn deaf(&mut self, now: Tick) {
        self.ways = Default::default();
        self.deaf_until = now + EXCUSED;
    }

    /// These nodes are out anyway, by their state: why nothing arrived there is known, and what comes after it is another matter.
    pub fn forget(&mut self, nodes: &BTreeSet<NodeKey>, now: Tick) {
        nodes.iter().for_each(|node| self.excuse(*node, now));
        self.doubts.retain(|(node, _), _| !nodes.contains(node));
        for ways in &mut self.ways {
            ways.retain(|(_, node), _| !nodes.contains(node));
        }
    }

    /// Draws the conclusions. To be called about once a second.
    pub fn weigh(&mut self, now: Tick) {
        if now.since(self.turned) >= WINDOW {
            self.ways = [BTreeMap::new(), std::mem::take(&mut self.ways[0])];
            self.turned = now;
        }
        self.excused.retain(|_, until| now < *until);
        self.followers.retain(|_, (_, at)| now.since(*at) < FOLLOWS);
        self.following.clear();
        for (network, _) in self.followers.values() {
            *self.following.entry(*network).or_default() += 1;
        }
        self.doubts.retain(|_, until| now < *until);
        let (polls, alone) = self.poll();
        for (node, poll) in polls {
            let doubted = self.doubts.contains_key(&(node, None));
            let enough = if doubted { ENOUGH_OF_DOUBTED } else { ENOUGH };
            let part = poll.arrived / poll.weight;
            // One network with few redirects prolongs nothing, and neither does one with many.
            let spoken = part > SICK || poll.against >= ENOUGH_NETWORKS;
            self.settle((node, None), spoken && poll.weight >= enough, part, now);
        }
        for ((network, node), expected, count) in alone {
            let doubted = self.doubts.contains_key(&(node, Some(network)));
            let several = count.lost.iter().all(Option::is_some);
            let enough = expected >= if doubted { ENOUGH_OF_DOUBTED * WHOLE } else { ENOUGH_OF_ONE };
            let part = if count.arrived == 0 { 0.0 } else { 1.0 };
            self.settle((node, Some(network)), (several && enough) || count.arrived > 0, part, now);
        }
    }

    /// Begins, prolongs or ends one doubt by what part of the expected has come.
    fn settle(&mut self, doubt: (NodeKey, Option<Network>), enough: bool, part: f64, now: Tick) {
        if !enough {
            return;
        }
        if part <= SICK {
            let room = doubt.1.is_none() || self.doubts.len() < MOST_DOUBTS || self.doubts.contains_key(&doubt);
            if room && self.doubts.insert(doubt, now + DOUBTED).is_none() {
                // From here on those count who are sent there in spite of it.
                let is_of = |(network, node): &Way| *node == doubt.0 && doubt.1.is_none_or(|only| only == *network);
                self.ways.iter_mut().for_each(|ways| ways.retain(|way, _| !is_of(way)));
            }
        } else if part > WELL {
            self.doubts.remove(&doubt);
        }
    }

    /// The votes on each node; and of each way, what was expected of it and what came.
    fn poll(&self) -> (BTreeMap<NodeKey, Poll>, Vec<Alone>) {
        let (mut ways, mut networks) = (BTreeMap::<Way, Count>::new(), BTreeMap::<Network, Count>::new());
        for (way, count) in self.ways.iter().flatten() {
            ways.entry(*way).or_default().grow(*count);
            networks.entry(way.0).or_default().grow(*count);
        }
        let (mut polls, mut alone) = (BTreeMap::<NodeKey, Poll>::new(), Vec::new());
        for ((network, node), here) in ways {
            let usual = networks.get(&network).map_or(0.0, |all| all.without(here).part());
            let expected = f64::from(here.sent) * usual;
            if expected > 0.0 {
                let (poll, weight) = (polls.entry(node).or_default(), (expected / WHOLE).min(1.0));
                let part = (here.part() / usual).min(1.0);
                poll.weight += weight;
                poll.arrived += weight * part;
                poll.against += usize::from(part <= SICK);
                alone.push(((network, node), expected, here));
            }
        }
        (polls, alone)
    }

    /// Nodes that are doubted: for everybody, and for the clients of one network.
    pub fn doubted(&self) -> impl Iterator<Item = (NodeKey, Option<Network>)> {
        self.doubts.keys().copied()
    }
}

impl Count {
    fn grow(&mut self, other: Self) {
        self.sent = self.sent.saturating_add(other.sent);
        self.arrived = self.arrived.saturating_add(other.arrived);
        other.lost.into_iter().flatten().for_each(|who| self.lose(who));
    }

    fn lose(&mut self, who: Who) {
        if !self.lost.contains(&Some(who))
            && let Some(free) = self.lost.iter_mut().find(|place| place.is_none())
        {
            *free = Some(who);
        }
    }

    const fn without(self, other: Self) -> Self {
        let (sent, arrived) = (self.sent.saturating_sub(other.sent), self.arrived.saturating_sub(other.arrived));
        Self { sent, arrived, ..self }
    }

    /// What part arrived; nothing of nothing.
    fn part(self) -> f64 {
        f64::from(self.arrived) / f64::from(self.sent.max(1))
    }
}

#[cfg(test)]
mod tests;
