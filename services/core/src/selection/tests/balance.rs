//! Examples of how load decides: bounds, second choices, spilling, and what is counted as load.

use std::collections::BTreeMap;

use super::*;

#[test]
fn a_tier_spills_in_proportion_to_its_utilisation_and_the_same_requests_each_time() {
    let spilled = |utilisation: f64| {
        let table = table(&[loaded(at(node("near"), "eu", "a"), utilisation), loaded(at(node("far"), "us", "a"), 0.1)]);
        let far = |client: u64| {
            let mut question = Question::about("a").from("eu", "a");
            question.client = client;
            let selection = ask(&table, &question);
            assert_eq!(selection.spilled, selection.tier == Some(Tier::Elsewhere));
            selection.spilled
        };
        let once: Vec<bool> = (0..2_000).map(far).collect();
        assert_eq!(once, (0..2_000).map(far).collect::<Vec<_>>());
        once.into_iter().filter(|&far| far).count() as f64 / 2_000.0
    };
    assert_eq!(spilled(0.5), 0.0);
    assert_eq!(spilled(0.79), 0.0);
    assert!((spilled(0.875) - 0.5).abs() < 0.04);
    assert_eq!(spilled(0.96), 1.0);
}

#[test]
fn a_tier_does_not_spill_into_one_that_is_worse_off() {
    let table = table(&[loaded(at(node("near"), "eu", "a"), 0.93), loaded(at(node("far"), "us", "a"), 0.94)]);
    for client in 0..100 {
        let mut question = Question::about("a").from("eu", "a");
        question.client = client;
        assert_eq!(primary(&table, &question).as_deref(), Some("near"));
    }
}

#[test]
fn a_busy_node_takes_no_more_than_its_share() {
    let idle = table(&nodes(4));
    let question = Question::about("popular");
    let owner = primary(&idle, &question).expect("four nodes");
    let mut views = nodes(4);
    for view in &mut views {
        *view = loaded(view.clone(), if view.facts.id.as_str() == owner { 0.9 } else { 0.5 });
    }
    let busy = table(&views);
    let selection = ask(&busy, &question);
    assert_ne!(selection.primary.expect("four nodes").id().as_str(), owner);
    assert_eq!(selection.choice, Some(Choice::Bounded));
}

#[test]
fn a_busy_node_passes_on_long_transfers_before_short_ones() {
    let idle = table(&nodes(4));
    let question = Question::about("popular");
    let owner = primary(&idle, &question).expect("four nodes");
    let mut views = nodes(4);
    for view in &mut views {
        *view = loaded(view.clone(), if view.facts.id.as_str() == owner { 0.9 } else { 0.5 });
    }
    // One and a half times its share.
    let busy = table(&views);
    let corrections = Corrections::for_table(&busy, None);
    let chosen = |bytes: u64| {
        let request = Request { bytes, ..question.request() };
        select(&busy, &corrections, &request).primary.expect("four nodes").id().to_string()
    };
    assert_eq!(chosen(1_000_000), owner, "it is over within a second or two");
    assert_ne!(chosen(100_000_000), owner);
}

#[test]
fn nodes_are_compared_by_what_is_under_way_at_them_now() {
    let word = |id: usize, beat: u64, transfers: u32| {
        let load = Load { bytes_per_second: 50_000_000, transfers, ..Load::default() };
        NodeView { load, freshness: Freshness { incarnation: Incarnation(1), beat }, ..node(&format!("n{id}")) }
    };
    let first: Vec<_> = (0..8).map(|id| word(id, 1, 20)).collect();
    let question = Question::about("popular");
    let owner = primary(&table(&first), &question).expect("eight nodes");
    // A second later the owner has twice as many, which its bytes do not show yet.
    let then: Vec<_> = (0..8).map(|id| word(id, 2, if owner == format!("n{id}") { 40 } else { 20 })).collect();
    let busy = Table::from_views(&then, Some(&table(&first)), NOW + Duration::from_secs(1));
    assert_ne!(primary(&busy, &question), Some(owner));
}

