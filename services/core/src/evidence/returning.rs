//! P7: a client that comes back is sent elsewhere. design.md section 3.
//!
//! Of each client and object it remembers the nodes that it was sent to, and what was heard of that. A node is passed over for a client who
//! asks again within two minutes, unless
//!
//! - everything that was sent there from this client ended well: it wants the object again, or others behind the same address do; or
//! - a report younger than 2.5 s says that a transfer there is under way, or ended well: a video that seeks, a download in sixteen pieces; or
//! - it was first sent there less than a second ago: so soon no report can have come, and several requests at once are one attempt. A node that
//!   died meanwhile is out by its state.
//!
//! What a node says that it failed is not tried again, however soon. Where no word can come, its absence means nothing: of redirects to a node that reports
//! none, and of all while no coordinator is heard who would bring it. Nothing here says anything against a node to anybody else.
//!
//! Fixed in size, and nothing is allocated after the start: who brings many clients or redirects makes it forget others, which costs them a second attempt
//! at the same node, and sends nobody away.

use std::time::Duration;

use super::{Fate, NodeKey};
use crate::time::Tick;

/// How long a client is remembered after it was last sent to a node.
const REMEMBERED: Duration = Duration::from_secs(120);
/// How long the word counts that a transfer is under way or ended well.
const FRESH: Duration = Duration::from_millis(2500);
/// Before that, nothing can have been heard: a node reports every half second, and what it says takes its way.
const UNHEARD: Duration = Duration::from_secs(1);

/// Nodes that are remembered of one client and object; beyond that, the one that is longest ago goes.
const VISITS: usize = 4;
/// Places that one client may be kept in.
const WAYS: usize = 4;

/// A client and what it asks for: a hash that nobody can foresee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ClientKey(pub u64);

/// Who was sent where.
#[derive(Debug)]
pub struct Returning {
    slots: Box<[Slot]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    client: ClientKey,
    visits: [Visit; VISITS],
}

/// What is known of one client at one node.
#[derive(Debug, Clone, Copy, Default)]
struct Visit {
    node: NodeKey,
    /// When it was first sent there of what has not ended well, and when last.
    since: Moment,
    last: Option<Moment>,
    /// When it was last heard that a transfer was under way or ended well.
    well: Option<Moment>,
    /// How many redirects of which a word is to be expected have not ended well, as far as anybody said.
    open: u16,
    /// The node said that it could not serve it.
    failed: bool,
}

/// A moment in milliseconds, in a quarter of the room of a [`Tick`]. It comes round after seven weeks: what nobody looked at for just so long may be taken for
/// new, and costs one client one detour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Moment(u32);

impl Moment {
    const fn of(tick: Tick) -> Self {
        Self(tick.since_origin().as_millis() as u32)
    }

    /// How long before `now`; nothing if that was later.
    const fn before(self, now: Self) -> Duration {
        let millis = now.0.wrapping_sub(self.0);
        Duration::from_millis(if millis > u32::MAX / 2 { 0 } else { millis as u64 })
    }
}

/// Nodes that a client is not to be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Avoided {
    nodes: [NodeKey; VISITS],
    count: usize,
}

impl Avoided {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the node is one of them.
    #[must_use]
    pub fn contains(&self, node: NodeKey) -> bool {
        self.nodes[..self.count].contains(&node)
    }
}

impl Returning {
    /// With room for at least so many clients and objects.
    #[must_use]
    pub fn with_room(clients: usize) -> Self {
        let slots = clients.max(1).next_multiple_of(WAYS);
        Self { slots: vec![Slot::default(); slots].into() }
    }

    /// Where the client is not to be sent now. If the caller is `deaf`, for no word can come, only where a node had said before that it failed.
    #[must_use]
    pub fn avoided(&self, client: ClientKey, deaf: bool, now: Tick) -> Avoided {
        let mut avoided = Avoided::default();
        let Some(slot) = self.set(client).iter().find(|slot| slot.is_of(client)) else { return avoided };
        for visit in slot.visits.iter().filter(|visit| visit.is_lost(deaf, Moment::of(now))) {
            avoided.nodes[avoided.count] = visit.node;
            avoided.count += 1;
        }
        avoided
    }

