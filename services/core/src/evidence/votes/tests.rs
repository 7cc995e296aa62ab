use proptest::prelude::*;

use super::*;

const SICK_NODE: NodeKey = NodeKey(1);
const WELL_NODE: NodeKey = NodeKey(2);

fn at(seconds: u64) -> Tick {
    Tick::from_origin(Duration::from_secs(1_000 + seconds))
}

fn network(number: u8) -> Network {
    Network::V4([198, 51, number])
}

/// So many redirects from that network to the node, of which so many arrive.
fn redirects(votes: &mut Votes, from: u8, node: NodeKey, sent: u32, arrived: u32, second: u64) {
    for redirect in 0..sent {
        let (arrived, who) = ((redirect < arrived).then_some(node), Who(redirect % 7));
        // Who does not arrive here follows other redirects, unless he is a bot.
        votes.follows(network(from), who, at(second));
        votes.count(Outcome { who, network: network(from), node, arrived }, at(second));
    }
}

/// Networks from which everything arrives at one node, and nothing at the other.
fn sick(networks: u8) -> Votes {
    let mut votes = Votes::default();
    for from in 0..networks {
        redirects(&mut votes, from, WELL_NODE, 5, 5, 0);
        redirects(&mut votes, from, SICK_NODE, 5, 0, 0);
    }
    votes.weigh(at(0));
    votes
}

fn doubted_by_all(votes: &Votes) -> Vec<NodeKey> {
    votes.doubted().filter(|(_, network)| network.is_none()).map(|(node, _)| node).collect()
}

#[test]
fn a_node_at_which_nothing_arrives_is_doubted_for_everybody_by_three_networks() {
    assert_eq!(doubted_by_all(&sick(3)), [SICK_NODE]);
    let two = sick(2);
    assert_eq!(doubted_by_all(&two), []);
    let ways = [0, 1].map(|from| (SICK_NODE, Some(network(from))));
    assert!(two.doubted().eq(ways), "but for the networks themselves");
}

#[test]
fn many_networks_with_a_client_each_are_heard_too() {
    let mut votes = Votes::default();
    for from in 0..9 {
        redirects(&mut votes, from, SICK_NODE, 1, 0, 0);
        redirects(&mut votes, from, WELL_NODE, 1, 1, 0);
    }
    votes.weigh(at(0));
    assert_eq!(votes.doubted().collect::<Vec<_>>(), [(SICK_NODE, None)], "no one of them could tell it alone");
}

/// "One network's reports count once: attack it."
#[test]
fn one_network_with_a_hundred_thousand_redirects_has_one_vote() {
    let mut votes = Votes::default();
    for from in 1..4 {
        redirects(&mut votes, from, SICK_NODE, 4, 4, 0);
        redirects(&mut votes, from, WELL_NODE, 4, 4, 0);
    }
    redirects(&mut votes, 0, WELL_NODE, 5, 5, 0);
    redirects(&mut votes, 0, SICK_NODE, 100_000, 0, 0);
    votes.weigh(at(0));
    assert!(votes.doubted().eq([(SICK_NODE, Some(network(0)))]), "it does without the node itself, and that is all");
}

#[test]
fn who_never_follows_anything_has_no_vote() {
    let mut votes = Votes::default();
    for from in 0..50 {
        redirects(&mut votes, from, SICK_NODE, 1000, 0, 0);
        redirects(&mut votes, from, WELL_NODE, 1000, 0, 0);
    }
    votes.weigh(at(0));
    assert_eq!(votes.doubted().count(), 0);
}

/// People fetch from one node what they like, and bots ask for everything: it is not the others' fault that bots do not come.
#[test]
fn who_never_arrives_anywhere_is_not_counted_beside_those_who_do() {
    let mut votes = Votes::default();
    for from in 0..10 {
        redirects(&mut votes, from, WELL_NODE, 50, 50, 0);
        for bot in 0..50 {
            let outcome = Outcome { who: Who(100 + bot), network: network(from), node: SICK_NODE, arrived: None };
            votes.count(outcome, at(0));
        }
    }
    votes.weigh(at(0));
    assert_eq!(votes.doubted().count(), 0);
}

