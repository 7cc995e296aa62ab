//! Waiting for a level.

use std::time::{Duration, Instant};

/// How often a condition is looked at: often enough to time what takes half a second.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Waits until `look` sees something, and returns it.
///
/// # Panics
/// When `limit` has passed: with `what`, which reads as in "waited 5s for node 0 to be unlisted".
pub(crate) async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} for {what}");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
