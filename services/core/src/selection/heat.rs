//! Keys that are asked for so often that one node is not enough for them, or that they stay warm in several caches.
//!
//! The former must have several nodes. The latter may: what is asked for again and again costs a cache one fill at each node that has it, and can then be sent to
//! whichever is less loaded. Those keys are the ballast that balances nodes while all others stay where they are kept.
//!
//! Each gateway counts what it sent of each key in a count-min sketch (Cormode and Muthukrishnan, 2005) that forgets within [`MEMORY`]: bounded, without a
//! lock, and wrong in one direction only. What the other gateways send is taken to be alike: the nodes together report how much more than this gateway's part all is.
//!
//! Never decides who serves: it says over how many nodes a key is spread ([`Request::spread`](super::Request::spread)).

use super::{
    decaying::{Decaying, Moment},
    rendezvous::{hash_pair, hash_text},
    table::Table,
    warmth::Warmth,
};
use crate::time::Tick;

/// In seconds: one gateway of many sees a warm key every few seconds.
const MEMORY: u64 = 10;
/// In seconds: a crowd must be seen before it has filled a node.
const SHORT_MEMORY: u64 = 1;
/// A gateway with less than this part of all traffic takes itself to have this part: a few requests say too little about a crowd.
const LEAST_PART: f64 = 1.0 / 64.0;
/// The utilisation of the whole from which on a key may need the least, and from which on warm keys have all their copies.
const HALF: f64 = 0.5;
/// Standard deviations of what was counted that are taken for chance. A key that only seems to be hot costs as many copies as one that is, and there are many that
/// may seem so within the long memory; a crowd fills its first node while it is not believed.
const LONG_CHANCE: f64 = 2.0;
const SHORT_CHANCE: f64 = 1.0;
const ROWS: usize = 2;
/// Columns for each node: keys that share a column with others come to a sixteenth of what a node carries.
const COLUMNS_PER_NODE: usize = 16;
const LEAST_COLUMNS: usize = 1 << 10;
const MOST_COLUMNS: usize = 1 << 17;

/// What was sent, by both memories.
#[derive(Debug, Default)]
struct Amount {
    long: Decaying<MEMORY>,
    short: Decaying<SHORT_MEMORY>,
}

impl Amount {
    fn add(&self, bytes: u64, now: Moment) {
        self.long.add(bytes as f32, now);
        self.short.add(bytes as f32, now);
    }

    /// Bytes per second, without what chance may have added to what comes in pieces of `bytes`: one request is no rate.
    fn rate(&self, bytes: u64, now: Moment) -> f64 {
        let sure = |seen: f32, chance: f64| f64::from(seen) - chance * (f64::from(seen) * bytes as f64).sqrt();
        let long = sure(self.long.at(now), LONG_CHANCE) / MEMORY as f64;
        long.max(sure(self.short.at(now), SHORT_CHANCE) / SHORT_MEMORY as f64).max(0.0)
    }
}

/// What one gateway sent of each key a moment ago, in bytes; shared by all who select.
#[derive(Debug)]
pub struct Heat {
    /// Rows of equal length.
    amounts: Box<[Amount]>,
    columns: usize,
    all: Decaying<MEMORY>,
    warmth: Warmth,
}

impl Heat {
    /// For a cluster of about so many nodes.
    #[must_use]
    pub fn for_nodes(count: usize) -> Self {
        let columns = count.saturating_mul(COLUMNS_PER_NODE).clamp(LEAST_COLUMNS, MOST_COLUMNS).next_power_of_two();
        Self {
            amounts: (0..columns * ROWS).map(|_| Amount::default()).collect(),
            columns,
            all: Decaying::default(),
            warmth: Warmth::for_nodes(count),
        }
    }

    /// Notes that somebody was sent for `bytes` of the key.
    pub fn sent(&self, affinity: &str, bytes: u64, now: Tick) {
        let (hash, now) = (hash_text(affinity), Moment::of(now));
        for slot in self.slots(hash) {
            slot.add(bytes, now);
        }
        self.all.add(bytes as f32, now);
        self.warmth.sent(hash, now);
    }

    /// Over how many nodes of the table the key is to be spread, of which another `bytes` are asked for; at least 1.
    #[must_use]
    pub fn spread(&self, affinity: &str, bytes: u64, table: &Table, now: Tick) -> u32 {
        let (hash, now) = (hash_text(affinity), Moment::of(now));
        let rate = self.slots(hash).map(|slot| slot.rate(bytes, now)).fold(f64::INFINITY, f64::min);
        let part = (f64::from(self.all.at(now)) / MEMORY as f64 / table.reported()).clamp(LEAST_PART, 1.0);
        let business = business(table);
        let needed = (rate / part / most_of_a_node(table, business)).ceil();
        let kept_warm = 1.0 + (f64::from(self.warmth.of(hash, now)) / part / table.rules().warm * business).floor();
        (needed.max(kept_warm) as u32).clamp(1, u32::try_from(table.len()).unwrap_or(u32::MAX).max(1))
    }

    fn slots(&self, hash: u64) -> impl Iterator<Item = &Amount> {
        let column = move |row: usize| hash_pair(hash, row as u64) as usize & (self.columns - 1);
        (0..ROWS).map(move |row| &self.amounts[row * self.columns + column(row)])
    }
}

