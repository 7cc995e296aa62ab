//! One look at everything.

use std::time::Duration;

use ferry_core::{
    node::{NodeState, NodeView},
    object::ObjectPath,
    selection::{Client, Corrections, Request, Scheme, Table, select},
    time::Tick,
};

use super::{Oracle, Violation, truth::Failing};
use crate::{
    party::{Party, node_id, number},
    world::World,
};

const CRASHED: Duration = Duration::from_secs(1);
const SILENT: Duration = Duration::from_secs(5);
const DRAINED: Duration = Duration::from_millis(500);
/// How long a coordinator's word outlives it, and then some.
const FORGOTTEN: Duration = Duration::from_secs(2);
/// A gateway that a good coordinator has begun to speak to.
const JUST_NOW: Duration = Duration::from_secs(1);
/// A probe of a node that is well takes at most four times the slowest message's time.
const LOOKED_AT: Duration = Duration::from_millis(200);
/// Very many are not looked at all at once.
const LOOKS_APART: Duration = Duration::from_micros(500);
/// Every so many looks, the invariants and `select` have their turn.
const NOW_AND_THEN: u64 = 10;
/// Objects that are asked for at such a turn.
const KEYS: [&str; 3] = ["video/a/1.ts", "packages/7.zip", "models/large.bin"];

impl Oracle {
    pub(crate) fn look(&mut self, world: &World) -> Result<(), Violation> {
        self.looks += 1;
        let thorough = self.looks.is_multiple_of(NOW_AND_THEN);
        self.observe_coordinators(world, thorough)?;
        for gateway in 0..world.sizes.gateways {
            let party = Party::Gateway(gateway);
            self.listen(world, gateway);
            if !world.acts(party) {
                continue;
            }
            let mut selectable = 0_usize;
            let taken = |view: &NodeView| world.gateways[gateway].judge(view);
            for view in world.gateways[gateway].merge.views().filter(|view| taken(view).selectable()) {
                selectable += 1;
                self.judge(world, gateway, view)?;
            }
            let known = &mut self.gateways[gateway];
            known.had |= selectable > 0;
            known.empty = if selectable == 0 { known.empty.or(Some(world.now)) } else { None };
            if selectable == 0 && known.had {
                self.may_be_empty(world, gateway)?;
            }
            if thorough {
                choose(world, gateway, selectable)?;
            }
        }
        self.agree(world)
    }

    /// Whom everybody calls DOWN, and whether every coordinator is sound.
    fn observe_coordinators(&mut self, world: &World, thorough: bool) -> Result<(), Violation> {
        let live: Vec<_> = (0..world.sizes.coordinators)
            .map(|index| (index, world.local(Party::Coordinator(index))))
            .filter(|(index, now)| world.acts(Party::Coordinator(*index)) && world.coordinators[*index].speaks(*now))
            .collect();
        if let Some((index, _)) = live.iter().find(|(index, _)| thorough && !world.coordinators[*index].is_sound()) {
            return violation(world, format!("an invariant of the membership is broken in coordinator {index}"));
        }
        for node in 0..world.sizes.nodes {
            let id = node_id(node);
            let says_down = |(index, now): &(usize, Tick)| {
                let view = world.coordinators[*index].membership.view(*now, &id);
                view.is_some_and(|view| view.state == NodeState::Down)
            };
            let down = !live.is_empty() && live.iter().all(says_down);
            self.down_since[node] = if down { self.down_since[node].or(Some(world.now)) } else { None };
        }
        Ok(())
    }

    /// Keeps count of how long a gateway has been well informed.
    fn listen(&mut self, world: &World, gateway: usize) {
        let acts = world.acts(Party::Gateway(gateway));
        let good = acts && world.good_coordinators(gateway).next().is_some();
        let sees = |index: usize| world.sees_the_store(index);
        let informed = acts && world.good_coordinators(gateway).any(sees);
        let known = &mut self.gateways[gateway];
        known.good = if good { known.good.or(Some(world.now)) } else { None };
        known.informed = if informed { known.informed.or(Some(world.now)) } else { None };
    }

    /// A gateway would choose this node: may it?
    fn judge(&mut self, world: &World, gateway: usize, view: &NodeView) -> Result<(), Violation> {
        let node = number(view.facts.id.as_str());
        let now = world.now;
        let Some(good) = self.gateways[gateway].good else { return Ok(()) };
        let listening = good + JUST_NOW;
        let truth = &self.truth[node];
        let excuse = self
            .excuses
            .of_coordinators()
            .max(self.excuses.of(Party::Gateway(gateway)))
            .max(self.excuses.of(Party::Node(node)))
            .max(listening);
        if let Some((since, how)) = truth.failing {
            let bound = if how == Failing::Gone { CRASHED } else { SILENT };
            let limit = (since + bound).max(excuse);
            if now > limit {
                let (took, state) = (now.since(since), view.state);
                return violation(
                    world,
                    format!(
                        "P5: gateway {gateway} selects node {node} ({state}), {how:?} for {took:?}: {}",
                        said_of(world, node)
                    ),
                );
            }
            if excuse <= since {
                let slowest = if how == Failing::Gone { &mut self.slowest.crash } else { &mut self.slowest.silence };
                *slowest = now.since(since).max(*slowest);
            }
            self.tested += 1;
        }
        if let Some(down) = self.down_since[node]
            && now > (down + FORGOTTEN).max(excuse)
        {
            return violation(
                world,
                format!(
                    "merge: gateway {gateway} selects node {node}, which every coordinator calls DOWN: {}",
                    said_of(world, node)
                ),
            );
        }
        let told = self.excuses.of(Party::Gateway(gateway));
        let informed = self.gateways[gateway].informed.map(|since| told.max(since + DRAINED));
        let by_operators = truth.unwanted_since().zip(informed);
        let by_itself = truth.stopping.filter(|_| truth.failing.is_none()).map(|since| (since, excuse));
        for (since, excuse) in by_operators.into_iter().chain(by_itself) {
            if now > (since + DRAINED).max(excuse) {
                let took = now.since(since);
                return violation(world, format!("drain: gateway {gateway} selects node {node} after {took:?}"));
            }
            if excuse <= since {
                self.slowest.drain = now.since(since).max(self.slowest.drain);
            }
            self.tested += 1;
        }
        Ok(())
    }

