//! The loop over a store that fails on command, and under a silence of very many.

mod silence;

use std::{sync::Arc, time::Duration};

use ferry_core::{
    id::{GatewayId, Incarnation},
    merge::Peer,
    ring::Key,
};
use ferry_runtime::{Clock, Tasks, metrics::Metrics};
use ferry_store::{Embedded, Faults, Faulty};

use super::{Driver, NoAnswer, Parts, Question, input::Input};
use crate::figures::Figures;

const LIMIT: Duration = Duration::from_secs(20);

/// A driver's parts over a store that fails on command.
async fn parts(folder: &tempfile::TempDir) -> (Parts, Faults) {
    let store = Embedded::open(folder.path().join("store")).await.expect("a new store opens");
    let (store, faults) = Faulty::new(Arc::new(store));
    let parts = Parts {
        me: Peer { id: "c".parse().expect("valid"), url: "http://127.0.0.1:1".into() },
        incarnation: Incarnation(1),
        clock: Clock::system(),
        tasks: Tasks::new(),
        store: Arc::new(store),
        figures: Figures::register(&Metrics::new()),
        user_key: None,
        announce: None,
    };
    (parts, faults)
}

#[tokio::test]
async fn a_configured_user_key_survives_a_store_that_fails_at_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let configured = Key::new("u1".parse().expect("valid"), vec![7; 32]).expect("long enough");
    let (parts, faults) = parts(&folder).await;
    let tasks = parts.tasks.clone();
    let (driver, handle, inbox) = Driver::new(Parts { user_key: Some(configured.clone()), ..parts });
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

#[tokio::test]
async fn a_gateway_that_opens_its_routes_and_closes_them_while_the_store_is_away_stays_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (parts, faults) = parts(&folder).await;
    let (tasks, store, figures) = (parts.tasks.clone(), Arc::clone(&parts.store), parts.figures.clone());
    let (mut driver, _handle, mut inbox) = Driver::new(parts);
    let gateway: GatewayId = "g".parse().expect("valid");
    let mut end_of_write = async |driver: &mut Driver| {
        let input = tokio::time::timeout(LIMIT, inbox.recv()).await.expect("in time").expect("the driver has a sender");
        assert!(matches!(input, Input::Guarded { .. }), "{input:?}");
        driver.take(input);
    };
    driver.guard(gateway.clone(), true);
    end_of_write(&mut driver).await;
    assert!(driver.guards.contains(&gateway));

    faults.go_away();
    driver.guard(gateway.clone(), false);
    let failed = async {
        while figures.store_failures.get() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, failed).await.expect("the write was tried");
    driver.guard(gateway.clone(), true);
    faults.heal();
    end_of_write(&mut driver).await;
    assert!(driver.guards.contains(&gateway), "what was taken back is not written");
    assert!(store.get("guards/g").await.expect("readable").is_some());
    tasks.finish(LIMIT).await.expect("nothing is left under way");
    assert!(inbox.try_recv().is_err());
}
