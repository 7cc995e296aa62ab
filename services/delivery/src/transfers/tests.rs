use std::{
    task::Poll,
    time::{Duration, UNIX_EPOCH},
};

use ferry_core::object::ObjectPath;
use futures_util::poll;
use tokio::{task, time::timeout};

use super::*;

fn begin(transfers: &Transfers, path: &str) -> Transfer {
    let key = ObjectKey::plain(ObjectPath::from_decoded(path).expect("a good path"));
    transfers.begin(key, ([127, 0, 0, 1], 4000).into(), Some(10), UNIX_EPOCH)
}

#[test]
fn a_transfer_is_listed_from_its_answer_to_its_end() {
    let transfers = Transfers::new();
    let first = begin(&transfers, "a");
    let second = begin(&transfers, "b");
    first.sent(7);
    let seen: Vec<_> = transfers.list().into_iter().map(|t| (t.key.to_string(), t.sent_bytes)).collect();
    assert_eq!(seen, [("a".to_owned(), 7), ("b".to_owned(), 0)]);
    first.sent(3);
    first.complete();
    drop(first);
    drop(second);
    assert_eq!(transfers.under_way(), 0);
    assert_eq!(transfers.totals(), Totals { sent_bytes: 10, completed: 1, broken: 1 });
}

#[test]
fn what_waits_for_the_end_learns_how_it_went() {
    let (told, heard) = std::sync::mpsc::channel();
    let transfers = Transfers::new();
    let mut transfer = begin(&transfers, "a");
    transfer.at_end(move |ended| told.send(ended).expect("the test listens"));
    transfer.sent(4);
    drop(transfer);
    assert_eq!(heard.try_recv(), Ok(Ended { sent_bytes: 4, complete: false, failed: false }));
}

#[test]
fn who_watches_a_transfer_sees_how_far_it_came_after_its_end_too() {
    let transfers = Transfers::new();
    let transfer = begin(&transfers, "a");
    let progress = transfer.progress();
    transfer.sent(4);
    assert_eq!(progress.sent_bytes(), 4);
    transfer.sent(3);
    drop(transfer);
    assert_eq!((progress.sent_bytes(), transfers.under_way()), (7, 0));
}

#[tokio::test]
async fn idle_comes_with_the_end_of_the_last_transfer() {
    let transfers = Transfers::new();
    transfers.idle().await;
    let (one, two) = (begin(&transfers, "a"), begin(&transfers, "a"));
    let mut idle = Box::pin(transfers.idle());
    assert_eq!(poll!(&mut idle), Poll::Pending);
    drop(one);
    assert_eq!(poll!(&mut idle), Poll::Pending);
    drop(two);
    assert_eq!(poll!(&mut idle), Poll::Ready(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_last_end_goes_unheard() {
    let transfers = Transfers::new();
    let first_shard = ([127, 0, 0, 1], u16::try_from(SHARDS).expect("a small number")).into();
    for round in 0..20_000 {
        let key = ObjectKey::plain(ObjectPath::from_decoded("a").expect("a good path"));
        let last = transfers.begin(key, first_shard, None, UNIX_EPOCH);
        // It ends while the others are looked at.
        let ending = task::spawn_blocking(move || drop(last));
        let waited = timeout(Duration::from_secs(5), transfers.idle()).await;
        assert!(waited.is_ok(), "round {round} ended unheard");
        ending.await.expect("it ends");
    }
    assert_eq!((transfers.totals().broken, transfers.list()), (20_000, Vec::new()));
}

/// D6. Of threads that come and go, each that is in sees how many are.
#[test]
fn however_many_ask_at_once_no_more_get_in_than_there_may_be() {
    let transfers = Transfers::at_most(std::num::NonZeroU32::new(2));
    let key = ObjectKey::plain(ObjectPath::from_decoded("a").expect("a good path"));
    let come_and_go = |port| {
        let ask = || transfers.try_begin(key.clone(), ([127, 0, 0, 1], port).into(), None, UNIX_EPOCH);
        let seen = std::iter::repeat_with(ask).take(20_000).flatten().map(|_in| transfers.under_way());
        seen.max()
    };
    let most = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|port| scope.spawn(move || come_and_go(port))).collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("it counts")).max()
    });
    assert!(most.is_some_and(|most| most <= 2), "{most:?} at a time");
    assert_eq!((transfers.under_way(), transfers.is_full()), (0, false), "each gave its place back");
}
