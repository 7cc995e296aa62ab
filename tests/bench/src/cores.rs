//! Which processor cores a thread, and what it starts, may run on.

use anyhow::Result;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Does something on one core; without one, wherever the thread may run already.
pub(crate) fn on<T>(core: Option<usize>, work: impl FnOnce() -> T) -> Result<T> {
    let Some(core) = core else { return Ok(work()) };
    let usual = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one)?;
    let done = work();
    sched_setaffinity(None, &usual)?;
    Ok(done)
}
