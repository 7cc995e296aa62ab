//! One case: octets, and what may come back.

use std::fmt::Write as _;

use crate::{
    answer::{Wanted, status},
    laws, samples,
    server::Server,
    wire::{self, Outcome},
};

/// A request that is sent over a connection of its own.
pub(crate) struct Case {
    rule: String,
    octets: Vec<u8>,
    /// Which of its requests are HEAD.
    heads: Vec<bool>,
    legal: Vec<Legal>,
}

/// One legal course of a connection: these answers in this order, and perhaps its end after them.
struct Legal {
    answers: Vec<Wanted>,
    closed: bool,
}

/// A request, to be sent as it is. `rule` says what it tries, and which section says what is legal.
pub(crate) fn raw(rule: impl Into<String>, octets: impl Into<Vec<u8>>) -> Case {
    let octets = octets.into();
    Case { rule: rule.into(), heads: vec![octets.starts_with(b"HEAD ")], octets, legal: Vec::new() }
}

/// A sound request for `target` with these header lines, besides Host.
pub(crate) fn ask(rule: impl Into<String>, method: &str, target: &str, fields: &[&str]) -> Case {
    raw(rule, head(method, target, fields))
}

/// GET of the sample file with these header lines.
pub(crate) fn get(rule: impl Into<String>, fields: &[&str]) -> Case {
    ask(rule, "GET", "/file.bin", fields)
}

/// The octets of a sound head.
pub(crate) fn head(method: &str, target: &str, fields: &[&str]) -> String {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: files.example\r\n");
    for field in fields {
        write!(head, "{field}\r\n").expect("a string takes everything");
    }
    head + "\r\n"
}

impl Case {
    /// Allows one answer. May be said several times, for several legal ones.
    pub(crate) fn is(self, wanted: Wanted) -> Self {
        self.course(vec![wanted], false)
    }

    /// Allows these answers, one after the other.
    pub(crate) fn are(self, wanted: Vec<Wanted>) -> Self {
        self.course(wanted, false)
    }

    /// Allows one of these statuses, after which the connection ends: nobody knows what the octets behind it would mean.
    pub(crate) fn refused(self, statuses: &[u16]) -> Self {
        self.course(vec![status(statuses)], true)
    }

    /// Allows an answer after which the connection ends.
    pub(crate) fn last(self, wanted: Wanted) -> Self {
        self.course(vec![wanted], true)
    }

    /// Allows that the connection ends without an answer.
    pub(crate) fn hung_up(self) -> Self {
        self.course(Vec::new(), true)
    }

    /// Sends a request for the marker right behind, which must not be answered as long as the request before it is refused
    /// for its framing.
    pub(crate) fn followed(mut self) -> Self {
        self.octets.extend_from_slice(head("GET", "/marker.txt", &[]).as_bytes());
        self
    }

    /// Allows this answer and then the marker's: the request ended where the RFC says that it ends.
    pub(crate) fn then_marker(self, wanted: Wanted) -> Self {
        self.course(vec![wanted, status(&[200]).body(samples::MARKER)], false)
    }

    /// Says which of several requests are HEAD.
    pub(crate) fn with_heads(mut self, heads: &[bool]) -> Self {
        self.heads = heads.to_vec();
        self
    }

    fn course(mut self, answers: Vec<Wanted>, closed: bool) -> Self {
        self.legal.push(Legal { answers, closed });
        self
    }

    /// What is wrong; `None` if it went in a legal way.
    fn complaint(&self, server: &Server) -> Option<String> {
        let most = self.legal.iter().map(|legal| legal.answers.len()).max().expect("a case allows something");
        // Only where the end of the connection decides is it waited for.
        let undecided = |so_far: &Outcome| {
            let fits =
                |closed: bool| self.legal.iter().any(|legal| legal.closed == closed && legal.fits(so_far).is_ok());
            !fits(false) && fits(true)
        };
        let outcome = wire::exchange(&server.address, &self.octets, &self.heads, most, undecided);
        if let Some(garbage) = &outcome.garbage {
            return Some(format!("{garbage} after {:?}", shown(&outcome)));
        }
        let mut complaints: Vec<_> = outcome.answers.iter().filter_map(laws::broken).collect();
        let illegal: Vec<_> = self.legal.iter().map(|legal| legal.complaint(&outcome)).collect();
        if illegal.iter().all(Option::is_some) {
            complaints.extend(illegal.into_iter().flatten());
        }
        (!complaints.is_empty()).then(|| format!("{}\n      got {:?}", complaints.join("; or "), shown(&outcome)))
    }
}

impl Legal {
    fn complaint(&self, outcome: &Outcome) -> Option<String> {
        let open = self.closed && !outcome.closed;
        self.fits(outcome).err().or_else(|| open.then(|| "the connection stays open".to_owned()))
    }

    /// Whether the answers are as wanted; the error says what is wrong.
    fn fits(&self, outcome: &Outcome) -> Result<(), String> {
        if outcome.answers.len() != self.answers.len() {
            return Err(format!("{} answers instead of {}", outcome.answers.len(), self.answers.len()));
        }
        let complaint = self.answers.iter().zip(&outcome.answers).find_map(|(wanted, answer)| wanted.complaint(answer));
        complaint.map_or(Ok(()), Err)
    }
}

fn shown(outcome: &Outcome) -> Vec<String> {
    outcome.answers.iter().map(crate::answer::Answer::shown).collect()
}

/// Runs a table against a server of its own.
///
/// # Panics
/// If any case fails: with all that failed.
#[allow(clippy::print_stdout, reason = "the score is what a run against a peer is for")]
pub(crate) fn run(theme: &str, cases: &[Case]) {
    let server = Server::start();
    let complaints: Vec<_> = cases
        .iter()
        .filter_map(|case| case.complaint(&server).map(|complaint| format!("  - {}\n      {complaint}", case.rule)))
        .collect();
    println!("{theme}: {} of {} cases", cases.len() - complaints.len(), cases.len());
    assert!(
        complaints.is_empty(),
        "{theme}: {} of {} cases fail\n{}",
        complaints.len(),
        cases.len(),
        complaints.join("\n")
    );
    server.end();
}