#[test]
fn one_client_alone_does_not_keep_its_network_from_a_node() {
    for (clients, doubted) in [(2, 0), (3, 1)] {
        let mut votes = Votes::default();
        redirects(&mut votes, 0, WELL_NODE, 50, 50, 0);
        for client in (0..clients).cycle().take(50) {
            let outcome = Outcome { who: Who(client), network: network(0), node: SICK_NODE, arrived: None };
            votes.count(outcome, at(0));
        }
        votes.weigh(at(0));
        assert_eq!(votes.doubted().count(), doubted, "{clients} clients");
    }
}

#[test]
fn bots_and_people_behind_the_same_addresses_put_no_node_in_doubt() {
    let mut votes = Votes::default();
    for from in 0..10 {
        for node in [SICK_NODE, WELL_NODE] {
            redirects(&mut votes, from, node, 100, 30, 0);
        }
    }
    votes.weigh(at(0));
    assert_eq!(votes.doubted().count(), 0);
}

#[test]
fn a_doubt_ends_with_arrivals_and_with_time() {
    let mut votes = sick(5);
    votes.weigh(at(19));
    assert_eq!(doubted_by_all(&votes), [SICK_NODE]);
    votes.weigh(at(20));
    assert_eq!(votes.doubted().count(), 0, "the node is tried again");

    let mut votes = sick(5);
    redirects(&mut votes, 0, SICK_NODE, 2, 2, 1);
    votes.weigh(at(1));
    assert_eq!(doubted_by_all(&votes), [], "two that were sent there in spite of it came");
}

#[test]
fn a_doubt_lasts_while_those_who_try_the_node_do_not_arrive() {
    let mut votes = sick(5);
    for second in (5..60).step_by(5) {
        for from in 0..3 {
            redirects(&mut votes, from, SICK_NODE, 1, 0, second);
            redirects(&mut votes, from, WELL_NODE, 5, 5, second);
        }
        votes.weigh(at(second));
        assert_eq!(doubted_by_all(&votes), [SICK_NODE], "after {second} s");
    }
}

#[test]
fn one_network_that_never_arrives_prolongs_its_own_doubt_and_nobody_elses_however_many_arrivals_others_lack() {
    let mut votes = sick(3);
    for second in 1..60 {
        redirects(&mut votes, 0, SICK_NODE, 50, 0, second);
        redirects(&mut votes, 0, WELL_NODE, 50, 50, second);
        // Too little to lift a doubt, and nothing against the node.
        for from in 1..3 {
            redirects(&mut votes, from, WELL_NODE, 50, 1, second);
            redirects(&mut votes, from, SICK_NODE, 1, 1, second);
        }
        votes.weigh(at(second));
    }
    assert!(votes.doubted().eq([(SICK_NODE, Some(network(0)))]));
}

#[test]
fn one_client_does_not_prolong_the_doubt_of_its_network() {
    let mut votes = sick(2);
    assert_eq!(votes.doubted().count(), 2);
    for second in 1..=20 {
        redirects(&mut votes, 0, WELL_NODE, 5, 5, second);
        for who in [Who(1), Who(2)] {
            let outcome = Outcome { who, network: network(0), node: SICK_NODE, arrived: None };
            votes.count(outcome, at(second));
        }
        votes.weigh(at(second));
    }
    assert_eq!(votes.doubted().count(), 0);
}

#[test]
fn of_a_node_that_left_something_out_or_was_out_nothing_is_said() {
    let mut votes = Votes::default();
    votes.excuse(SICK_NODE, at(0));
    for from in 0..9 {
        redirects(&mut votes, from, WELL_NODE, 5, 5, 1);
        redirects(&mut votes, from, SICK_NODE, 5, 0, 1);
    }
    votes.weigh(at(1));
    assert_eq!(votes.doubted().count(), 0);
    let mut votes = sick(9);
    votes.forget(&BTreeSet::from([SICK_NODE]), at(1));
    votes.weigh(at(1));
    assert_eq!(votes.doubted().count(), 0, "it is back, and has done nothing since");
}

