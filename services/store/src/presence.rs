//! Keeping a key present: the loop that every provider shares.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{backoff::Pauses, error::Error};

/// A process that stops waits no longer than this for a store that may be away; the lease does the rest.
const WITHDRAWAL_LIMIT: Duration = Duration::from_secs(1);

/// A provider's way to keep one key.
pub(crate) trait Keep: Send {
    /// Sees to it that the key is there, with its value and a fresh lease. Called every third of the lease; may be
    /// dropped at any point.
    fn keep(&mut self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Takes the key away.
    fn withdraw(self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What the others see of the key, as far as this side can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    NotYet,
    Present,
    /// Not renewed for a whole lease.
    Lapsed,
}

/// Keeps until `stop`, then withdraws. Logs when the key comes, when its lease has run out, and when it returns; why a store
/// does not answer is for the store to say.
pub(crate) async fn hold(mut keeper: impl Keep, key: String, ttl: Duration, stop: CancellationToken) {
    let refresh = ttl / 3;
    let mut pauses = Pauses::below(refresh);
    let (mut standing, mut since) = (Standing::NotYet, Instant::now());
    loop {
        let kept = tokio::select! {
            biased; // stop before work
            () = stop.cancelled() => break,
            kept = keeper.keep() => kept,
        };
        let pause = match kept {
            Ok(()) => {
                if std::mem::replace(&mut standing, Standing::Present) != Standing::Present {
                    info!(key, "present in the store");
                }
                since = Instant::now();
                pauses.reset();
                refresh
            }
            Err(error) => {
                debug!(key, %error, "not renewed in the store");
                if standing == Standing::Present && since.elapsed() >= ttl {
                    standing = Standing::Lapsed;
                    warn!(key, %error, "no longer present in the store: its lease ran out unrenewed");
                }
                pauses.after(&error)
            }
        };
        tokio::select! {
            biased; // stop before timers
            () = stop.cancelled() => break,
            () = sleep(pause) => {}
        }
    }
    match timeout(WITHDRAWAL_LIMIT, keeper.withdraw()).await {
        Ok(Ok(())) => info!(key, "withdrawn from the store"),
        Ok(Err(error)) => warn!(key, %error, "not withdrawn: the lease will run out"),
        Err(_) => warn!(key, "not withdrawn in time: the lease will run out"),
    }
}
