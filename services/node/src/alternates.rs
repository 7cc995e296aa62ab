//! Whether another node is there, before a client is sent to it.
//!
//! A token names nodes that lived when it was made. A node sends a client on to one of them only if it answers for its built-in object
//! now, and wants clients: one that is dead, or stops as well, would lose the client what this is to save, and one that an operator drains is to get none.
//! One that says that it is full comes last, and gets nobody from a node that is no worse than full itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ferry_core::{address::Authority, time::Tick};
use ferry_runtime::{
    Clock,
    probe::{Prober, Welcome},
};
use tokio::time::timeout;

use crate::door::Alternate;

/// How long an answer holds. One that is gone is not asked for as long again: to wait for it costs every client what a probe takes.
const THERE_FOR: Duration = Duration::from_secs(1);
const GONE_FOR: Duration = Duration::from_secs(3);

/// How long a client waits while somebody is looked for.
const LOOK_FOR: Duration = Duration::from_millis(1500);

/// Nodes that are remembered; beyond that all are forgotten.
const MOST: usize = 256;

/// What is known of other nodes; asked by many clients at once, each is probed once.
#[derive(Debug)]
pub(crate) struct Alternates {
    prober: Prober,
    clock: Clock,
    known: Mutex<HashMap<Authority, Arc<Known>>>,
}

/// What a probe found, and when. Held while one is under way, for which the others wait.
type Known = tokio::sync::Mutex<Option<(Tick, Welcome)>>;

impl Alternates {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { prober: Prober::default(), clock, known: Mutex::default() }
    }

    /// The first of them that is there and not full; with none, the first that is full, if `crowded` will do. Takes at most [`LOOK_FOR`]; cancelling it is
    /// free.
    pub(crate) async fn find<'a>(&self, alternates: &'a [Alternate], crowded: bool) -> Option<&'a Alternate> {
        let mut second = None;
        let first = async {
            for alternate in alternates {
                match self.welcome(alternate).await {
                    Welcome::Warm => return Some(alternate),
                    Welcome::Full => second = second.or(Some(alternate)),
                    Welcome::None => {}
                }
            }
            None
        };
        let first = timeout(LOOK_FOR, first).await.ok().flatten();
        first.or_else(|| second.filter(|_| crowded))
    }

    async fn welcome(&self, alternate: &Alternate) -> Welcome {
        let known = self.known(&alternate.authority);
        let mut known = known.lock().await;
        if let Some((at, welcome)) = *known
            && self.clock.now().since(at) < if welcome == Welcome::None { GONE_FOR } else { THERE_FOR }
        {
            return welcome;
        }
        let welcome = self.prober.welcome(&alternate.node, &alternate.authority, alternate.secure).await;
        *known = Some((self.clock.now(), welcome));
        welcome
    }

    fn known(&self, authority: &Authority) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(authority) {
            known.clear();
        }
        Arc::clone(known.entry(authority.clone()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use ferry_core::time::UnixMillis;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// A node that answers probes with this status, how often it was asked, and where it is.
    async fn node(status: &'static str) -> (Alternate, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let authority: Authority = listener.local_addr().expect("bound").to_string().parse().expect("an address");
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Relaxed);
                let _asked = stream.read(&mut [0; 1024]).await;
                let answer = format!("HTTP/1.1 {status}\r\nferry-node: n2\r\ncontent-length: 0\r\n\r\n");
                let _heard = stream.write_all(answer.as_bytes()).await;
            }
        });
        (alternate(authority), asked)
    }

    fn alternate(authority: Authority) -> Alternate {
        Alternate { node: "n2".parse().expect("a name"), authority, secure: false, url: String::new() }
    }

    #[tokio::test]
    async fn one_that_an_operator_drains_is_passed_over_although_it_is_well() {
        let alternates = Alternates::new(Clock::fixed(UnixMillis(1_700_000_000_000)));
        let (drained, well) = (node("200 OK\r\nferry-draining: 1").await.0, node("200 OK").await.0);
        let all = [drained, well];
        assert_eq!(alternates.find(&all, true).await, Some(&all[1]));
        assert_eq!(alternates.find(&all[..1], true).await, None);
    }

    #[tokio::test]
    async fn one_that_is_full_comes_last_and_gets_nobody_from_a_full_node() {
        let alternates = Alternates::new(Clock::fixed(UnixMillis(1_700_000_000_000)));
        let full = async || node("200 OK\r\nferry-full: 1").await.0;
        let all = [full().await, full().await, node("200 OK").await.0];
        for crowded in [true, false] {
            assert_eq!(alternates.find(&all, crowded).await, Some(&all[2]));
        }
        assert_eq!(alternates.find(&all[..2], true).await, Some(&all[0]));
        assert_eq!(alternates.find(&all[..2], false).await, None);
    }

    #[tokio::test]
    async fn the_first_that_answers_well_is_found_and_asked_once_for_many() {
        let (clock, hand) = Clock::manual(UnixMillis(1_700_000_000_000));
        let alternates = Alternates::new(clock);
        let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
        let gone = alternate(gone.to_string().parse().expect("an address"));
        let ((stops, asked_stops), (well, asked_well)) = (node("503 Stopping").await, node("200 OK").await);
        let all = [gone, stops, well];
        let find = || alternates.find(&all, true);
        let (one, other, third) = tokio::join!(find(), find(), find());
        assert_eq!([one, other, third], [Some(&all[2]); 3]);
        let asked = || (asked_stops.load(Relaxed), asked_well.load(Relaxed));
        assert_eq!(asked(), (1, 1), "three clients, one look");
        hand.advance(THERE_FOR);
        assert_eq!(alternates.find(&all, true).await, Some(&all[2]));
        assert_eq!(asked(), (1, 2), "who is well is looked at again, who is not a little later");
        hand.advance(GONE_FOR);
        assert_eq!(alternates.find(&all[..2], true).await, None);
        assert_eq!(asked(), (2, 2));
    }
}
