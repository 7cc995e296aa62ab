//! Real signals, sent to this very process; alone in its file, because they reach every test of the process.

use std::time::Duration;

use ferry_runtime::signals::{Signals, Stop};
use rustix::process::{Signal, getpid, kill_process};

const LIMIT: Duration = Duration::from_secs(10);

fn send(signal: Signal) {
    kill_process(getpid(), signal).expect("a process may signal itself");
}

async fn next(signals: &mut Signals) -> Stop {
    tokio::time::timeout(LIMIT, signals.next()).await.expect("a signal was sent")
}

#[tokio::test]
async fn a_first_sigterm_asks_and_what_follows_orders() {
    let mut signals = Signals::listen().expect("signals can be taken over");
    send(Signal::HUP);
    send(Signal::TERM);
    assert_eq!(next(&mut signals).await, Stop::Graceful, "SIGHUP is ignored, SIGTERM a wish");
    send(Signal::TERM);
    assert_eq!(next(&mut signals).await, Stop::AtOnce, "the second SIGTERM is an order");

    let mut signals = Signals::listen().expect("signals can be taken over");
    send(Signal::INT);
    assert_eq!(next(&mut signals).await, Stop::AtOnce, "Ctrl-C is an order");
}
