use ferry_core::{
    evidence::{Fate, Sighting},
    id::Incarnation,
    load::Load,
    node::{Freshness, Intent, NodeFacts, NodeState, NodeView},
    object::ObjectPath,
};

use super::*;

/// A network from which nothing is followed.
const CROWD: u8 = 200;

fn at(millis: u64) -> Tick {
    Tick::from_origin(Duration::from_secs(1_000) + Duration::from_millis(millis))
}

fn view(id: &NodeId, state: NodeState) -> NodeView {
    NodeView {
        facts: Arc::new(NodeFacts {
            address: Some("127.0.0.1:1".parse().expect("valid")),
            reports_arrivals: true,
            ..NodeFacts::named(id.clone())
        }),
        state,
        freshness: Freshness { incarnation: Incarnation(1), beat: 1 },
        load: Load::default(),
        heard_ago: Duration::ZERO,
        intent: Intent::default(),
        in_doubt: false,
    }
}

fn ids() -> [NodeId; 3] {
    ["a", "b", "c"].map(|id| id.parse().expect("a name"))
}

fn table(states: [NodeState; 3]) -> Table {
    let mut table = Table::default();
    let views = ids().into_iter().zip(states).map(|(id, state)| view(&id, state));
    let views: Vec<_> = views.collect();
    table.apply(views.iter().map(|view| (&view.facts.id, Some(view))), at(0));
    table
}

/// A gateway's memory and the three nodes that it redirects to.
struct World {
    evidence: Evidence,
    table: Table,
    /// How many redirects this gateway made.
    redirects: u64,
    /// Whether no coordinator is heard.
    deaf: bool,
}

impl World {
    fn new() -> Self {
        Self {
            evidence: Evidence::new(Figures::default()),
            table: table([NodeState::Up; 3]),
            redirects: 0,
            deaf: false,
        }
    }

    fn caller(&self, address: [u8; 4], client: u64) -> Caller {
        let key = ObjectKey::plain(ObjectPath::from_decoded("a").expect("a good path"));
        self.evidence.caller(Some(client), address.into(), b"", &key)
    }

    /// Sends a client of that network to the node; it arrives, or not.
    fn redirect(&mut self, network: u8, node: usize, arrives: bool, millis: u64) -> RedirectId {
        self.redirects += 1;
        // Seven clients in every network, but for the crowd.
        let client = if network == CROWD { 1000 + self.redirects % 500 } else { self.redirects % 7 };
        let caller = self.caller([198, 51, network, 7], client);
        let redirect = self.evidence.name();
        let id = &ids()[node];
        let candidate = self.table.find(id).expect("it is there");
        self.evidence.sent(caller, candidate, &Avoided::default(), Some(redirect), self.deaf, at(millis));
        if arrives {
            self.hear(node, redirect, Fate::Complete, millis + 100);
        }
        redirect
    }

    fn hear(&self, node: usize, redirect: RedirectId, fate: Fate, millis: u64) {
        let sighting = Sighting { network: Network::V4([198, 51, 0]), redirect, fate };
        let report = Report { sightings: vec![sighting], ..Report::default() };
        self.evidence.hear(&ids()[node], &report, at(millis));
    }

    fn doubted(&self, network: u8) -> Vec<NodeId> {
        let verdicts = self.evidence.verdicts();
        let network = Network::V4([198, 51, network]);
        verdicts.by_network.get(&network).unwrap_or(&verdicts.for_all).clone()
    }

    fn weigh(&self, millis: u64) {
        self.evidence.weigh(&self.table, self.deaf, at(millis));
    }
}

#[test]
fn a_node_at_which_nobody_arrives_is_doubted_and_the_others_are_not() {
    let mut world = World::new();
    for network in 0..4 {
        for node in [0, 1, 1, 2, 2, 0, 0, 0] {
            world.redirect(network, node, node != 0, 0);
        }
    }
    world.weigh(3_900);
    assert_eq!(world.doubted(0), [], "it is too early to say");
    world.weigh(4_000);
    assert_eq!(world.doubted(0), ids()[..1]);
    assert_eq!(world.doubted(99), ids()[..1], "for everybody");
    assert_eq!(world.evidence.figures.doubted.get(), 1);
    let caller = world.caller([198, 51, 99, 1], 1);
    let verdicts = world.evidence.verdicts();
    let asked = 10_000;
    let trickle = (0..asked).filter(|_| verdicts.on(caller).is_empty()).count();
    assert!((1..asked / 10).contains(&trickle), "{trickle} of {asked} are sent there all the same");
}

/// One network, a hundred thousand redirects, none of them followed: nobody is doubted, by others or by anybody.
#[test]
fn a_crowd_that_follows_nothing_changes_nothing() {
    let mut world = World::new();
    for second in 0..20 {
        for redirect in 0..5_000 {
            world.redirect(CROWD, redirect % 3, false, second * 1000);
        }
        for network in 1..4 {
            for node in 0..3 {
                world.redirect(network, node, true, second * 1000);
            }
        }
        world.weigh(second * 1000);
        for network in [CROWD, 1, 2, 3, 4] {
            assert_eq!(world.doubted(network), [], "after {second} s, network {network}");
        }
    }
    assert_eq!((world.evidence.figures.doubted.get(), world.evidence.figures.doubted_by_networks.get()), (0, 0));
}