    /// A gateway has nobody to select.
    fn may_be_empty(&mut self, world: &World, gateway: usize) -> Result<(), Violation> {
        if world.now < self.excuses.of(Party::Gateway(gateway)) {
            // Whoever it reaches first may know least, and the others follow within a redial.
            return Ok(());
        }
        // The last whom the words left has just failed before this gateway's own eyes, or the last coordinator that heard anybody is gone: only
        // then does it begin to look at the others, and one look takes its time.
        let look = LOOKED_AT + LOOKS_APART * world.sizes.nodes as u32;
        if self.gateways[gateway].empty.is_some_and(|since| world.now < since + look) {
            return Ok(());
        }
        // A coordinator that hears a few and cannot reach the others takes those for dead, as it must where a region's cable is cut, and a gateway
        // that hears nobody else and cannot reach them either believes it.
        let listened: Vec<usize> = world.gateways[gateway].listens_to().collect();
        let long = |index: usize| world.now >= self.excuses.of(Party::Coordinator(index));
        let reaches = |index: usize, node| world.network.answers(Party::Coordinator(index), Party::Node(node));
        let is_deaf = |index: usize| {
            let now = world.local(Party::Coordinator(index));
            !world.coordinators[index].membership.views(now).any(|view| view.state.is_well())
        };
        let all_are_deaf = listened.iter().all(|index| long(*index) && is_deaf(*index));
        let sees = |node| world.network.answers(Party::Gateway(gateway), Party::Node(node));
        let reached = |node: usize| {
            all_are_deaf || sees(node) || listened.iter().any(|index| long(*index) && reaches(*index, node))
        };
        let mut steady = (0..world.sizes.nodes).filter(|node| self.truth[*node].is_steady(world.now)).peekable();
        if steady.peek().is_none() {
            return Ok(());
        }
        let Some(node) = steady.find(|node| reached(*node)) else {
            // Whoever is cut off now, too, stays with that.
            self.gateways[gateway].had = false;
            return Ok(());
        };
        let live = world.gateways[gateway].merge.live_coordinators(world.local(Party::Gateway(gateway)));
        let said = said_of(world, node);
        violation(
            world,
            format!(
                "empty: gateway {gateway} selects nobody, and node {node} is well; {live} live coordinators, which say {said}"
            ),
        )
    }
}

/// Asks the gateway's table as its door does.
fn choose(world: &World, gateway: usize, selectable: usize) -> Result<(), Violation> {
    let now = world.local(Party::Gateway(gateway));
    let table = Table::from_views(&world.gateways[gateway].picture(now), None, now);
    let corrections = Corrections::for_table(&table, None);
    let client = Client::default();
    let well = table.iter().any(|candidate| candidate.state().is_well());
    for key in KEYS {
        let path = ObjectPath::from_decoded(key).expect("a plain path");
        let request = Request {
            affinity: key,
            key: &path,
            client,
            scheme: Scheme::Http,
            tried: &[],
            doubted: &[],
            cost: 1,
            bytes: 1,
            spread: 1,
            now,
        };
        let chosen = select(&table, &corrections, &request);
        if chosen.primary.is_some() != (selectable > 0) {
            return violation(world, format!("select: gateway {gateway} has {selectable} to select, and no choice"));
        }
        let wrong = |state: NodeState| if well { !state.is_well() } else { !state.selectable() };
        if let Some(candidate) =
            chosen.primary.into_iter().chain(chosen.alternates()).find(|candidate| wrong(candidate.state()))
        {
            let (id, state) = (candidate.id(), candidate.state());
            return violation(world, format!("select: gateway {gateway} sends somebody to {id}, which is {state}"));
        }
    }
    Ok(())
}

/// Every coordinator's word on a node, for people.
fn said_of(world: &World, node: usize) -> String {
    let id = node_id(node);
    let word = |index: usize| {
        let party = Party::Coordinator(index);
        let view = world.coordinators[index].membership.view(world.local(party), &id);
        view.map_or("nothing".to_owned(), |view| {
            let doubt = if view.in_doubt { " in doubt" } else { "" };
            format!("{}{doubt}, heard {:?} ago, {:?}", view.state, view.heard_ago, view.freshness)
        })
    };
    (0..world.sizes.coordinators).map(|index| format!("[{index}: {}]", word(index))).collect()
}

pub(super) fn violation(world: &World, what: String) -> Result<(), Violation> {
    Err(Violation { at: world.now.since_origin(), what })
}
