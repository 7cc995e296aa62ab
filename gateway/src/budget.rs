//! How much the gateway may serve itself: enough to help, not enough to fall over (P3).

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Transfers of the gateway's own, at most so many at one time.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    pub(crate) fn new(transfers: usize) -> Self {
        Self(Arc::new(Semaphore::new(transfers.min(Semaphore::MAX_PERMITS))))
    }

    /// Room for one more, until the permit is dropped; nobody waits for it.
    pub(crate) fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}
