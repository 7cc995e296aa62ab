//! The calls of one root that may block: so many at once, each waited for so long, and how they go is kept on [`Record`].
//!
//! Each root has calls of its own: one that hangs takes nothing from another. A call that is waited for no more goes on by itself, and holds its
//! turn until it ends.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rustix::io::Errno;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
    time::{self, Instant},
};

use super::{
    error,
    faulty::Twin,
    health::{Call, Health, Record},
    resolve::Failure,
};

/// The calls of one root.
#[derive(Debug)]
pub(crate) struct Calls {
    turns: Arc<Semaphore>,
    patience: Duration,
    record: Arc<Mutex<Record>>,
    spent: Arc<Spent>,
    /// What makes them fail, in tests.
    twin: Option<Twin>,
}

/// How many calls came back, and how long they took together.
#[derive(Debug, Default)]
struct Spent {
    calls: AtomicU64,
    nanos: AtomicU64,
}

/// What a root's calls that may block took since the process began: two of these make an average.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    /// Calls that came back.
    pub calls: u64,
    /// How long they took together.
    pub spent: Duration,
}

impl Time {
    /// How long a call took on average since `earlier`; zero if there was none.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        let calls = u32::try_from(self.calls.saturating_sub(earlier.calls)).unwrap_or(u32::MAX);
        self.spent.saturating_sub(earlier.spent).checked_div(calls).unwrap_or_default()
    }
}

/// Why a call has no outcome.
#[derive(Debug)]
pub(crate) enum NoOutcome {
    /// It did not end in time, or had no turn in time.
    Late(Duration),
    /// All turns are held by calls that hang.
    Hangs,
    /// Its thread broke.
    Broken(task::JoinError),
}

/// What a call may say that speaks against its disk.
pub(crate) trait Symptom: From<Errno> {
    fn speaks_against_the_disk(&self) -> bool;
}

/// Takes a call off the record when it ends, however it ends.
struct UnderWay {
    record: Arc<Mutex<Record>>,
    call: Option<Call>,
    failed: bool,
}

impl Calls {
    pub(super) fn new(at_once: usize, patience: Duration, twin: Option<Twin>) -> Self {
        let (turns, record, spent) = (Arc::new(Semaphore::new(at_once)), Arc::default(), Arc::default());
        Self { turns, patience, record, spent, twin }
    }

    /// Calls that are made as they are.
    pub(crate) fn plain(at_once: usize, patience: Duration) -> Self {
        Self::new(at_once, patience, None)
    }

    /// Whether what is in memory may be asked without a turn.
    pub(super) const fn may_be_passed_by(&self) -> bool {
        self.twin.is_none()
    }

    /// Makes a call on a helper thread, and waits for it.
    pub(crate) async fn make<T, E>(
        &self,
        call: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, NoOutcome>
    where
        T: Send + 'static,
        E: Symptom + Send + 'static,
    {
        let work = async {
            let turn = self.turn().await?;
            self.start(turn, call).await.map_err(NoOutcome::Broken)
        };
        time::timeout(self.patience, work).await.unwrap_or(Err(NoOutcome::Late(self.patience)))
    }

    /// Makes a call on a helper thread and waits for nothing; false, and no call, if there is no turn for it now.
    pub(crate) fn begin<E>(&self, call: impl FnOnce() -> Result<(), E> + Send + 'static) -> bool
    where
        E: Symptom + Send + 'static,
    {
        let turn = Arc::clone(&self.turns).try_acquire_owned();
        turn.is_ok_and(|turn| {
            drop(self.start(turn, call));
            true
        })
    }

    fn start<T, E>(
        &self,
        turn: OwnedSemaphorePermit,
        call: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> task::JoinHandle<Result<T, E>>
    where
        T: Send + 'static,
        E: Symptom + Send + 'static,
    {
        let (record, twin, spent) = (Arc::clone(&self.record), self.twin.clone(), Arc::clone(&self.spent));
        task::spawn_blocking(move || {
            let began = Instant::now();
            let mut under_way = UnderWay::begin(record);
            let struck = twin.map_or(Ok(()), |twin| twin.strike()).map_err(E::from);
            let outcome = struck.and_then(|()| call());
            under_way.failed = outcome.as_ref().is_err_and(E::speaks_against_the_disk);
            spent.calls.fetch_add(1, Relaxed);
            spent.nanos.fetch_add(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX), Relaxed);
            drop((under_way, turn));
            outcome
        })
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, NoOutcome> {
        let turns = Arc::clone(&self.turns);
        match Arc::clone(&turns).try_acquire_owned() {
            Ok(turn) => Ok(turn),
            // Whoever waited for these would wait in vain, and hold a connection meanwhile.
            Err(_) if matches!(self.health(), Health::Hanging { .. }) => Err(NoOutcome::Hangs),
            Err(_) => turns.acquire_owned().await.map_err(|_| NoOutcome::Hangs),
        }
    }

    /// Takes note of what went wrong on the way from a file to a client, if it was the file.
    pub(crate) fn note(&self, error: &io::Error) {
        if Errno::from_io_error(error).is_some_and(error::is_no_socket_s) {
            locked(&self.record).failed(Instant::now());
        }
    }

    /// How the root does, by its calls.
    pub(crate) fn health(&self) -> Health {
        locked(&self.record).judge(Instant::now())
    }

    /// What they took so far.
    pub(crate) fn time(&self) -> Time {
        let spent = Duration::from_nanos(self.spent.nanos.load(Relaxed));
        Time { calls: self.spent.calls.load(Relaxed), spent }
    }

    /// How many are under way.
    pub(crate) fn under_way(&self) -> usize {
        locked(&self.record).under_way()
    }

    /// Holds all turns, as calls that hang would.
    #[cfg(test)]
    pub(super) async fn take_all(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(self.turns.available_permits()).expect("a small number");
        Arc::clone(&self.turns).acquire_many_owned(all).await.expect("never closed")
    }
}

impl UnderWay {
    fn begin(record: Arc<Mutex<Record>>) -> Self {
        let call = locked(&record).began(Instant::now());
        Self { record, call: Some(call), failed: false }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            locked(&self.record).ended(call, Instant::now(), self.failed);
        }
    }
}

fn locked(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    // Nothing in a record panics half way through a change.
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

impl Symptom for Failure {
    fn speaks_against_the_disk(&self) -> bool {
        match self {
            Self::System(errno) => error::is_the_disk_s(*errno),
            Self::Directory | Self::NotAFile | Self::Beyond => false,
        }
    }
}

impl Symptom for io::Error {
    fn speaks_against_the_disk(&self) -> bool {
        Errno::from_io_error(self).is_some_and(error::is_the_disk_s)
    }
}

impl From<NoOutcome> for io::Error {
    fn from(why: NoOutcome) -> Self {
        match why {
            NoOutcome::Late(limit) => {
                Self::new(io::ErrorKind::TimedOut, format!("the disk gave nothing for {limit:?}"))
            }
            NoOutcome::Hangs => Self::new(io::ErrorKind::TimedOut, "the disk hangs"),
            NoOutcome::Broken(broken) => Self::other(broken),
        }
    }
}
