//! What goes wrong, drawn from the seed: an episode of faults, then calm, and so on.

use std::time::Duration;

use ferry_core::{node::Duty, time::Tick};
use rand::{Rng, RngExt as _, seq::IndexedRandom as _};

use crate::{
    network::{Cut, Direction},
    party::{Party, Sizes},
};

/// How long faults happen, and how long none does.
pub(crate) const TROUBLE: Duration = Duration::from_secs(30);
pub(crate) const CALM: Duration = Duration::from_secs(30);
/// Most faults of one episode.
const MOST: usize = 9;
/// The shortest and the longest of them.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(15);

/// One thing that goes wrong, or is put right.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// SIGKILL: streams end, the port refuses.
    Crash(Party),
    /// A new life.
    Restart(Party),
    /// SIGSTOP: streams stand, nothing moves.
    Hang(Party),
    /// SIGCONT.
    Resume(Party),
    /// Messages vanish, by a cut of that number.
    Cut(u64, Cut),
    /// They do no more.
    Heal(u64),
    /// The store answers nobody, or does again.
    StoreAway(bool),
    /// A wall clock is set by so many milliseconds.
    ClockJump(Party, i64),
    /// An operator decides.
    Decide(usize, Duty),
    /// SIGTERM to a node.
    Stop(usize),
    /// Everything heals, and everybody runs but a few of the nodes that were dead.
    Mend,
}

/// Draws the faults of an episode that begins at `start`; each comes with its end, which [`Fault::Mend`] may be before.
#[derive(Debug)]
pub(crate) struct Planner {
    sizes: Sizes,
    next_cut: u64,
}

impl Planner {
    pub(crate) const fn new(sizes: Sizes) -> Self {
        Self { sizes, next_cut: 0 }
    }

    pub(crate) fn episode(&mut self, random: &mut impl Rng, start: Tick) -> Vec<(Tick, Fault)> {
        let mut plan = Vec::new();
        for _ in 0..random.random_range(1..=MOST) {
            let at = start + random.random_range(Duration::ZERO..TROUBLE);
            let end = at + random.random_range(SHORTEST..LONGEST);
            plan.extend(self.draw(random).into_iter().map(|(ends, fault)| (if ends { end } else { at }, fault)));
        }
        plan.retain(|(at, _)| *at < start + TROUBLE);
        plan.push((start + TROUBLE, Fault::Mend));
        plan
    }

    /// One fault with what ends it.
    fn draw(&mut self, random: &mut impl Rng) -> Vec<(bool, Fault)> {
        match random.random_range(0..100) {
            0..20 => pairs(self.some_nodes(random), Fault::Crash, Fault::Restart),
            20..35 => pairs(self.some_nodes(random), Fault::Hang, Fault::Resume),
            35..42 => pairs([self.a_coordinator(random)], Fault::Crash, Fault::Restart),
            42..50 => pairs([self.a_coordinator(random)], Fault::Hang, Fault::Resume),
            50..54 => pairs([self.a_gateway(random)], Fault::Crash, Fault::Restart),
            54..57 => pairs([self.a_gateway(random)], Fault::Hang, Fault::Resume),
            57..62 => self.a_restart_in_the_dark(random),
            62..82 => {
                self.next_cut += 1;
                let cut = self.a_cut(random);
                vec![(false, Fault::Cut(self.next_cut, cut)), (true, Fault::Heal(self.next_cut))]
            }
            82..85 => vec![(false, Fault::StoreAway(true)), (true, Fault::StoreAway(false))],
            85..90 => {
                let everybody: Vec<Party> = self.sizes.processes().collect();
                let whose = *everybody.choose(random).expect("there is somebody");
                let hours = random.random_range(-3_600_000 * 5..3_600_000 * 5);
                vec![(false, Fault::ClockJump(whose, hours))]
            }
            90..95 => {
                let node = random.random_range(0..self.sizes.nodes);
                let duty = if random.random_bool(0.7) { Duty::Drain } else { Duty::Maintenance };
                vec![(false, Fault::Decide(node, duty)), (true, Fault::Decide(node, Duty::Serve))]
            }
            _ => {
                let node = random.random_range(0..self.sizes.nodes);
                vec![(false, Fault::Stop(node)), (true, Fault::Restart(Party::Node(node)))]
            }
        }
    }

