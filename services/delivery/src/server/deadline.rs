//! The time that a client is given, without touching a timer at each step.
//!
//! A timer that is armed too early costs one look at the clock when it fires; so it is armed anew only when a wait must end
//! sooner than it would, and a busy connection arms it hardly ever.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// One timer for all waits of a connection.
pub(super) struct Deadline {
    timer: Pin<Box<Sleep>>,
}

impl Deadline {
    /// A timer that is first looked at by `due`.
    pub(super) fn at(due: Instant) -> Self {
        Self { timer: Box::pin(sleep_until(due)) }
    }

    /// Ready once `due` has come. Every wait says its own `due`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        if self.timer.deadline() > due {
            self.timer.as_mut().reset(due);
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_when_it_is_due_whatever_the_timer_was_set_to() {
        let begin = Instant::now();
        let mut deadline = Deadline::at(begin + Duration::from_secs(10));
        for due in [75, 76, 200, 130, 300] {
            let due = (begin + Duration::from_secs(due)).max(Instant::now());
            poll_fn(|cx| deadline.poll(cx, due)).await;
            assert!(Instant::now() - due < Duration::from_millis(2), "{:?}", Instant::now() - due);
        }
    }
}
