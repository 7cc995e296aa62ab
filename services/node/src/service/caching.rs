//! The cache of a node, from its opening to its last word on the disk.

use ferry_delivery::{
    cache::{
        Cache, Settings,
        store::{OpenError, Store},
    },
    origin::Origins,
};
use ferry_runtime::{Clock, Tasks};
use tracing::info;

use crate::config::CacheConfig;

/// Opens it, and looks after it in tasks of its own. Asked to stop, they list on the disk what came last, so that the next process finds it.
pub(super) async fn open(
    config: &CacheConfig,
    origins: &Origins,
    clock: &Clock,
    tasks: &Tasks,
) -> Result<Cache, OpenError> {
    let CacheConfig { directory, store, policy, fill_ahead, finish, stale_patience } = config.clone();
    let store = Store::open(directory, store).await?;
    info!(directory = %store.path().display(), "the cache is open");
    let (kept, stop) = (store.clone(), tasks.stop_token());
    tasks.spawn("cache", async move {
        stop.run_until_cancelled(kept.tend()).await;
        kept.settle().await;
    });
    let (proved, stop) = (store.clone(), tasks.stop_token());
    tasks.spawn("cache scrub", async move {
        stop.run_until_cancelled(proved.scrub()).await;
    });
    let settings = Settings { policy, fill_ahead, finish, stale_patience, ..Settings::default() };
    Ok(Cache::new(store, origins.clone(), settings, clock.clone(), tasks))
}
