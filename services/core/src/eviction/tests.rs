use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use super::*;

const ADMIT_ALL: Admission = Admission { largest: u64::MAX, first: First::Admit };

fn arrival(what: u64, bytes: u64) -> Arrival<u64> {
    Arrival { what, fingerprint: what, bytes, asked: 0, pinned: false }
}

/// A cache of so many bytes: asks for an object, and takes it in if it is not there.
struct Cache {
    queues: S3Fifo<u64>,
    tokens: BTreeMap<u64, Token>,
    most: u64,
}

impl Cache {
    fn new(most: u64) -> Self {
        Self { queues: S3Fifo::default(), tokens: BTreeMap::new(), most }
    }

    /// Whether it was there.
    fn ask(&mut self, what: u64, bytes: u64) -> bool {
        if let Some(token) = self.tokens.get(&what) {
            self.queues.hit(*token);
            return true;
        }
        while self.queues.bytes() + bytes > self.most {
            let gone = self.queues.evict(|_| true).expect("something may go");
            self.tokens.remove(&gone).expect("it was there");
        }
        self.tokens.insert(what, self.queues.insert(arrival(what, bytes)));
        false
    }
}

#[test]
fn a_scan_pushes_out_nothing_that_is_asked_for() {
    let mut cache = Cache::new(100);
    // A working set of 50, asked for twice while there is room.
    for what in (0..50).chain(0..50) {
        cache.ask(what, 1);
    }
    // A scan of ten times the cache, and now and then the working set.
    let mut misses = 0;
    for what in 1_000..2_000 {
        cache.ask(what, 1);
        if what % 5 == 0 {
            misses += u32::from(!cache.ask(what / 5 % 50, 1));
        }
    }
    assert_eq!(misses, 0);
}

#[test]
fn what_comes_back_soon_after_it_went_is_kept_longer() {
    let mut cache = Cache::new(100);
    for what in 0..200 {
        cache.ask(what, 1);
    }
    assert!(!cache.ask(95, 1), "it went");
    // In the small queue it would go with these.
    for what in 1_000..1_150 {
        cache.ask(what, 1);
    }
    assert!(cache.ask(95, 1));
}

#[test]
fn nothing_that_is_pinned_or_in_use_goes() {
    let mut queues = S3Fifo::default();
    queues.insert(Arrival { pinned: true, ..arrival(1, 10) });
    for what in 2..6 {
        queues.insert(arrival(what, 10));
    }
    assert_eq!(queues.evict(|what| *what > 3), Some(4));
    assert_eq!(queues.evict(|what| *what > 3), Some(5));
    assert_eq!(queues.evict(|what| *what > 3), None);
    assert_eq!([queues.evict(|_| true), queues.evict(|_| true), queues.evict(|_| true)], [Some(2), Some(3), None]);
    assert_eq!((queues.bytes(), queues.len()), (10, 1));
}

#[test]
fn one_queue_of_objects_in_use_does_not_hold_up_the_other() {
    // Small has much more than its share, and all of it is in use.
    let mut queues = S3Fifo::default();
    queues.insert(Arrival { asked: 9, ..arrival(1, 1) });
    for what in 2..50 {
        queues.insert(arrival(what, 100));
    }
    assert_eq!(queues.evict(|what| *what == 1), Some(1));
    // And the other way round.
    let mut queues = S3Fifo::default();
    queues.insert(arrival(1, 1));
    for what in 2..50 {
        queues.insert(Arrival { asked: 9, ..arrival(what, 100) });
    }
    assert_eq!(queues.evict(|what| *what == 1), Some(1));
}

