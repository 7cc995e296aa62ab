//! A line of the log that would else be written again and again: the first at once, then one every ten seconds, with how many there were.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const EVERY: Duration = Duration::from_secs(10);

/// One kind of trouble.
#[derive(Debug, Default)]
pub struct Complaint(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    kept_back: u64,
}

impl Complaint {
    /// How often it was not said since it last was; `None` if it is not to be said now.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| last.elapsed() < EVERY) {
            state.kept_back += 1;
            return None;
        }
        state.last = Some(Instant::now());
        Some(std::mem::take(&mut state.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_once_is_kept_back_and_counted() {
        let complaint = Complaint::default();
        assert_eq!(complaint.due(), Some(0));
        assert_eq!((complaint.due(), complaint.due()), (None, None));
        complaint.0.lock().expect("nobody panicked").last = Instant::now().checked_sub(EVERY);
        assert_eq!(complaint.due(), Some(2));
    }
}