#[test]
fn nothing_is_said_of_anybody_while_no_word_comes_and_until_what_was_sent_then_is_settled() {
    let unheard = |votes: &mut Votes, second| {
        for from in 0..9 {
            redirects(votes, from, WELL_NODE, 5, 5, second);
            redirects(votes, from, SICK_NODE, 5, 0, second);
        }
    };
    let mut votes = Votes::default();
    unheard(&mut votes, 0);
    votes.deaf(at(0));
    for second in 0..6 {
        unheard(&mut votes, second);
        votes.weigh(at(second));
        assert_eq!(votes.doubted().count(), 0, "after {second} s");
    }
    unheard(&mut votes, 6);
    votes.weigh(at(6));
    assert_eq!(doubted_by_all(&votes), [SICK_NODE], "it listens again");
}

#[test]
fn who_finds_another_node_by_himself_shows_that_he_follows() {
    let mut votes = Votes::default();
    for from in 0..3 {
        for _ in 0..3 {
            let (who, arrived) = (Who(1), Some(WELL_NODE));
            let outcome = Outcome { who, network: network(from), node: SICK_NODE, arrived };
            votes.count(outcome, at(0));
        }
    }
    votes.weigh(at(0));
    assert_eq!(doubted_by_all(&votes), [SICK_NODE]);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut votes = Votes::default();
    for number in 0..u32::try_from(3 * MOST_WAYS).expect("small") {
        let [_, a, b, c] = number.to_be_bytes();
        let arrived = Some(WELL_NODE);
        let network = Network::V4([a, b, c]);
        votes.follows(network, Who(number), at(0));
        votes.count(Outcome { who: Who(number), network, node: WELL_NODE, arrived }, at(0));
    }
    assert_eq!(votes.followers.len(), MOST_FOLLOWERS);
    assert_eq!(votes.ways[0].len(), MOST_WAYS);
    votes.weigh(at(60));
    assert_eq!((votes.following.len(), votes.followers.len()), (0, 0), "nobody followed anything for a minute");
}

#[test]
fn one_host_with_many_names_leaves_room_for_those_who_follow_elsewhere() {
    let mut votes = Votes::default();
    for name in 0..u32::try_from(2 * MOST_FOLLOWERS).expect("small") {
        votes.follows(network(99), Who(1000 + name), at(0));
    }
    for from in 0..3 {
        redirects(&mut votes, from, WELL_NODE, 5, 5, 0);
        redirects(&mut votes, from, SICK_NODE, 5, 0, 0);
    }
    votes.weigh(at(0));
    assert_eq!(doubted_by_all(&votes), [SICK_NODE]);
}

proptest! {
    /// V1.
    #[test]
    fn two_networks_never_speak_for_all(
        script in prop::collection::vec((0_u8..2, 0_u32..3, 1_u32..200, 0_u32..200, 0_u64..5), 1..80),
    ) {
        let (mut votes, mut second) = (Votes::default(), 0);
        for (from, node, sent, arrived, passed) in script {
            second += passed;
            redirects(&mut votes, from, NodeKey(node), sent, arrived, second);
            votes.weigh(at(second));
            prop_assert_eq!(doubted_by_all(&votes), []);
        }
    }

    /// V1, where three had spoken before.
    #[test]
    fn two_networks_never_speak_on_for_all(
        networks in 1_u8..=2, script in prop::collection::vec((0_u8..2, 1_u32..4, 1_u32..200, 0_u32..200, 0_u64..5), 1..80),
    ) {
        let (mut votes, mut second) = (sick(3), 0);
        prop_assert_eq!(doubted_by_all(&votes), [SICK_NODE]);
        for (from, node, sent, arrived, passed) in script {
            second += passed;
            redirects(&mut votes, from % networks, NodeKey(node), sent, arrived, second);
            votes.weigh(at(second));
            prop_assert!(second < DOUBTED.as_secs() || doubted_by_all(&votes).is_empty(), "after {} s", second);
        }
    }

    /// Where all arrive alike, nobody is doubted, however few follow.
    #[test]
    fn nobody_is_doubted_where_all_are_alike(networks in 1_u8..20, nodes in 2_u32..6, sent in 1_u32..50, of_ten in 0_u32..=10) {
        let mut votes = Votes::default();
        for from in 0..networks {
            for node in 0..nodes {
                redirects(&mut votes, from, NodeKey(node), sent * 10, sent * of_ten, 0);
            }
        }
        votes.weigh(at(0));
        prop_assert_eq!(votes.doubted().count(), 0);
    }
}
