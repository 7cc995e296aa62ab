//! The origin behind the caches: an nginx of its own, whose work is not counted, but whose bytes are.

use std::{
    fs,
    io::Read,
    net::SocketAddr,
    ops::Sub,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    get::get,
    server::{Server, pause},
};

/// For requests that are under way at the origin to end.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

/// An origin for caches.
#[derive(Debug)]
pub(crate) struct Origin {
    server: Server,
    log: PathBuf,
}

/// What an origin has sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) requests: u64,
    /// Of bodies.
    pub(crate) bytes: u64,
}

impl Sub for Sent {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { requests: self.requests - earlier.requests, bytes: self.bytes - earlier.bytes }
    }
}

/// Names for one file that no cache has heard of: the origin ignores the number in them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Arc<AtomicU64>);

impl Names {
    /// A name that was never given out.
    pub(crate) fn next(&self, target: &str) -> String {
        name(self.0.fetch_add(1, Ordering::Relaxed), target)
    }

    /// The last that was given out, if that was for this target.
    pub(crate) fn last(&self, target: &str) -> String {
        name(self.0.load(Ordering::Relaxed).saturating_sub(1), target)
    }
}

fn name(number: u64, target: &str) -> String {
    // As many digits always: the heads of all requests are equally long.
    format!("/n/{number:012}{target}")
}

impl Origin {
    /// Around a server that writes the status and the length of each answer to `log`, once it has ended.
    pub(crate) fn new(server: Server, log: PathBuf) -> Self {
        Self { server, log }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.doors.http
    }

    /// All that it has sent so far, once nothing is under way any more.
    pub(crate) fn sent(&self) -> Result<Sent> {
        let begun = Instant::now();
        loop {
            let mut status = String::new();
            get(self.address(), "/status")?.body.read_to_string(&mut status)?;
            // The question itself is one.
            if writing(&status).context("stub_status tells how many are writing")? <= 1 {
                break;
            }
            ensure!(begun.elapsed() < IDLE_LIMIT, "the origin does not come to an end: {status}");
            pause(Duration::from_millis(5));
        }
        // A worker counts a request as ended just before it writes its line.
        pause(Duration::from_millis(10));
        sum(&fs::read_to_string(&self.log)?)
    }
}

/// Requests whose answers are being sent.
fn writing(status: &str) -> Option<u64> {
    status.split_once("Writing: ")?.1.split_ascii_whitespace().next()?.parse().ok()
}

/// Of a log with a status and a length on each line.
fn sum(log: &str) -> Result<Sent> {
    log.lines().try_fold(Sent::default(), |sent, line| {
        let bytes = line.split_once(' ').and_then(|(_, bytes)| bytes.parse::<u64>().ok());
        let bytes = bytes.with_context(|| format!("the origin's log has a line {line:?}"))?;
        Ok(Sent { requests: sent.requests + 1, bytes: sent.bytes + bytes })
    })
}

#[cfg(test)]
mod tests {
    use super::{Names, Sent, sum, writing};

    #[test]
    fn no_name_is_given_out_twice() {
        let names = Names::default();
        let other = names.clone();
        let given = [names.next("/a"), other.next("/a"), names.next("/b")];
        assert_eq!(given, ["/n/000000000000/a", "/n/000000000001/a", "/n/000000000002/b"]);
        assert_eq!(other.last("/b"), given[2]);
    }

    #[test]
    fn the_bytes_of_all_answers_are_summed_up() {
        assert_eq!(sum("200 1048576\n206 10\n304 0\n").ok(), Some(Sent { requests: 3, bytes: 1_048_586 }));
        assert_eq!(sum("").ok(), Some(Sent::default()));
        assert!(sum("200 1048576\n20").is_err());
    }

    #[test]
    fn the_status_tells_who_is_being_answered() {
        let status =
            "Active connections: 3 \nserver accepts handled requests\n 9 9 12 \nReading: 0 Writing: 2 Waiting: 1 \n";
        assert_eq!(writing(status), Some(2));
        assert_eq!(writing("<html>"), None);
    }
}
