//! A line of the log that would else be written again and again: the first at once (or a few), then as many every ten seconds,
//! with how many there were.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const EVERY: Duration = Duration::from_secs(10);

/// One kind of trouble.
#[derive(Debug)]
pub struct Complaint {
    most: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    said: u32,
    kept_back: u64,
}

impl Complaint {
    /// So many lines may follow each other at once.
    #[must_use]
    pub fn with_at_most(most: u32) -> Self {
        Self { most, state: Mutex::default() }
    }

    /// How often it was not said since it last was; `None` if it is not to be said now.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.began.is_none_or(|began| began.elapsed() >= EVERY) {
            (state.began, state.said) = (Some(Instant::now()), 0);
        }
        if state.said >= self.most {
            state.kept_back += 1;
            return None;
        }
        state.said += 1;
        Some(std::mem::take(&mut state.kept_back))
    }
}

impl Default for Complaint {
    /// One line.
    fn default() -> Self {
        Self::with_at_most(1)
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
        complaint.state.lock().expect("nobody panicked").began = Instant::now().checked_sub(EVERY);
        assert_eq!(complaint.due(), Some(2));
    }

    #[test]
    fn a_few_may_be_said_at_once() {
        let complaint = Complaint::with_at_most(2);
        assert_eq!([complaint.due(), complaint.due(), complaint.due()], [Some(0), Some(0), None]);
    }
}