#[test]
fn of_the_nodes_of_a_key_the_less_loaded_ones_are_drawn_more_often_and_none_always() {
    let corrected = |spread: u32, count: usize| {
        let idle = table(&nodes(count));
        let mut question = Question::about("popular");
        let owner = primary(&idle, &question).expect("some nodes");
        let mut views = nodes(count);
        for view in &mut views {
            *view = loaded(view.clone(), if view.facts.id.as_str() == owner { 0.5 } else { 0.4 });
        }
        let busy = table(&views);
        let corrections = Corrections::for_table(&busy, None);
        let mut hits = BTreeMap::<String, u32>::new();
        for client in 0..4_000_u64 {
            question.client = client.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let request = Request { spread, ..question.request() };
            let chosen = select(&busy, &corrections, &request).primary.expect("some nodes");
            *hits.entry(chosen.id().to_string()).or_default() += 1;
        }
        let of_owner = hits.remove(&owner).expect("it has the key still");
        (hits.len() + 1, f64::from(of_owner) / (f64::from(hits.values().sum::<u32>()) / hits.len() as f64))
    };
    let (holders, odds) = corrected(5, 50);
    assert_eq!(holders, 5, "the first in its order");
    assert!((0.2..0.6).contains(&odds), "{odds}: a quarter more load, to the fourth power");
    let (holders, odds) = corrected(60, 120);
    assert!((40..80).contains(&holders), "{holders}: whose lot is good enough");
    assert!((0.15..0.8).contains(&odds), "{odds}");
}

#[test]
fn the_nodes_of_a_key_get_clients_by_weight_where_loads_are_even() {
    // How many times as many clients the nodes get that weigh, carry and can take four times as much as the others: half of so many, by a key's spread.
    let odds = |count: usize, spread: u32| {
        let views = nodes(count).into_iter().enumerate().map(|(number, view)| {
            let times = if number % 2 == 0 { 4 } else { 1 };
            let view = with_facts(view, |facts| {
                facts.weight = Weight::new(100 * times).expect("in bounds");
                facts.capacity = NonZeroU64::new(GIGABIT * u64::from(times));
            });
            let view = loaded(view, 0.2);
            NodeView { load: Load { transfers: 100 * times, ..view.load }, ..view }
        });
        let table = table(&views.collect::<Vec<_>>());
        let corrections = Corrections::for_table(&table, None);
        let mut hits = [0_u32; 2];
        for number in 0..20_000_u64 {
            let mut question = Question::about(&format!("key-{}", number % 200));
            question.client = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let request = Request { spread, cost: 1_000, ..question.request() };
            let chosen = select(&table, &corrections, &request).primary.expect("some nodes");
            hits[usize::from(chosen.weight().get() > 100)] += 1;
        }
        f64::from(hits[1]) / f64::from(hits[0])
    };
    // On all nodes, on those whose lot is good enough, and on some of many of which only some are looked at.
    for (count, spread) in [(4, 4), (20, 20), (20, 60), (200, 20), (200, 160), (200, 800)] {
        let odds = odds(count, spread);
        assert!((3.5..4.5).contains(&odds), "{odds} for {spread} of {count}");
    }
}

#[test]
fn an_idle_cluster_keeps_a_key_where_it_is() {
    let question = Question::about("popular");
    let owner = primary(&table(&nodes(4)), &question).expect("four nodes");
    let mut views = nodes(4);
    for view in views.iter_mut().filter(|view| view.facts.id.as_str() == owner) {
        *view = loaded(view.clone(), 0.29);
    }
    assert_eq!(primary(&table(&views), &question), Some(owner));
}

#[test]
fn of_two_choices_the_clearly_less_loaded_one_wins() {
    let question = Question::about("popular");
    let owner = primary(&table(&nodes(8)), &question).expect("eight nodes");
    let second = alternates(&table(&nodes(8)), &question).swap_remove(0);
    let with = |second_share: f64| {
        let mut views = nodes(8);
        for view in &mut views {
            *view = loaded(view.clone(), if view.facts.id.as_str() == second { second_share } else { 0.5 });
        }
        let table = table(&views).with_rules(Rules { clearly_less: 0.5, ..Rules::default() });
        let selection = ask(&table, &question);
        (selection.primary.expect("eight nodes").id().to_string(), selection.choice)
    };
    assert_eq!(with(0.26), (owner, Some(Choice::Affinity)));
    assert_eq!(with(0.24), (second, Some(Choice::SecondChoice)));
}