#[test]
fn of_a_node_that_is_out_by_its_state_nothing_is_concluded() {
    let mut world = World::new();
    for network in 0..4 {
        for node in [0, 0, 0, 0, 1, 1] {
            world.redirect(network, node, node != 0, 0);
        }
    }
    world.table = table([NodeState::Down, NodeState::Up, NodeState::Up]);
    world.weigh(1_000);
    world.table = table([NodeState::Up; 3]);
    world.weigh(5_000);
    assert_eq!(world.doubted(0), [], "it is back");
}

#[test]
fn a_client_who_comes_back_avoids_the_node_until_its_report_says_that_all_is_well() {
    let mut world = World::new();
    let redirect = world.redirect(0, 0, false, 0);
    let caller = world.caller([198, 51, 0, 7], 1);
    let avoids = |millis| world.evidence.avoided(caller, false, at(millis)).contains(key_of(&ids()[0]));
    assert!(!avoids(900) && avoids(1_000));
    world.hear(1, redirect, Fate::Complete, 1_000);
    assert!(avoids(1_000), "another node cannot speak for this one");
    world.hear(0, RedirectId(redirect.0 ^ (1 << 40)), Fate::Complete, 1_000);
    assert!(avoids(1_000), "an id must be known, not guessed");
    world.hear(0, redirect, Fate::UnderWay, 1_000);
    assert!(!avoids(3_000) && avoids(3_500));
    world.hear(0, redirect, Fate::Complete, 3_500);
    assert!(!avoids(60_000));
}

#[test]
fn while_no_coordinator_is_heard_clients_stay_and_no_node_is_doubted_for_it_afterwards() {
    let mut world = World::new();
    let known = world.caller([198, 51, 0, 7], 1);
    for second in 0..10 {
        world.deaf = second < 5;
        for network in 0..4 {
            for node in [0, 1, 2] {
                // The words of two nodes come through at once again, and those of the third are lost until the coordinators are back.
                world.redirect(network, node, node != 0 || second >= 5, second * 1_000);
            }
        }
        let avoided = world.evidence.avoided(known, world.deaf, at(second * 1_000));
        assert!(avoided.is_empty(), "after {second} s");
        world.weigh(second * 1_000);
    }
    for second in 10..20 {
        world.weigh(second * 1_000);
        assert_eq!(world.doubted(0), [], "after {second} s");
    }
}

#[test]
fn of_a_node_that_reports_nothing_no_client_is_kept_away() {
    let mut world = World::new();
    let mut mute = view(&ids()[0], NodeState::Up);
    mute.facts = Arc::new(NodeFacts { reports_arrivals: false, ..NodeFacts::clone(&mute.facts) });
    world.table.apply([(&ids()[0], Some(&mute))], at(0));
    world.redirect(0, 0, false, 0);
    world.redirect(0, 1, false, 0);
    let avoids = |client| world.evidence.avoided(world.caller([198, 51, 0, 7], client), false, at(5_000));
    assert!(avoids(1).is_empty());
    assert!(avoids(2).contains(key_of(&ids()[1])), "which reports");
}

#[test]
fn a_flood_that_makes_redirects_forgotten_sends_nobody_away() {
    let mut world = World::new();
    let known = world.caller([198, 51, 0, 7], 1);
    let redirect = world.redirect(0, 0, false, 0);
    world.hear(0, redirect, Fate::UnderWay, 500);
    let avoids = |world: &World| world.evidence.avoided(known, false, at(5_000)).contains(key_of(&ids()[0]));
    assert!(avoids(&world), "no word of it came for a while");
    // Each part is chosen at random: nearly twice the ring fills them all.
    for _ in 0..PARTS * PLACES * 2 {
        world.redirect(CROWD, 1, false, 1_000);
    }
    world.hear(0, redirect, Fate::Complete, 5_000);
    assert!(!avoids(&world), "the word finds nothing, and its absence means nothing");
}

#[test]
fn users_addresses_and_agents_tell_clients_apart() {
    let evidence = Evidence::new(Figures::default());
    let key = |path: &str| ObjectKey::plain(ObjectPath::from_decoded(path).expect("a good path"));
    let callers = [
        evidence.caller(None, [192, 0, 2, 1].into(), b"curl", &key("a")),
        evidence.caller(None, [192, 0, 2, 1].into(), b"wget", &key("a")),
        evidence.caller(None, [192, 0, 2, 2].into(), b"curl", &key("a")),
        evidence.caller(None, [192, 0, 2, 1].into(), b"curl", &key("b")),
        evidence.caller(Some(1), [192, 0, 2, 1].into(), b"curl", &key("a")),
        evidence.caller(Some(2), [192, 0, 2, 1].into(), b"curl", &key("a")),
    ];
    let different: BTreeSet<_> = callers.iter().map(|caller| caller.client.0).collect();
    assert_eq!(different.len(), callers.len());
    let elsewhere = evidence.caller(Some(1), [203, 0, 113, 1].into(), b"wget", &key("a"));
    assert_eq!(elsewhere.client, callers[4].client, "a user is the same from everywhere");
}
