//! The loop over a store that fails on command, and under a silence of very many.

mod silence;

use std::{sync::Arc, time::Duration};

use ferry_core::{id::Incarnation, merge::Peer, ring::Key};
use ferry_runtime::{Clock, Tasks, metrics::Metrics};
use ferry_store::{Embedded, Faulty};

use super::{Driver, NoAnswer, Parts, Question};
use crate::figures::Figures;

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_configured_user_key_survives_a_store_that_fails_at_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Embedded::open(folder.path().join("store")).await.expect("a new store opens");
    let (store, faults) = Faulty::new(Arc::new(store));
    let configured = Key::new("u1".parse().expect("valid"), vec![7; 32]).expect("long enough");
    let tasks = Tasks::new();
    let (driver, handle, inbox) = Driver::new(Parts {
        me: Peer { id: "c".parse().expect("valid"), url: "http://127.0.0.1:1".into() },
        incarnation: Incarnation(1),
        clock: Clock::system(),
        tasks: tasks.clone(),
        store: Arc::new(store),
        figures: Figures::register(&Metrics::new()),
        user_key: Some(configured.clone()),
        announce: None,
    });
    // Whatever is asked of the store first fails: a reading, then attempts to write the rings.
    faults.fail_next(3);
    tasks.spawn("driver", driver.run(inbox));
    let ring = async {
        loop {
            match handle.ask(Question::UserRing).await {
                Ok(Some(ring)) => return ring,
                Ok(None) | Err(NoAnswer::NotRead) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(why) => panic!("{why}"),
            }
        }
    };
    let ring = tokio::time::timeout(LIMIT, ring).await.expect("a ring in time");
    assert_eq!(ring.current, configured, "not a key that nobody was told");
    tasks.finish(LIMIT).await.expect("it ends");
}