#[test]
fn a_full_node_gets_nothing_unless_that_leaves_nobody() {
    let question = Question::about("a");
    let owner = primary(&table(&nodes(5)), &question).expect("five nodes");
    let second = alternates(&table(&nodes(5)), &question).swap_remove(0);
    let fill = |full: &[&str]| {
        let mut views = nodes(5);
        for view in &mut views {
            *view = loaded(view.clone(), 0.2);
            let share = if full.contains(&view.facts.id.as_str()) { 0.96 } else { 0.0 };
            view.load.disk = Share::clamped(share);
        }
        table(&views)
    };
    // The owner is within its bound: nothing but its disk keeps the key away.
    assert_eq!(primary(&fill(&[]), &question).as_ref(), Some(&owner));
    assert_ne!(primary(&fill(&[&owner]), &question).as_ref(), Some(&owner));
    assert!(!alternates(&fill(&[&owner]), &question).contains(&owner), "three others are not full");
    assert!(!alternates(&fill(&[&second]), &question).contains(&second), "three others are not full");
    let all = fill(&["n0", "n1", "n2", "n3", "n4"]);
    let selection = ask(&all, &question);
    assert_eq!(selection.primary.expect("five nodes").id().as_str(), owner);
    assert_eq!(selection.choice, Some(Choice::Panic));
}

#[test]
fn every_measure_can_fill_a_node() {
    let fills = |change: fn(&mut NodeView)| {
        let mut view = node("n");
        change(&mut view);
        ask(&table(&[view]), &Question::about("a")).choice == Some(Choice::Panic)
    };
    assert!(!fills(|_| ()));
    assert!(fills(|view| view.load.cpu = Share::clamped(0.96)));
    assert!(fills(|view| view.load.disk = Share::clamped(0.96)));
    let with_transfers = |transfers: u32| {
        let mut view = with_facts(node("n"), |facts| facts.max_transfers = NonZeroU32::new(100));
        view.load.transfers = transfers;
        ask(&table(&[view]), &Question::about("a")).choice == Some(Choice::Panic)
    };
    assert!(!with_transfers(95));
    assert!(with_transfers(96));
}

#[test]
fn transfers_that_were_sent_a_moment_ago_count_against_the_limit() {
    let limited = with_facts(node("n"), |facts| facts.max_transfers = NonZeroU32::new(10));
    let table = table(&[limited]);
    let corrections = Corrections::for_table(&table, None);
    let question = Question::about("a");
    let choices: Vec<_> = (0..12)
        .map(|_| {
            let selection = select(&table, &corrections, &question.request());
            corrections.sent(selection.primary.expect("one node"), COST, NOW);
            selection.choice.expect("one node")
        })
        .collect();
    assert_eq!(choices.iter().position(|&choice| choice == Choice::Panic), Some(10), "{choices:?}");
}

#[test]
fn a_tier_where_everybody_is_full_passes_on_even_into_one_that_is_worse_off_as_a_whole() {
    let mut flooded = at(with_facts(node("flooded"), |facts| facts.max_transfers = NonZeroU32::MIN.into()), "us", "a");
    flooded.load.transfers = 30;
    let mut full = at(node("full"), "eu", "a");
    full.load.disk = Share::clamped(0.97);
    let table = table(&[full, flooded, at(node("free"), "us", "a")]);
    assert_eq!(primary(&table, &Question::about("a").from("eu", "a")).as_deref(), Some("free"));
}

#[test]
fn one_fast_client_does_not_make_a_node_full_but_many_that_starve_do() {
    let with = |transfers: u32| {
        let mut busy = node("busy");
        busy.load = Load { bytes_per_second: GIGABIT, transfers, ..Load::default() };
        let table = table(&[busy]);
        ask(&table, &Question::about("a")).choice
    };
    assert_eq!(with(1), Some(Choice::Affinity));
    assert_eq!(with(130), Some(Choice::Panic));
}

