//! Every task has somebody who stops it.
//!
//! [`Tasks`] is the only place that spawns. Stopping is a request: each task watches [`Tasks::stopped`] and ends by itself;
//! what is left at the end of the grace is dropped where it waits.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, Span, debug_span, error, info_span, warn};

/// How long dropped tasks get to run their destructors before [`Tasks::finish`] returns without them.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A group of tasks that are stopped together. Clones are handles on the same group.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    stop: CancellationToken,
    cut: CancellationToken,
    tracker: TaskTracker,
    /// The first essential task that ended unasked.
    failure: Arc<watch::Sender<Option<&'static str>>>,
    /// The groups that this one is part of: they wait for its tasks too.
    above: Vec<TaskTracker>,
}

/// Some tasks did not end in time, and were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{tasks} tasks had not ended after {grace:?} and were dropped")]
pub struct GraceExceeded {
    /// How long they were waited for.
    pub grace: Duration,
    /// How many were left.
    pub tasks: usize,
}

impl Tasks {
    /// A group of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A group within this one: it stops with it, is waited for with it, and can be stopped alone.
    #[must_use]
    pub fn child(&self) -> Self {
        let mut above = self.above.clone();
        above.push(self.tracker.clone());
        Self {
            stop: self.stop.child_token(),
            cut: self.cut.child_token(),
            tracker: TaskTracker::new(),
            failure: Arc::clone(&self.failure),
            above,
        }
    }