/// How busy the nodes are as a whole, from 0 to 1: nobody needs a key to be spread while nodes have little else to do, and the more they have, the more the
/// keys that stick out unbalance them.
fn business(table: &Table) -> f64 {
    (table.reported() / table.capacity().max(1.0) / HALF).min(1.0)
}

/// What one key may take of one node, in bytes per second.
fn most_of_a_node(table: &Table, business: f64) -> f64 {
    let rules = table.rules();
    (rules.busy - (rules.busy - rules.hot) * business) * table.typical_capacity()
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU64, sync::Arc, time::Duration};

    use super::*;
    use crate::{
        load::Load,
        node::{Freshness, Intent, NodeFacts, NodeState, NodeView},
    };

    const FILE: u64 = 10_000_000;

    /// A node with a gigabit.
    fn view(number: usize, bytes_per_second: u64) -> NodeView {
        NodeView {
            facts: Arc::new(NodeFacts {
                capacity: NonZeroU64::new(125_000_000),
                ..NodeFacts::named(format!("n{number}").parse().expect("a good name"))
            }),
            state: NodeState::Up,
            freshness: Freshness::default(),
            load: Load { bytes_per_second, ..Load::default() },
            heard_ago: Duration::ZERO,
            intent: Intent::default(),
            in_doubt: false,
        }
    }

    /// Forty of these, which send so many bytes per second together.
    fn table(bytes_per_second: u64) -> Table {
        let views: Vec<_> = (0..40).map(|number| view(number, bytes_per_second / 40)).collect();
        Table::from_views(&views, None, Tick::default())
    }

    /// The same, with so many others registered that are DOWN.
    fn table_with_lost(bytes_per_second: u64, lost: usize) -> Table {
        let mut table = table(bytes_per_second);
        let view = |number: usize| NodeView { state: NodeState::Down, ..view(40 + number, 0) };
        let views: Vec<_> = (0..lost).map(view).collect();
        table.apply(views.iter().map(|view| (&view.facts.id, Some(view))), Tick::default());
        table
    }

    fn at(ms: u64) -> Tick {
        Tick::from_origin(Duration::from_millis(1_000_000 + ms))
    }

    /// A heat after ten seconds in which a key was sent so many times a second, and that moment.
    fn after_ten_seconds(per_second: u64) -> (Heat, Tick) {
        let heat = Heat::for_nodes(10);
        for number in 0..10 * per_second {
            heat.sent("hot", FILE, at(number * 1_000 / per_second));
        }
        (heat, at(10_000))
    }

    #[test]
    fn a_key_is_spread_as_its_rate_demands_and_others_are_not() {
        let (heat, now) = after_ten_seconds(20);
        // 200 MB/s, all there is: nodes have little else to do, and a key may need 35 MB/s of each.
        assert!((4..=8).contains(&heat.spread("hot", FILE, &table(200_000_000), now)));
        // The same, where the other gateways send two and a half times as much.
        assert!((20..=35).contains(&heat.spread("hot", FILE, &table(700_000_000), now)));
        assert_eq!(heat.spread("cold", FILE, &table(700_000_000), now), 1);
        assert_eq!(heat.spread("hot", FILE, &table(700_000_000), now + Duration::from_secs(600)), 1, "forgotten");
    }

    #[test]
    fn nodes_that_are_lost_do_not_make_the_others_look_idle() {
        let (heat, now) = after_ten_seconds(20);
        let among = |lost: usize| heat.spread("hot", FILE, &table_with_lost(700_000_000, lost), now);
        assert_eq!(among(160), among(0));
    }

    #[test]
    fn an_idle_cluster_keeps_a_key_together_for_longer() {
        let (heat, now) = after_ten_seconds(2);
        assert_eq!(heat.spread("hot", FILE, &table(20_000_000), now), 1);
        assert!(
            heat.spread("hot", FILE, &table(700_000_000), now) > 1,
            "where all this gateway sends is a part of what others do"
        );
    }

    #[test]
    fn a_key_that_stays_warm_has_another_node_where_nodes_are_busy() {
        let heat = Heat::for_nodes(10);
        // 250 MB/s of other things, and a small one every five seconds.
        for number in 0..200 {
            heat.sent(&format!("other-{number}"), 75_000_000, at(number * 300));
            if number % 16 == 0 {
                heat.sent("warm", 1_000_000, at(number * 300));
            }
        }
        heat.sent("once", 1_000_000, at(60_000));
        let spread = |key: &str, bytes: u64| heat.spread(key, 1_000_000, &table(bytes), at(60_000));
        assert_eq!(
            spread("warm", 2_500_000_000),
            2,
            "ten times as many requests of all gateways, within about a minute"
        );
        assert_eq!(spread("once", 2_500_000_000), 1);
        assert_eq!(spread("warm", 800_000_000), 1, "nobody is busy");
    }

    #[test]
    fn one_request_is_no_rate_however_large_and_however_small_the_gateway() {
        let heat = Heat::for_nodes(10);
        heat.sent("large", 100 * FILE, at(0));
        assert_eq!(heat.spread("large", 100 * FILE, &table(1_000_000_000), at(1)), 1);
    }

    #[test]
    fn a_crowd_is_seen_within_a_moment() {
        let heat = Heat::for_nodes(10);
        for number in 0..20 {
            heat.sent("crowd", FILE, at(number * 5));
        }
        assert!(heat.spread("crowd", FILE, &table(200_000_000), at(100)) > 3);
    }
}
