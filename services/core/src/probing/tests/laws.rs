//! O1 to O3 over any script of words, silences, operators' decisions and faults.

use proptest::prelude::*;

use super::*;

const NODES: usize = 4;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// The coordinators say something of a node.
    Said { node: usize, state: NodeState, duty: Duty, in_doubt: bool, another_life: bool },
    /// A node answers like that from now on.
    Answers { node: usize, probe: Probe },
    /// No coordinator is live, or one is.
    Alone(bool),
    /// The gateway is away while it looks.
    Away,
    /// Time passes.
    Passes(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let states = NodeState::ALL.to_vec();
    let duty = prop_oneof![3 => Just(Duty::Serve), 1 => Just(Duty::Drain), 1 => Just(Duty::Maintenance)];
    let probes = vec![Probe::Well, Probe::Unwell, Probe::Declined, Probe::Unreached];
    let said = (0..NODES, prop::sample::select(states), duty, any::<bool>(), prop::bool::weighted(0.1));
    prop_oneof![
        4 => said.prop_map(|(node, state, duty, in_doubt, another_life)| {
            Step::Said { node, state, duty, in_doubt, another_life }
        }),
        3 => (0..NODES, prop::sample::select(probes)).prop_map(|(node, probe)| Step::Answers { node, probe }),
        1 => any::<bool>().prop_map(Step::Alone),
        1 => Just(Step::Away),
        3 => (100_u64..8000).prop_map(Step::Passes),
    ]
}

/// Four nodes, how they answer, and the time.
struct World {
    watch: Watch,
    answers: [Probe; NODES],
    now: u64,
}

impl World {
    fn after(steps: &[Step]) -> Self {
        let views = (0..NODES).map(|n| view(&n.to_string(), NodeState::Up, false)).collect();
        let mut world = Self { watch: Watch::of(views), answers: [Probe::Well; NODES], now: 0 };
        steps.iter().for_each(|step| world.take(step));
        world
    }

    fn take(&mut self, step: &Step) {
        self.now += 1;
        match *step {
            Step::Said { node, state, duty, in_doubt, another_life } => {
                let view = &mut self.watch.views[node];
                // What the merge makes of a decision.
                view.state = match (state, duty) {
                    (_, Duty::Maintenance) => NodeState::Maintenance,
                    (NodeState::Maintenance, _) => NodeState::Down,
                    (NodeState::Down, _) | (_, Duty::Serve) => state,
                    (_, Duty::Drain) => NodeState::Draining,
                };
                view.in_doubt = in_doubt && view.state == NodeState::Suspect;
                view.intent = Intent { duty, revision: self.now, ..Intent::default() };
                view.freshness.incarnation.0 += u64::from(another_life);
                self.watch.note(self.now);
            }
            Step::Answers { node, probe } => self.answers[node] = probe,
            Step::Alone(alone) => self.watch.leave(self.now, alone),
            Step::Away => {
                for (id, life) in self.watch.probing.take_due(at(self.now)) {
                    let _ = self.watch.probing.probed(at(self.now), &id, life, None);
                }
            }
            Step::Passes(span) => self.pass(span),
        }
    }

    fn pass(&mut self, span: u64) {
        let answers = self.answers;
        let _ = self.watch.run(self.now, self.now + span, |id| answers[id.parse::<usize>().expect("a number")]);
        self.now += span + 600;
    }

    fn is_decided(&self, node: usize) -> bool {
        self.watch.views[node].intent.drains()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_probe_overrules_an_operator(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::after(&[]);
        for step in &steps {
            world.take(step);
            for (node, state) in world.watch.states().into_iter().enumerate().filter(|(node, _)| world.is_decided(*node)) {
                prop_assert_eq!(state, world.watch.views[node].state, "O1: after {:?}", step);
                prop_assert!(!state.selectable(), "O1: after {:?}", step);
            }
        }
    }

    #[test]
    fn a_gateway_that_reaches_nobody_takes_nobody_out(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::after(&steps);
        world.answers = [Probe::Well; NODES];
        world.take(&Step::Alone(true));
        world.pass(12_000);
        let before = world.watch.states();
        world.answers = [Probe::Unreached; NODES];
        world.pass(30_000);
        prop_assert_eq!(world.watch.states(), before, "O2");
    }

    #[test]
    fn the_table_is_empty_only_if_nobody_answers(steps in prop::collection::vec(step(), 1..40), node in 0..NODES) {
        let mut world = World::after(&steps);
        world.answers[node] = Probe::Well;
        world.pass(12_000);
        let states = world.watch.states();
        prop_assert!(states.iter().any(|state| state.selectable()) || world.is_decided(node), "O3: {:?}", states);
    }

    #[test]
    fn coordinators_that_have_somebody_are_believed(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::after(&steps);
        let views = &mut world.watch.views;
        views.iter_mut().for_each(|view| view.in_doubt = false);
        (views[0].state, views[0].intent) = (NodeState::Up, Intent::default());
        world.watch.alone = false;
        world.watch.note(world.now);
        world.pass(5000);
        let said: Vec<_> = world.watch.views.iter().map(|view| view.state).collect();
        prop_assert_eq!(world.watch.states(), said);
        prop_assert_eq!(world.watch.probing.next_deadline(), None);
    }
}
