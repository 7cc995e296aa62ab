//! Where an origin's name leads, asked again now and then.
//!
//! Requests wait for the resolver only while no address is known at all. One that is late, or fails, leaves the last addresses in
//! use: a name service that is away does not take an origin with it.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ferry_core::time::Tick;
use ferry_runtime::Clock;
use tokio::{sync::watch, task, time};
use url::{Host, Url};

/// A failed lookup is repeated no sooner than this.
const AGAIN: Duration = Duration::from_secs(1);

/// Finds a name's addresses; blocks.
pub(super) type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The addresses of one origin.
pub(super) struct Addresses {
    /// `None` where the origin is an address itself.
    name: Option<(String, u16)>,
    lookup: Lookup,
    clock: Clock,
    /// How long a list is good for.
    refresh: Duration,
    /// How long somebody waits for the first.
    limit: Duration,
    due: Mutex<Due>,
    known: watch::Sender<Known>,
}

/// When to look again.
#[derive(Debug)]
struct Due {
    at: Tick,
    under_way: bool,
}

#[derive(Debug, Clone, Default)]
struct Known {
    list: Arc<[SocketAddr]>,
    /// Lookups that ended.
    rounds: u64,
    /// Why the last one found nothing.
    trouble: Option<String>,
}

impl Addresses {
    pub(super) fn of(url: &Url, lookup: Lookup, clock: Clock, refresh: Duration, limit: Duration) -> Arc<Self> {
        let port = url.port_or_known_default().unwrap_or(80);
        let fixed = match url.host() {
            Some(Host::Ipv4(ip)) => Some(SocketAddr::from((ip, port))),
            Some(Host::Ipv6(ip)) => Some(SocketAddr::from((ip, port))),
            Some(Host::Domain(_)) | None => None,
        };
        let name = fixed.is_none().then(|| (url.host_str().unwrap_or_default().to_owned(), port));
        let known = Known { list: fixed.into_iter().collect(), ..Known::default() };
        let due = Mutex::new(Due { at: clock.now(), under_way: false });
        Arc::new(Self { name, lookup, clock, refresh, limit, due, known: watch::Sender::new(known) })
    }

    /// The addresses as last seen; waits for the resolver only where none were ever seen.
    pub(super) async fn current(self: &Arc<Self>) -> io::Result<Arc<[SocketAddr]>> {
        let mut known = self.known.subscribe();
        let before = known.borrow().rounds;
        let under_way = self.renew();
        let now = known.borrow().clone();
        if !now.list.is_empty() {
            return Ok(now.list);
        }
        if !under_way {
            // It failed a moment ago: nobody waits for what is not asked.
            return Err(io::Error::other(now.trouble.unwrap_or_default()));
        }
        match time::timeout(self.limit, known.wait_for(|known| known.rounds > before)).await {
            Ok(Ok(known)) if !known.list.is_empty() => Ok(Arc::clone(&known.list)),
            Ok(Ok(known)) => Err(io::Error::other(known.trouble.clone().unwrap_or_default())),
            Ok(Err(closed)) => Err(io::Error::other(closed)),
            Err(late) => Err(late.into()),
        }
    }

    /// No address could be reached: they may be old.
    pub(super) fn doubt(&self) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.at = due.at.min(self.clock.now() + AGAIN);
    }

    /// Asks the resolver if that is due, on a thread of its own; one at a time, since nothing can stop a resolver that hangs. Returns
    /// whether an answer is to come.
    fn renew(self: &Arc<Self>) -> bool {
        let Some((name, port)) = self.name.clone() else { return false };
        {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            if due.under_way || self.clock.now() < due.at {
                return due.under_way;
            }
            due.under_way = true;
        }
        let this = Arc::clone(self);
        // Not awaited here: the result arrives in `known`.
        drop(task::spawn_blocking(move || {
            let found = (this.lookup)(&name, port);
            this.learn(&name, found);
        }));
        true
    }

    fn learn(&self, name: &str, found: io::Result<Vec<SocketAddr>>) {
        let found =
            found.and_then(|list| if list.is_empty() { Err(io::Error::other("no addresses")) } else { Ok(list) });
        let pause = if found.is_ok() { self.refresh } else { AGAIN };
        // Held until the result is known too: nobody may see neither a lookup under way nor its result.
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        *due = Due { at: self.clock.now() + pause, under_way: false };
        self.known.send_modify(|known| {
            known.rounds += 1;
            match found {
                Ok(list) => (known.list, known.trouble) = (list.into(), None),
                Err(error) => {
                    tracing::warn!(name, %error, "the origin's name could not be resolved");
                    known.trouble = Some(error.to_string());
                }
            }
        });
    }
}

/// The system's resolver.
pub(super) fn system() -> Lookup {
    Arc::new(|name, port| Ok((name, port).to_socket_addrs()?.collect()))
}