#[test]
fn admission_is_as_configured() {
    let mut queues = S3Fifo::<u64>::default();
    let largest = Admission { largest: 100, ..ADMIT_ALL };
    let sizes = [(Some(100), Verdict::Admit), (Some(101), Verdict::Pass), (None, Verdict::Admit)];
    for (bytes, verdict) in sizes {
        assert_eq!(queues.judge(&largest, 1, bytes, true), verdict, "{bytes:?}");
    }
    let when_full = Admission { first: First::PassWhenFull, ..ADMIT_ALL };
    assert_eq!(queues.judge(&when_full, 1, None, false), Verdict::Admit);
    assert_eq!(queues.judge(&when_full, 1, None, true), Verdict::Pass);
    assert_eq!(queues.judge(&when_full, 1, None, true), Verdict::Admit, "the second time");
    let never_at_first = Admission { first: First::Pass, ..ADMIT_ALL };
    assert_eq!(queues.judge(&never_at_first, 2, None, false), Verdict::Pass);
    // What was here before is no stranger.
    queues.insert(arrival(3, 10));
    queues.evict(|_| true).expect("it may go");
    assert_eq!(queues.judge(&never_at_first, 3, None, false), Verdict::Admit);
}

#[derive(Debug, Clone)]
enum Step {
    Insert { what: u64, bytes: u64, asked: u64, pinned: bool },
    Hit(usize),
    Resize(usize, u64),
    Remove(usize),
    Evict { held: u64 },
    Judge(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..50_u64, 0..1_000_u64, 0..9_u64, prop::bool::weighted(0.1))
            .prop_map(|(what, bytes, asked, pinned)| Step::Insert { what, bytes, asked, pinned }),
        4 => any::<usize>().prop_map(Step::Hit),
        1 => (any::<usize>(), 0..1_000_u64).prop_map(|(which, bytes)| Step::Resize(which, bytes)),
        1 => any::<usize>().prop_map(Step::Remove),
        3 => (1..6_u64).prop_map(|held| Step::Evict { held }),
        1 => (0..50_u64).prop_map(Step::Judge),
    ]
}

proptest! {
    /// E1, E2 and E3, over any script.
    #[test]
    fn the_queues_keep_their_invariants(script in vec(step(), 1..120)) {
        let mut queues = S3Fifo::default();
        let (mut here, mut pinned, mut objects) = (Vec::<(Token, u64, u64)>::new(), BTreeSet::new(), 0);
        for step in script {
            match step {
                Step::Insert { what, bytes, asked, pinned: pins } => {
                    // Names are not told apart here: each arrival has its own.
                    objects += 1;
                    let name = objects * 50 + what;
                    let arrival = Arrival { what: name, fingerprint: what, bytes, asked, pinned: pins };
                    here.push((queues.insert(arrival), name, bytes));
                    if pins { pinned.insert(name); }
                }
                Step::Hit(which) if !here.is_empty() => queues.hit(here[which % here.len()].0),
                Step::Resize(which, bytes) if !here.is_empty() => {
                    let which = which % here.len();
                    queues.resize(here[which].0, bytes);
                    here[which].2 = bytes;
                }
                Step::Remove(which) if !here.is_empty() => queues.remove(here.swap_remove(which % here.len()).0),
                Step::Hit(_) | Step::Resize(..) | Step::Remove(_) => {}
                Step::Evict { held } => {
                    // Every so-manieth is in use.
                    let may_go = |name: &u64| held == 1 || !name.is_multiple_of(held);
                    let candidates = here.iter().filter(|(_, name, _)| may_go(name) && !pinned.contains(name)).count();
                    match queues.evict(may_go) {
                        None => prop_assert_eq!(candidates, 0),
                        Some(gone) => {
                            prop_assert!(may_go(&gone) && !pinned.contains(&gone));
                            let at = here.iter().position(|(_, name, _)| *name == gone);
                            here.swap_remove(at.expect("what goes was here"));
                        }
                    }
                }
                Step::Judge(what) => {
                    queues.judge(&Admission { first: First::Pass, ..ADMIT_ALL }, what, None, true);
                }
            }
            prop_assert_eq!(queues.bytes(), here.iter().map(|(_, _, bytes)| bytes).sum::<u64>());
            prop_assert_eq!(queues.len(), here.len());
            let most = queues.len().max(REMEMBERED_AT_LEAST) + 1;
            prop_assert!(queues.gone.len() <= most && queues.passed.len() <= most);
        }
    }
}
