//! A disk that misbehaves on command: the failing twin of every root.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use rustix::io::Errno;

/// What goes wrong with the calls of a disk; the handle that commands it. Dropping it heals the disk.
#[derive(Debug)]
pub struct Faults(Twin);

/// What a call is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// EIO: the medium cannot be read.
    Io,
    /// ESTALE: the server of a network file system knows the file no more.
    Stale,
    /// ENOTCONN: the process or the server behind the file system is gone.
    Away,
    /// EACCES: this process may not read it.
    Denied,
    /// ENOENT: it was there a moment ago.
    Gone,
    /// EMFILE: this process has no descriptor left.
    NoDescriptors,
}

/// The disk's end: consulted before each of its calls.
#[derive(Clone)]
pub(super) struct Twin {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    plan: Mutex<Plan>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Plan {
    fault: Option<Fault>,
    /// How many calls go well before.
    spared: usize,
    /// How many calls the fault strikes; all with none.
    left: Option<usize>,
    hangs: bool,
}

impl Faults {
    pub(super) fn new() -> (Self, Twin) {
        let twin = Twin { shared: Arc::default() };
        (Self(twin.clone()), twin)
    }

    /// Every call fails, until [`Self::heal`].
    pub fn fail(&self, fault: Fault) {
        self.0.plan(|plan| *plan = Plan { fault: Some(fault), ..Plan::default() });
    }

    /// The next so many calls fail.
    pub fn fail_next(&self, calls: usize, fault: Fault) {
        self.0.plan(|plan| *plan = Plan { fault: Some(fault), left: Some(calls), ..Plan::default() });
    }

    /// So many calls go well, and every one after them fails.
    pub fn fail_after(&self, calls: usize, fault: Fault) {
        self.0.plan(|plan| *plan = Plan { fault: Some(fault), spared: calls, ..Plan::default() });
    }

    /// No call comes back, until [`Self::heal`].
    pub fn hang(&self) {
        self.0.plan(|plan| *plan = Plan { hangs: true, ..Plan::default() });
    }

    /// All is well again; calls that hung go on.
    pub fn heal(&self) {
        self.0.plan(|plan| *plan = Plan::default());
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.heal();
    }
}

impl Twin {
    fn plan(&self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.locked());
        self.shared.changed.notify_all();
    }

    /// Fails or blocks as planned; `Ok` if the call is to be made.
    pub(super) fn strike(&self) -> Result<(), Errno> {
        let mut plan = self.shared.changed.wait_while(self.locked(), |plan| plan.hangs);
        let plan = plan.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut());
        let Some(fault) = plan.fault else { return Ok(()) };
        if plan.spared > 0 {
            plan.spared -= 1;
            return Ok(());
        }
        match &mut plan.left {
            Some(0) => return Ok(()),
            Some(left) => *left -= 1,
            None => {}
        }
        Err(fault.errno())
    }

    fn locked(&self) -> MutexGuard<'_, Plan> {
        // A plan is replaced whole.
        self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fault {
    const fn errno(self) -> Errno {
        match self {
            Self::Io => Errno::IO,
            Self::Stale => Errno::STALE,
            Self::Away => Errno::NOTCONN,
            Self::Denied => Errno::ACCESS,
            Self::Gone => Errno::NOENT,
            Self::NoDescriptors => Errno::MFILE,
        }
    }
}

impl fmt::Debug for Twin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twin").field("plan", &*self.locked()).finish()
    }
}