    /// Runs `task` until it ends, or until the grace of [`Self::finish`] is over: then it is dropped at its next `.await`.
    ///
    /// A panic ends that task alone and is logged as an ERROR with the task's name.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_in(info_span!("task", name), name, task);
    }

    /// The same, for tasks of which there are thousands, such as one for each connection: what they log bears their name only where DEBUG
    /// is logged. A span takes more than a KiB, for as long as its task runs.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn spawn_one_of_many(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_in(debug_span!("task", name), name, task);
    }

    fn spawn_in(&self, span: Span, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let cut = self.cut.clone();
        let waiting_above: Vec<_> = self.above.iter().map(TaskTracker::token).collect();
        // A future that wraps another has room for it twice, as what it was given and as what it waits for; four layers of that are
        // most of what a connection costs.
        let task = AssertUnwindSafe(Box::pin(task));
        let whole = async move {
            match cut.run_until_cancelled(task.catch_unwind()).await {
                Some(Ok(())) => {}
                Some(Err(panic)) => error!(task = name, panic = panic_text(&*panic), "a task panicked"),
                None => warn!(task = name, "dropped a task that had not ended in time"),
            }
            drop(waiting_above);
        };
        self.tracker.spawn(whole.instrument(span));
    }

    /// Runs what the process cannot be without. If it ends before it is asked to, or panics, that is the end of the process:
    /// [`Self::failure`] tells, and whoever started us does better than a role without its heart.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn essential(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (stop, failure) = (self.stop.clone(), Arc::clone(&self.failure));
        self.spawn(name, async move {
            let outcome = AssertUnwindSafe(task).catch_unwind().await;
            if let Err(panic) = &outcome {
                error!(panic = panic_text(&**panic), "a task panicked");
            }
            if !stop.is_cancelled() {
                failure.send_if_modified(|first| first.is_none() && first.replace(name).is_none());
            }
        });
    }

    /// Waits until an essential task of this group, or of any related one, ends unasked; returns its name.
    pub async fn failure(&self) -> &'static str {
        let mut failure = self.failure.subscribe();
        match failure.wait_for(Option::is_some).await.map(|name| *name) {
            Ok(Some(name)) => name,
            // We hold the sender, so there is no end but a failure.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// The token that is cancelled when the group is asked to stop.
    #[must_use]
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Ends when the group is asked to stop. Cancelling the wait loses nothing.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Whether the group was asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Asks every task of the group, and of the groups within it, to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// How many tasks have not ended, those of groups within included: a gauge.
    #[must_use]
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Asks every task to stop, then waits at most `grace`; what is left then is dropped.
    ///
    /// Cancelling the wait leaves the tasks asked to stop, but not dropped.
    pub async fn finish(self, grace: Duration) -> Result<(), GraceExceeded> {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait()).await.is_ok() {
            return Ok(());
        }
        let tasks = self.tracker.len();
        self.cut.cancel();
        // A task in the middle of a blocking call cannot be dropped; the process must be able to end all the same.
        let _still_blocked = tokio::time::timeout(LAST_WORDS, self.tracker.wait()).await;
        Err(GraceExceeded { grace, tasks })
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_asked_to_stop_finishes_its_work() {
        let tasks = Tasks::new();
        let done = Arc::new(AtomicBool::new(false));
        let (seen, stop) = (Arc::clone(&done), tasks.stop_token());
        tasks.spawn("worker", async move {
            stop.cancelled().await;
            tokio::time::sleep(Duration::from_secs(4)).await;
            seen.store(true, Ordering::SeqCst);
        });
        assert_eq!(tasks.finish(GRACE).await, Ok(()));
        assert!(done.load(Ordering::SeqCst), "it was cut off within its grace");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_dropped_at_the_end_of_the_grace() {
        struct Flag(Arc<AtomicBool>);
        impl Drop for Flag {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let tasks = Tasks::new();
        let dropped = Arc::new(AtomicBool::new(false));
        let flag = Flag(Arc::clone(&dropped));
        tasks.spawn("deaf", async move {
            let _flag = flag;
            std::future::pending::<()>().await;
        });
        let began = tokio::time::Instant::now();
        assert_eq!(tasks.finish(GRACE).await, Err(GraceExceeded { grace: GRACE, tasks: 1 }));
        assert_eq!(began.elapsed(), GRACE);
        assert!(dropped.load(Ordering::SeqCst));
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("nobody panics while writing").extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_task_only_and_is_an_error_in_the_log() {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _log_of_this_thread = tracing::subscriber::set_default(log);
        let tasks = Tasks::new();
        let (said, heard) = tokio::sync::oneshot::channel();
        tasks.spawn("broken", async { panic!("on purpose") });
        tasks.spawn("sound", async move {
            said.send(()).expect("the test listens");
        });
        heard.await.expect("the sound task ran");
        assert_eq!(tasks.finish(GRACE).await, Ok(()));
        let text = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("UTF-8");
        for part in ["ERROR", "a task panicked", "on purpose", "broken"] {
            assert!(text.contains(part), "{part} is not in {text:?}");
        }
    }

    #[tokio::test]
    async fn an_essential_task_that_ends_unasked_is_told() {
        let tasks = Tasks::new();
        tasks.child().essential("heart", async { panic!("on purpose") });
        assert_eq!(tasks.failure().await, "heart");
        let tasks = Tasks::new();
        tasks.essential("heart", async {});
        assert_eq!(tasks.failure().await, "heart");
    }

    #[tokio::test]
    async fn an_essential_task_that_was_asked_to_end_is_no_failure() {
        let tasks = Tasks::new();
        let stop = tasks.stop_token();
        tasks.essential("heart", async move { stop.cancelled().await });
        let watched = tasks.clone();
        assert_eq!(tasks.finish(GRACE).await, Ok(()));
        assert!(futures_util::poll!(std::pin::pin!(watched.failure())).is_pending());
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_stops_alone_but_its_parent_waits_for_it() {
        let parent = Tasks::new();
        let child = parent.child();
        let token = child.stop_token();
        child.spawn("child", async move {
            token.cancelled().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        });
        child.stop();
        assert!(!parent.is_stopping());
        let began = tokio::time::Instant::now();
        assert_eq!(parent.finish(GRACE).await, Ok(()));
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_parent_that_stops_stops_its_children() {
        let parent = Tasks::new();
        let child = parent.child();
        let token = child.stop_token();
        child.spawn("child", async move { token.cancelled().await });
        assert_eq!(parent.finish(GRACE).await, Ok(()));
    }
}
