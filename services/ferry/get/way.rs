//! Whom to ask next: the URL that the user gave, then, when what it led to fails, the alternates that it named, then the URL again.
//!
//! Pure: the caller asks, waits, and tells what came of it.

use std::{collections::VecDeque, ops::RangeInclusive, time::Duration};

use ferry_core::backoff::Backoff;
use http::StatusCode;
use url::Url;

/// Between two rounds in which nobody gave a byte.
const BETWEEN_ROUNDS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Nobody waits longer because a server says so.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// How long to wait first, to be drawn from within.
    pub(super) wait: RangeInclusive<Duration>,
    pub(super) url: Url,
}

/// What came of asking somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No answer, a broken body, or a server that cannot now and says when it can.
    Fault(Option<Duration>),
    /// It answered that it will not.
    Refusal {
        status: StatusCode,
        /// Whether the user's URL led there: then there may be others.
        redirected: bool,
    },
}

/// The way of one download.
#[derive(Debug)]
pub(super) struct Way {
    home: Url,
    alternates: VecDeque<Url>,
    backoff: Backoff,
    /// Whether anything of this round came of a fault, and not of a refusal.
    faulty: bool,
    /// Whether this round gave any bytes.
    fruitful: bool,
    begun: bool,
    /// How many rounds on end have come to refusals only.
    refused_rounds: u32,
    refusal: Option<StatusCode>,
    ask_later: Option<Duration>,
}

impl Way {
    pub(super) const fn new(home: Url) -> Self {
        let (base, cap) = BETWEEN_ROUNDS;
        Self {
            home,
            alternates: VecDeque::new(),
            backoff: Backoff::new(base, cap).at_least(Duration::from_millis(50)),
            faulty: false,
            fruitful: false,
            begun: false,
            refused_rounds: 0,
            refusal: None,
            ask_later: None,
        }
    }

    pub(super) const fn home(&self) -> &Url {
        &self.home
    }

    /// Whom to ask, or the refusal that is the last word.
    pub(super) fn next(&mut self) -> Result<Step, StatusCode> {
        if let Some(url) = self.alternates.pop_front() {
            return Ok(Step { wait: Duration::ZERO..=Duration::ZERO, url });
        }
        let mut wait = Duration::ZERO..=Duration::ZERO;
        if self.begun {
            self.conclude()?;
            if self.fruitful {
                self.backoff.reset();
            } else {
                wait = self.backoff.next_wait();
            }
            if let Some(later) = self.ask_later.take() {
                wait = later..=later.max(*wait.end());
            }
        }
        (self.begun, self.faulty, self.fruitful) = (true, false, false);
        Ok(Step { wait, url: self.home.clone() })
    }

    /// What the user's URL led to named these.
    pub(super) fn found(&mut self, alternates: Vec<Url>) {
        if !alternates.is_empty() {
            self.alternates = alternates.into();
        }
    }

    /// Bytes came.
    pub(super) const fn progressed(&mut self) {
        self.fruitful = true;
        self.refused_rounds = 0;
    }

    pub(super) fn failed(&mut self, trouble: Trouble) -> Result<(), StatusCode> {
        match trouble {
            Trouble::Fault(later) => {
                self.faulty = true;
                self.ask_later = later.map(|later| later.min(LONGEST_WAIT));
            }
            Trouble::Refusal { status, redirected: false } => return Err(status),
            Trouble::Refusal { status, redirected: true } => self.refusal = Some(status),
        }
        Ok(())
    }

    /// A round has ended. Refusals of all who were asked are believed: at once where the file is not there, and the second time
    /// where it may have been the redirect that was not good any more.
    fn conclude(&mut self) -> Result<(), StatusCode> {
        let Some(status) = self.refusal.take().filter(|_| !self.faulty && !self.fruitful) else {
            return Ok(());
        };
        self.refused_rounds += 1;
        let missing = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
        if missing || self.refused_rounds > 1 { Err(status) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: Trouble = Trouble::Fault(None);

    fn url(text: &str) -> Url {
        Url::parse(text).expect("valid")
    }

    fn way() -> Way {
        Way::new(url("http://gateway/x"))
    }

    fn refusal(status: u16) -> Trouble {
        Trouble::Refusal { status: StatusCode::from_u16(status).expect("valid"), redirected: true }
    }

    /// Who is asked next, and for how long nobody is asked at the most.
    fn next(way: &mut Way) -> (String, Duration) {
        let step = way.next().expect("somebody is left");
        (step.url.host_str().unwrap_or_default().to_owned(), *step.wait.end())
    }

    #[test]
    fn after_a_fault_the_alternates_are_asked_at_once_and_then_the_gateway_again() {
        let mut way = way();
        assert_eq!(next(&mut way), ("gateway".to_owned(), Duration::ZERO));
        way.found(vec![url("http://a/x"), url("http://b/x")]);
        way.failed(FAULT).expect("others are left");
        assert_eq!(next(&mut way), ("a".to_owned(), Duration::ZERO));
        way.failed(FAULT).expect("others are left");
        assert_eq!(next(&mut way), ("b".to_owned(), Duration::ZERO));
        way.progressed();
        way.failed(FAULT).expect("others are left");
        assert_eq!(next(&mut way), ("gateway".to_owned(), Duration::ZERO), "bytes came: there is no reason to wait");
    }

    #[test]
    fn rounds_that_give_nothing_are_farther_and_farther_apart_and_a_server_may_ask_for_time() {
        let mut way = way();
        let mut waits = Vec::new();
        for _ in 0..8 {
            waits.push(next(&mut way).1.as_millis());
            way.failed(FAULT).expect("it goes on");
        }
        assert_eq!(waits, [0, 200, 400, 800, 1600, 3200, 5000, 5000]);
        way.failed(Trouble::Fault(Some(Duration::from_secs(7)))).expect("it goes on");
        assert_eq!(way.next().expect("it goes on").wait, Duration::from_secs(7)..=Duration::from_secs(7));
        way.failed(Trouble::Fault(Some(Duration::from_secs(7000)))).expect("it goes on");
        assert_eq!(*way.next().expect("it goes on").wait.start(), LONGEST_WAIT);
    }

    #[test]
    fn what_the_gateway_refuses_is_refused() {
        let mut way = way();
        next(&mut way);
        let status = StatusCode::FORBIDDEN;
        assert_eq!(way.failed(Trouble::Refusal { status, redirected: false }), Err(status));
    }

    #[test]
    fn what_one_node_lacks_another_may_have_and_what_all_lack_is_not_there() {
        let mut way = way();
        next(&mut way);
        way.found(vec![url("http://a/x")]);
        way.failed(refusal(404)).expect("others are left");
        assert_eq!(next(&mut way).0, "a");
        way.failed(refusal(404)).expect("the round is not over");
        assert_eq!(way.next(), Err(StatusCode::NOT_FOUND));
    }

    #[test]
    fn a_redirect_that_is_not_good_any_more_is_asked_for_anew_once() {
        let mut way = way();
        next(&mut way);
        way.failed(refusal(403)).expect("it goes on");
        next(&mut way);
        way.failed(refusal(403)).expect("the round is not over");
        assert_eq!(way.next(), Err(StatusCode::FORBIDDEN));
    }

    #[test]
    fn a_refusal_beside_a_fault_is_not_the_last_word() {
        let mut way = way();
        for _ in 0..5 {
            next(&mut way);
            way.found(vec![url("http://a/x")]);
            way.failed(refusal(404)).expect("others are left");
            next(&mut way);
            way.failed(FAULT).expect("it may be there");
        }
    }
}