#[test]
fn what_a_gateway_sent_a_moment_ago_counts_as_load() {
    let table = table(&nodes(3));
    let corrections = Corrections::for_table(&table, None);
    let question = Question::about("popular");
    let mut hits = BTreeMap::<String, u32>::new();
    for _ in 0..600 {
        let request = Request { cost: 5 * COST, ..question.request() };
        let chosen = select(&table, &corrections, &request).primary.expect("three nodes");
        corrections.sent(chosen, request.cost, NOW);
        *hits.entry(chosen.id().to_string()).or_default() += 1;
    }
    assert_eq!(hits.len(), 3, "one key herded onto one node: {hits:?}");
    assert!(hits.values().all(|&hits| hits <= 301), "{hits:?}");

    // A new table forgets none of it, and finds each node's own whatever place it has now.
    let mut views = nodes(3);
    views.push(node("a-new-one"));
    let grown = Table::from_views(&views, Some(&table), NOW);
    let carried = Corrections::for_table(&grown, Some(&corrections));
    for (id, hits) in hits {
        let candidate = grown.find(&id.parse().expect("a good name")).expect("still there");
        let expected = f64::from(hits) * 5e6;
        assert!((carried.of(candidate, NOW) / expected - 1.0).abs() < 1e-3);
    }
}

#[test]
fn loads_rise_quickly_and_fall_slowly_however_often_the_table_is_built() {
    let beat = |beat: u64, bytes_per_second: u64| {
        let freshness = Freshness { incarnation: Incarnation(1), beat };
        NodeView { freshness, load: Load { bytes_per_second, ..Load::default() }, ..node("n") }
    };
    let load = |table: &Table| table.iter().next().expect("one node").load();
    let mut now = NOW;
    let mut after = |earlier: &Table, view: &NodeView, steps: u32| {
        let (step, begun) = (Duration::from_secs(2) / steps, now);
        now = begun + step * steps;
        (1..=steps)
            .fold(earlier.clone(), |table, passed| Table::from_views([view], Some(&table), begun + step * passed))
    };
    for steps in [1, 20] {
        let idle = after(&Table::default(), &beat(1, 0), 1);
        let risen = after(&idle, &beat(2, 1_000_000), steps);
        assert!((load(&risen) / 632_121.0 - 1.0).abs() < 1e-3, "one time constant: {}", load(&risen));
        let falling = after(&risen, &beat(3, 0), steps);
        assert!((load(&falling) / 517_536.0 - 1.0).abs() < 1e-3, "a fifth of one: {}", load(&falling));
    }
    let mut reborn = beat(1, 7);
    reborn.freshness.incarnation = Incarnation(2);
    assert_eq!(load(&after(&table(&[beat(9, 1_000_000)]), &reborn, 1)), 7.0, "a new life owes nothing to the old one");
}

/// A coordinator that never heard a node names no life of it; whoever is heard a moment later is not born then.
#[test]
fn a_node_whose_life_becomes_known_does_not_begin_anew() {
    let views = |life: u64| {
        let freshness = Freshness { incarnation: Incarnation(life), beat: 1 };
        [NodeView { freshness, ..node("a") }, node("b")]
    };
    let chosen = |table: &Table| {
        let is_chosen = |key: &u32| primary(table, &Question::about(&format!("key/{key}"))).as_deref() == Some("a");
        (0..200).filter(is_chosen).count()
    };
    let [unheard, known, other] = [0, 5, 6].map(views);
    let then = Table::from_views(&known, Some(&table(&unheard)), NOW);
    assert!((70..130).contains(&chosen(&then)), "{}", chosen(&then));
    let reborn = Table::from_views(&other, Some(&then), NOW);
    assert!(chosen(&reborn) < 50, "one that was started anew gets its share slowly: {}", chosen(&reborn));
}

/// Corrections are shared: while one request is decided, others fill the node that was free when it began.
#[test]
fn a_node_that_fills_up_while_a_request_is_decided_still_serves_it() {
    let table = table(&[loaded(node("a"), 0.9)]);
    let corrections = Corrections::for_table(&table, None);
    let question = Question::about("a");
    let request = question.request();
    let round = Round::new(&table, &corrections, &request);
    corrections.sent(table.iter().next().expect("one node"), 10 * GIGABIT, NOW);
    let selection = round.select();
    assert!(selection.primary.is_some(), "somebody is eligible (S1)");
    assert_eq!(selection.choice, Some(Choice::Panic));
}
