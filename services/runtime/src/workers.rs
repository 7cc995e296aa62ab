//! The threads that carry connections.
//!
//! Each has a runtime of its own that no other thread steals from: a request is read, answered and sent by one thread, without a hop. What
//! must not wait for clients (the streams to coordinators, admin listeners) runs elsewhere. A connection stays where it was put;
//! the thread with the fewest connections gets the next one.

use std::{
    io,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often a thread says that it is alive.
const PULSE: Duration = Duration::from_millis(500);

/// How long a thread that ends waits for file system calls that do not return.
const LAST_CALLS: Duration = Duration::from_millis(100);

/// A set of threads; a cheap clone. They end when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Workers {
    workers: Arc<[Worker]>,
    _end: Option<Arc<DropGuard>>,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    pulse: Option<Arc<Pulse>>,
}

/// When a thread was last seen to run what waits on it.
#[derive(Debug)]
struct Pulse {
    began: Instant,
    last_millis: AtomicU64,
}

/// A connection's place on a worker, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    index: usize,
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts so many threads, or one for each processor that this process may use.
    ///
    /// Fails where the system gives no thread or no descriptor.
    pub fn start(count: Option<NonZeroUsize>) -> io::Result<Self> {
        let count = count.map_or_else(thread::available_parallelism, Ok)?;
        // Where not all of them can be had, those that there are end.
        let end = CancellationToken::new().drop_guard();
        let start = |index| Worker::start(index, end.token().clone());
        let workers = (0..count.get()).map(start).collect::<io::Result<_>>()?;
        Ok(Self { workers, _end: Some(Arc::new(end)) })
    }

    /// No threads of their own: connections run where this is called, which is in a tokio runtime.
    #[must_use]
    pub fn here() -> Self {
        Self { workers: Arc::new([Worker::on(Handle::current())]), _end: None }
    }

    /// A place for one more connection.
    #[must_use]
    pub fn place(&self) -> Place {
        let all = self.workers.iter().enumerate();
        let least = all.min_by_key(|(_, worker)| worker.connections.load(Relaxed));
        let (index, Worker { runtime, connections, .. }) = least.expect("there is at least one worker");
        connections.fetch_add(1, Relaxed);
        Place { index, runtime: runtime.clone(), connections: Arc::clone(connections) }
    }

    /// How long the thread that is silent longest has run nothing. Each says every half second that it is alive: much more than that, and one of
    /// them hangs with all of its connections.
    #[must_use]
    pub fn longest_silence(&self) -> Duration {
        self.workers
            .iter()
            .filter_map(|worker| worker.pulse.as_ref())
            .map(|pulse| pulse.silence())
            .max()
            .unwrap_or_default()
    }

    /// The runtime of each worker, in the order of [`Place::worker`].
    pub fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.workers.iter().map(|worker| &worker.runtime)
    }
}

impl Worker {
    fn start(index: usize, end: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let pulse = Arc::new(Pulse { began: Instant::now(), last_millis: AtomicU64::new(0) });
        let worker = Self { pulse: Some(Arc::clone(&pulse)), ..Self::on(runtime.handle().clone()) };
        thread::Builder::new().name(format!("ferry-worker-{index}")).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = end.cancelled() => {}
                    () = pulse.beat() => {}
                }
            });
            runtime.shutdown_timeout(LAST_CALLS);
        })?;
        Ok(worker)
    }

    fn on(runtime: Handle) -> Self {
        Self { runtime, connections: Arc::default(), pulse: None }
    }
}

impl Pulse {
    async fn beat(&self) {
        loop {
            let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.last_millis.store(now, Relaxed);
            tokio::time::sleep(PULSE).await;
        }
    }

    fn silence(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.last_millis.load(Relaxed)))
    }
}

impl Place {
    /// Which worker it is on.
    #[must_use]
    pub const fn worker(&self) -> usize {
        self.index
    }

    /// Where the connection's task is to be spawned.
    #[must_use]
    pub const fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::RecvTimeoutError;

    use super::*;

    #[test]
    fn the_worker_with_the_fewest_connections_gets_the_next() {
        let workers = Workers::start(NonZeroUsize::new(2)).expect("two threads");
        let held = |at: usize| workers.workers[at].connections.load(Relaxed);
        let (first, second) = (workers.place(), workers.place());
        assert_eq!((held(0), held(1)), (1, 1));
        drop(first);
        let _third = workers.place();
        assert_eq!((held(0), held(1)), (1, 1), "the freed place is taken first");
        drop(second);
        assert_eq!(held(0) + held(1), 1);
    }

    #[tokio::test]
    async fn a_thread_that_hangs_is_seen_though_the_other_runs() {
        let workers = Workers::start(NonZeroUsize::new(2)).expect("two threads");
        let (release, held) = std::sync::mpsc::channel::<()>();
        workers.workers[1].runtime.spawn(async move {
            // As a call does that does not return.
            let _released = held.recv();
        });
        while workers.longest_silence() < 3 * PULSE {
            tokio::time::sleep(PULSE / 10).await;
        }
        drop(release);
        while workers.longest_silence() > 2 * PULSE {
            tokio::time::sleep(PULSE / 10).await;
        }
    }

    #[test]
    fn threads_end_with_the_last_clone() {
        let workers = Workers::start(NonZeroUsize::new(2)).expect("two threads");
        let (held, ended) = std::sync::mpsc::channel::<()>();
        for _ in 0..2 {
            let (place, held) = (workers.place(), held.clone());
            place.runtime().spawn(async move {
                let _held = held;
                std::future::pending::<()>().await;
            });
            std::mem::forget(place);
        }
        drop((held, workers.clone()));
        assert_eq!(ended.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout), "one is left");
        drop(workers);
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Err(RecvTimeoutError::Disconnected), "their tasks too");
    }

    #[test]
    fn each_worker_runs_its_tasks_on_its_own_thread() {
        let workers = Workers::start(NonZeroUsize::new(2)).expect("two threads");
        let names: Vec<_> = (0..2)
            .map(|_| {
                let place = workers.place();
                let (say, hear) = std::sync::mpsc::channel();
                place.runtime().spawn(async move { say.send(thread::current().name().map(str::to_owned)) });
                let name = hear.recv_timeout(Duration::from_secs(10)).expect("the task runs");
                std::mem::forget(place);
                name
            })
            .collect();
        assert_eq!(names, [Some("ferry-worker-0".to_owned()), Some("ferry-worker-1".to_owned())]);
    }
}
