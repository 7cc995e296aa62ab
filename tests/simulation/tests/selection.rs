//! The comparison of policies, in small: the figures of docs/selection.md hold, with room for a hundred nodes instead of a thousand.

use ferry_simulation::selection::{Policy, Setting, Slow, run};

#[test]
fn ferry_balances_nearly_as_two_choices_do_and_fills_nearly_as_few_caches_as_plain_rendezvous() {
    let setting = Setting::small();
    let [choices, rendezvous, ferry] =
        [Policy::PowerOfTwo, Policy::Rendezvous, Policy::Ferry].map(|policy| run(&setting, policy));
    assert!(ferry.load() < 1.5 * choices.load(), "{} against {}", ferry.load(), choices.load());
    assert!(ferry.load() < 0.2 * rendezvous.load(), "{} against {}", ferry.load(), rendezvous.load());
    assert!(ferry.fills < 1.4 * rendezvous.fills, "{} against {}", ferry.fills, rendezvous.fills);
    assert!(ferry.fills < 0.4 * choices.fills, "{} against {}", ferry.fills, choices.fills);
    assert!(ferry.slowness.1 < 1.1, "{:?}", ferry.slowness);
}

#[test]
fn a_node_with_a_tenth_of_its_link_gets_nearly_nothing_after_five_seconds() {
    let well = Setting::small();
    let ill = Setting { slow: Some(Slow { node: 7, share: 0.1, from: 40.0 }), ..well.clone() };
    let (without, with) = (run(&well, Policy::Ferry), run(&ill, Policy::Ferry));
    let after = &with.slow_share[45..];
    let share = after.iter().sum::<f64>() / after.len() as f64;
    assert!(share < 0.15, "{share} of a fair share: {after:.2?}");
    assert!(with.slowness.1 < 1.2 * without.slowness.1, "{:?} against {:?}", with.slowness, without.slowness);
}

#[test]
fn a_crowd_for_one_object_is_spread_within_seconds() {
    let setting = Setting { crowd: Some((40.0, 0.2)), length: 60.0, ..Setting::small() };
    let (ferry, rendezvous) = (run(&setting, Policy::Ferry), run(&setting, Policy::Rendezvous));
    let last = |values: &[f64]| values[50..].iter().copied().fold(0.0, f64::max);
    assert!(last(&ferry.imbalance) < 2.5, "{:.2?}", ferry.imbalance);
    assert!(last(&rendezvous.imbalance) > 10.0, "the crowd is one that a single node cannot serve");
}

#[test]
fn an_idle_cluster_keeps_a_key_on_one_node() {
    let spread = |policy| run(&Setting { nodes: 100, ..Setting::idle() }, policy).spread.last().copied();
    assert_eq!(spread(Policy::Ferry), Some(1.0));
    assert!(spread(Policy::Random) > Some(5.0), "somebody asks for it often enough");
}

#[test]
fn a_setting_plays_the_same_way_twice() {
    let setting = Setting { length: 45.0, ..Setting::small() };
    assert_eq!(run(&setting, Policy::Ferry), run(&setting, Policy::Ferry));
}