    /// A coordinator that begins while no node, or only one, can reach it, though gateways can. That one may be drained, so that nobody is left by its words;
    /// and there may be no other coordinator to say better.
    fn a_restart_in_the_dark(&mut self, random: &mut impl Rng) -> Vec<(bool, Fault)> {
        let coordinator = self.a_coordinator(random);
        let mut others: Vec<Party> = self.sizes.all_nodes().collect();
        let mut plan = Vec::new();
        if random.random_bool(0.5) {
            let heard = random.random_range(0..others.len());
            others.remove(heard);
            if random.random_bool(0.5) {
                plan.extend([(false, Fault::Decide(heard, Duty::Drain)), (true, Fault::Decide(heard, Duty::Serve))]);
            }
        }
        if random.random_bool(0.3) {
            let rest = self.sizes.all_coordinators().filter(|other| *other != coordinator);
            plan.extend(pairs(rest, Fault::Crash, Fault::Restart));
        }
        self.next_cut += 1;
        let cut = Cut { victims: vec![coordinator], others, direction: a_direction(random) };
        plan.extend([
            (false, Fault::Cut(self.next_cut, cut)),
            (false, Fault::Crash(coordinator)),
            (false, Fault::Restart(coordinator)),
            (true, Fault::Heal(self.next_cut)),
        ]);
        plan
    }

    /// One node, a handful, or a part of all up to a half.
    fn some_nodes(&self, random: &mut impl Rng) -> Vec<Party> {
        let all: Vec<Party> = self.sizes.all_nodes().collect();
        let most = match random.random_range(0..10) {
            0..6 => 1,
            6..8 => all.len().min(5),
            _ => all.len().div_ceil(2),
        };
        let count = random.random_range(1..=most);
        all.sample(random, count).copied().collect()
    }

    fn a_coordinator(&self, random: &mut impl Rng) -> Party {
        Party::Coordinator(random.random_range(0..self.sizes.coordinators))
    }

    fn a_gateway(&self, random: &mut impl Rng) -> Party {
        Party::Gateway(random.random_range(0..self.sizes.gateways))
    }

    fn a_cut(&self, random: &mut impl Rng) -> Cut {
        let direction = a_direction(random);
        let everybody = || self.sizes.processes().chain([Party::Store]).collect();
        let nodes = || self.sizes.all_nodes().collect();
        let (victims, others): (Vec<Party>, Vec<Party>) = match random.random_range(0..12) {
            0..3 => (self.some_nodes(random), everybody()),
            3 => (vec![self.a_coordinator(random)], everybody()),
            4 => (vec![self.a_coordinator(random)], nodes()),
            5 => (vec![self.a_coordinator(random)], self.sizes.all_gateways().collect()),
            6 => (vec![self.a_coordinator(random)], vec![Party::Store]),
            7 => (vec![self.a_gateway(random)], everybody()),
            8 => (self.some_nodes(random), vec![self.a_coordinator(random)]),
            9 => (vec![self.a_gateway(random)], vec![self.a_coordinator(random)]),
            _ => {
                // The gateway hears one coordinator, which hears no node.
                let island = vec![self.a_gateway(random), self.a_coordinator(random)];
                let everybody: Vec<Party> = everybody();
                let others = everybody.into_iter().filter(|party| !island.contains(party)).collect();
                (island, others)
            }
        };
        Cut { victims, others, direction }
    }
}

fn a_direction(random: &mut impl Rng) -> Direction {
    match random.random_range(0..4) {
        0 => Direction::Out,
        1 => Direction::In,
        _ => Direction::Both,
    }
}

fn pairs(
    parties: impl IntoIterator<Item = Party>,
    begin: fn(Party) -> Fault,
    end: fn(Party) -> Fault,
) -> Vec<(bool, Fault)> {
    parties.into_iter().flat_map(|party| [(false, begin(party)), (true, end(party))]).collect()
}