    /// Takes note of a redirect, and whether a word of it is to be expected: where none can come, its absence means nothing.
    pub fn sent(&mut self, client: ClientKey, node: NodeKey, expected: bool, now: Tick) {
        let now = Moment::of(now);
        let set = self.set_mut(client);
        let at = set
            .iter()
            .position(|slot| slot.is_of(client))
            .unwrap_or_else(|| oldest(set.iter().map(|slot| slot.age(now))));
        let slot = &mut set[at];
        if !slot.is_of(client) {
            *slot = Slot { client, ..Slot::default() };
        }
        let visits = &mut slot.visits;
        let known = visits.iter().position(|visit| visit.last.is_some() && visit.node == node);
        let at = known.unwrap_or_else(|| oldest(visits.iter().map(|visit| visit.age(now))));
        let visit = &mut visits[at];
        if visit.node != node || visit.age(now) >= REMEMBERED {
            *visit = Visit { node, ..Visit::default() };
        }
        if visit.open == 0 {
            visit.since = now;
        }
        visit.open = visit.open.saturating_add(expected.into());
        visit.last = Some(now);
    }

    /// Hears what became of one redirect. Its end counts once: the caller tells no end twice.
    pub fn heard(&mut self, client: ClientKey, node: NodeKey, fate: Fate, now: Tick) {
        let Some(visit) = self.visit_mut(client, node) else { return };
        match fate {
            Fate::UnderWay => visit.well = Some(Moment::of(now)),
            Fate::Complete => {
                visit.well = Some(Moment::of(now));
                visit.open = visit.open.saturating_sub(1);
                visit.failed = false;
            }
            // The client left, or the way broke: it says nothing new of the others behind the same address.
            Fate::BrokenOff => {}
            Fate::Failed => (visit.well, visit.failed) = (None, true),
        }
    }

    /// A redirect's end will not be heard, for the redirect is forgotten: no word of it is expected any more.
    pub fn unheard(&mut self, client: ClientKey, node: NodeKey) {
        if let Some(visit) = self.visit_mut(client, node) {
            visit.open = visit.open.saturating_sub(1);
        }
    }

    /// Forgets where the client has been: it was everywhere, and begins anew.
    pub fn forget(&mut self, client: ClientKey) {
        if let Some(slot) = self.set_mut(client).iter_mut().find(|slot| slot.is_of(client)) {
            slot.visits = Default::default();
        }
    }

    fn set(&self, client: ClientKey) -> &[Slot] {
        let at = self.place(client);
        &self.slots[at..at + WAYS]
    }

    fn set_mut(&mut self, client: ClientKey) -> &mut [Slot] {
        let at = self.place(client);
        &mut self.slots[at..at + WAYS]
    }

    fn visit_mut(&mut self, client: ClientKey, node: NodeKey) -> Option<&mut Visit> {
        let slot = self.set_mut(client).iter_mut().find(|slot| slot.is_of(client))?;
        slot.visits.iter_mut().find(|visit| visit.last.is_some() && visit.node == node)
    }

    /// Where its places begin. By the upper bits: the lower ones may have chosen this of several such tables.
    const fn place(&self, client: ClientKey) -> usize {
        let sets = (self.slots.len() / WAYS) as u128;
        ((client.0 as u128 * sets) >> 64) as usize * WAYS
    }
}

impl Slot {
    fn is_of(&self, client: ClientKey) -> bool {
        self.client == client && self.visits.iter().any(|visit| visit.last.is_some())
    }

    fn age(&self, now: Moment) -> Duration {
        self.visits.iter().map(|visit| visit.age(now)).min().unwrap_or(Duration::MAX)
    }
}

impl Visit {
    fn age(&self, now: Moment) -> Duration {
        self.last.map_or(Duration::MAX, |last| last.before(now))
    }

    /// Whether the client came to nothing there.
    fn is_lost(&self, deaf: bool, now: Moment) -> bool {
        let is_well = self.well.is_some_and(|at| at.before(now) < FRESH);
        let may_be_heard_of = self.since.before(now) >= UNHEARD;
        let is_missed = !deaf && self.open > 0 && !is_well && may_be_heard_of;
        self.age(now) < REMEMBERED && (self.failed || is_missed)
    }
}

/// The place of the highest age.
fn oldest(ages: impl Iterator<Item = Duration>) -> usize {
    ages.enumerate().max_by_key(|(_, age)| *age).map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests;
