//! Which redirects arrived here and how they ended, told to the coordinators every half second, if there is anything to tell.
//!
//! A gateway learns from it that a path works, and that a client who asks again need not be sent elsewhere. It is bounded: of more than a few
//! thousand in half a second the rest is counted and not named, and it is never sent twice: what is lost is of no use a moment later.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use ferry_core::{
    evidence::{Fate, Network, Report, Sighting},
    tokens::RedirectId,
};
use ferry_delivery::transfers::{Ended, Progress};
use ferry_runtime::Tasks;
use slab::Slab;
use tokio::{
    sync::broadcast,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::telling::{Held, Telling};

/// How soon a gateway can know: it takes a repeat that comes sooner for one that nobody could have spoken of yet (`core::evidence`).
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// A transfer under way is named in every so-manieth report, and only while bytes have moved during so many: a client that is gone
/// without a word takes nothing any more, and who waits for it would wait for good.
const REPEAT_EVERY: u64 = 2;
const MOVED_WITHIN: u8 = 4;

/// Parts of the books, so that threads seldom meet in one.
const SHARDS: usize = 16;
/// Transfers that are watched, ends that wait for the next report, and transfers that are named again; each of one shard.
const MOST_OPEN: usize = 4096;
const MOST_ENDED: usize = 2 * Report::MOST_SIGHTINGS / SHARDS;
const MOST_REPEATED: usize = Report::MOST_SIGHTINGS / SHARDS;

/// Reports that wait for a stream to a coordinator.
const WAITING: usize = 16;

/// The books; a cheap clone of one set.
#[derive(Debug, Clone)]
pub(crate) struct Arrivals(Arc<Books>);

#[derive(Debug)]
struct Books {
    shards: [Mutex<Shard>; SHARDS],
    next: AtomicUsize,
    left_out: AtomicU64,
    telling: Telling,
    reports: broadcast::Sender<Arc<Report>>,
}

#[derive(Debug, Default)]
struct Shard {
    open: Slab<Open>,
    ended: Vec<Sighting>,
}

/// A transfer under way.
#[derive(Debug)]
struct Open {
    network: Network,
    redirect: RedirectId,
    progress: Progress,
    /// Whether no report has named it yet.
    new: bool,
    sent_bytes: u64,
    /// Reports since bytes last moved.
    still: u8,
}

/// A redirect that arrived here and is being served.
#[derive(Debug)]
pub(crate) struct Arrival {
    books: Arrivals,
    shard: usize,
    /// `None` if there were too many to watch it.
    slot: Option<usize>,
    network: Network,
    redirect: RedirectId,
    /// What the client gets a part of, if others can be told which version that is.
    held: Option<Held>,
}

impl Arrivals {
    pub(crate) fn new() -> Self {
        let (reports, _) = broadcast::channel(WAITING);
        let shards = std::array::from_fn(|_| Mutex::default());
        Self(Arc::new(Books {
            shards,
            next: AtomicUsize::new(0),
            left_out: AtomicU64::new(0),
            telling: Telling::default(),
            reports,
        }))
    }

    /// The reports from now on, as each becomes due.
    pub(crate) fn reports(&self) -> broadcast::Receiver<Arc<Report>> {
        self.0.reports.subscribe()
    }

    /// Makes reports until the tasks are asked to stop.
    pub(crate) fn report(&self, tasks: &Tasks) {
        let (books, stop) = (self.clone(), tasks.stop_token());
        tasks.spawn("arrivals", async move {
            let mut ticks = interval(REPORT_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for number in 0_u64.. {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                for report in books.take(number.is_multiple_of(REPEAT_EVERY)) {
                    // Without a stream there is nobody to tell, and nothing to keep it for.
                    let _nobody = books.0.reports.send(Arc::new(report));
                }
            }
        });
    }

    /// Takes note of a redirect that arrived, and whose transfer begins.
    pub(crate) fn begin(
        &self,
        client: IpAddr,
        redirect: RedirectId,
        progress: Progress,
        held: Option<Held>,
    ) -> Arrival {
        let (network, shard) = (Network::of(client), self.0.next.fetch_add(1, Relaxed) % SHARDS);
        let mut books = self.shard(shard);
        let open = Open { network, redirect, progress, new: true, sent_bytes: 0, still: 0 };
        let slot = (books.open.len() < MOST_OPEN).then(|| books.open.insert(open));
        drop(books);
        if slot.is_none() {
            self.0.left_out.fetch_add(1, Relaxed);
        }
        Arrival { books: self.clone(), shard, slot, network, redirect, held }
    }

    /// Takes note of one that arrived and was answered at once.
    pub(crate) fn note(&self, client: IpAddr, redirect: RedirectId, fate: Fate) {
        let shard = self.0.next.fetch_add(1, Relaxed) % SHARDS;
        self.add(&mut self.shard(shard), Sighting { network: Network::of(client), redirect, fate });
    }

    fn add(&self, shard: &mut Shard, sighting: Sighting) {
        if shard.ended.len() < MOST_ENDED {
            shard.ended.push(sighting);
        } else {
            self.0.left_out.fetch_add(1, Relaxed);
        }
    }

    fn shard(&self, number: usize) -> MutexGuard<'_, Shard> {
        // Nothing in here panics half way through a change.
        self.0.shards[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is to say now, in messages that are not too long.
    fn take(&self, repeat: bool) -> Vec<Report> {
        let mut sightings = Vec::new();
        for number in 0..SHARDS {
            let mut shard = self.shard(number);
            let Shard { open, ended } = &mut *shard;
            let mut repeats = 0;
            for (_, open) in open {
                let new = std::mem::take(&mut open.new);
                let moves = open.moves();
                if new || (repeat && moves && repeats < MOST_REPEATED) {
                    repeats += usize::from(!new);
                    let Open { network, redirect, .. } = *open;
                    sightings.push(Sighting { network, redirect, fate: Fate::UnderWay });
                }
            }
            sightings.append(ended);
        }
        let left_out = self.0.left_out.swap(0, Relaxed);
        let mut reports: Vec<_> = sightings
            .chunks(Report::MOST_SIGHTINGS)
            .map(|sightings| Report { sightings: sightings.to_vec(), ..Report::default() })
            .collect();
        let objects = self.0.telling.take();
        if reports.is_empty() && (left_out > 0 || !objects.is_empty()) {
            reports.push(Report::default());
        }
        if let Some(first) = reports.first_mut() {
            (first.left_out, first.objects) = (left_out, objects);
        }
        reports
    }
}

impl Open {
    /// Whether bytes have moved not long ago.
    fn moves(&mut self) -> bool {
        let sent_bytes = self.progress.sent_bytes();
        self.still = if sent_bytes == self.sent_bytes { self.still.saturating_add(1) } else { 0 };
        self.sent_bytes = sent_bytes;
        self.still < MOVED_WITHIN
    }
}

impl Arrival {
    /// Takes note of its end.
    pub(crate) fn end(self, ended: Ended) {
        let fate = match ended {
            Ended { complete: true, .. } => Fate::Complete,
            Ended { failed: true, .. } => Fate::Failed,
            Ended { .. } => Fate::BrokenOff,
        };
        let mut shard = self.books.shard(self.shard);
        let new = self.slot.is_some_and(|slot| shard.open.remove(slot).new);
        let Self { network, redirect, held, .. } = self;
        if let Some(held) = held.filter(|_| fate == Fate::Complete) {
            self.books.0.telling.note(redirect, &held, Instant::now());
        }
        // One that came and went between two reports was under way like any other: so does a video whose viewer looks for a place.
        if new && fate == Fate::BrokenOff {
            self.books.add(&mut shard, Sighting { network, redirect, fate: Fate::UnderWay });
        }
        self.books.add(&mut shard, Sighting { network, redirect, fate });
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use ferry_core::object::{ObjectKey, ObjectPath};
    use ferry_delivery::transfers::{Transfer, Transfers};

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn transfer() -> Transfer {
        let key = ObjectKey::plain(ObjectPath::from_decoded("a").expect("a good path"));
        Transfers::new().begin(key, (CLIENT, 4000).into(), Some(10), UNIX_EPOCH)
    }

    fn begin(arrivals: &Arrivals, redirect: u64) -> Transfer {
        let mut transfer = transfer();
        let arrival = arrivals.begin(CLIENT, RedirectId(redirect), transfer.progress(), None);
        transfer.at_end(move |ended| arrival.end(ended));
        transfer
    }

    fn said(arrivals: &Arrivals, repeat: bool) -> Vec<(u64, Fate)> {
        let reports = arrivals.take(repeat);
        let sightings = reports.into_iter().flat_map(|report| report.sightings);
        sightings.map(|sighting| (sighting.redirect.0, sighting.fate)).collect()
    }

    #[test]
    fn an_arrival_is_told_once_again_while_bytes_move_and_then_its_end() {
        let arrivals = Arrivals::new();
        let transfer = begin(&arrivals, 1);
        assert_eq!(said(&arrivals, false), [(1, Fate::UnderWay)]);
        transfer.sent(1);
        assert_eq!(said(&arrivals, false), [], "not each time");
        assert_eq!(said(&arrivals, true), [(1, Fate::UnderWay)]);
        transfer.sent(9);
        transfer.complete();
        drop(transfer);
        assert_eq!(said(&arrivals, true), [(1, Fate::Complete)]);
        assert_eq!(said(&arrivals, true), []);
    }

    #[test]
    fn a_client_that_takes_nothing_any_more_is_not_under_way() {
        let arrivals = Arrivals::new();
        let transfer = begin(&arrivals, 1);
        transfer.sent(1);
        let heard: Vec<_> = (0..10).map(|_| said(&arrivals, true).len()).collect();
        assert_eq!(heard, [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
        transfer.sent(1);
        assert_eq!(said(&arrivals, true).len(), 1, "it takes something again");
    }

    #[test]
    fn what_comes_and_goes_between_two_reports_was_there_unless_the_node_failed_it() {
        let arrivals = Arrivals::new();
        drop(begin(&arrivals, 1));
        arrivals.note(CLIENT, RedirectId(2), Fate::Failed);
        let mut heard = said(&arrivals, false);
        heard.sort_unstable();
        assert_eq!(heard, [(1, Fate::UnderWay), (1, Fate::BrokenOff), (2, Fate::Failed)]);
    }

    #[test]
    fn what_is_too_much_is_counted_and_what_is_much_comes_in_pieces() {
        let arrivals = Arrivals::new();
        let most = MOST_ENDED * SHARDS;
        for redirect in 0..most + 5 {
            arrivals.note(CLIENT, RedirectId(redirect as u64), Fate::Complete);
        }
        let reports = arrivals.take(true);
        assert_eq!(reports.iter().map(|report| report.sightings.len()).sum::<usize>(), most);
        assert!(reports.iter().all(|report| report.sightings.len() <= Report::MOST_SIGHTINGS));
        assert_eq!(reports.iter().map(|report| report.left_out).sum::<u64>(), 5);
        assert!(arrivals.take(true).is_empty(), "nothing is said twice, and of nothing there is no report");
    }
}
