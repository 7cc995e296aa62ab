//! Requests that wait for one another: of several that want the same thing from the origin, the first one asks.
//!
//! Invariant F1: at most one flight is joined under one name, so that a cold object is fetched once (promise P9).

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use http::StatusCode;
use tokio::{sync::watch, time::Instant};

use super::{found::Entry, heads::Heard};
use crate::origin::OriginError;

/// The flights that are under way, by their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Arc<str>, Arc<Flight>>>>);

/// One exchange with the origin that others may wait for.
#[derive(Debug)]
pub(super) struct Flight {
    /// What is stored of it has this key.
    key: Arc<str>,
    /// Whether the origin is asked for a part.
    part: bool,
    begun: Instant,
    landing: watch::Sender<Option<Landing>>,
    /// Whether what it brings was purged before it came.
    revoked: AtomicBool,
}

/// What came of a flight.
#[derive(Clone)]
pub(super) enum Landing {
    /// This answers whoever waited for it.
    Stored {
        /// What is stored.
        entry: Entry,
        /// What the origin said.
        status: StatusCode,
    },
    /// The origin is in trouble; this may stand in for it.
    Stale(Entry),
    /// A HEAD was answered, and so may all be who wait for one.
    Heard(Arc<Heard>),
    /// It is not to be kept: it belongs to the one who asked first.
    Passed,
    /// No origin answered.
    Failed(Arc<OriginError>),
    /// Whoever asked is gone, and nothing is known.
    Gone,
}

/// The duty to end a flight.
pub(super) struct Ticket {
    flights: Flights,
    name: Arc<str>,
    flight: Arc<Flight>,
}

/// The place of a request in a flight.
pub(super) enum Joined {
    /// It asks.
    First(Ticket),
    /// Another one did.
    Later,
}

impl Flights {
    /// Joins the flight of that name, or begins it, to ask for a part or for the whole.
    pub(super) fn join(&self, name: &str, key: &str, part: bool) -> (Arc<Flight>, Joined) {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(name) {
            return (Arc::clone(flight), Joined::Later);
        }
        let ticket = self.begin_in(&mut flights, name, key, part);
        (Arc::clone(&ticket.flight), Joined::First(ticket))
    }

    /// Begins a flight under a name that no other has.
    pub(super) fn begin(&self, name: &str, key: &str) -> Ticket {
        self.begin_in(&mut self.lock(), name, key, false)
    }

    fn begin_in(&self, flights: &mut HashMap<Arc<str>, Arc<Flight>>, name: &str, key: &str, part: bool) -> Ticket {
        let name: Arc<str> = name.into();
        let (landing, revoked) = (watch::Sender::new(None), AtomicBool::new(false));
        let flight = Arc::new(Flight { key: key.into(), part, begun: Instant::now(), landing, revoked });
        flights.insert(Arc::clone(&name), Arc::clone(&flight));
        Ticket { flights: self.clone(), name, flight }
    }

    /// The flight of that name, if it is under way.
    pub(super) fn under_way(&self, name: &str) -> Option<Arc<Flight>> {
        self.lock().get(name).map(Arc::clone)
    }

    /// What flights under way would store under keys like these is not to be kept, and nobody joins them any more: what they bring may be older
    /// than the purge.
    ///
    /// One may be spared: what it brings is the reason for the purge, and not older than that.
    pub(super) fn revoke(&self, purged: impl Fn(&str) -> bool, spared: Option<&Ticket>) {
        self.lock().retain(|_, flight| {
            let is_spared = spared.is_some_and(|ticket| Arc::ptr_eq(&ticket.flight, flight));
            let revoked = purged(&flight.key) && !is_spared;
            flight.revoked.fetch_or(revoked, Relaxed);
            !revoked
        });
    }

    /// How many are under way.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Whether what came of it says nothing to whoever waited for the whole: what is wrong with a part, or with its range, is not wrong with that.
    pub(super) const fn is_silent_on_the_whole(&self, landing: &Landing) -> bool {
        self.part && matches!(landing, Landing::Passed | Landing::Failed(_))
    }

    /// When its request was on its way.
    pub(super) const fn begun(&self) -> Instant {
        self.begun
    }

    /// Waits for its end. Cancelling is free.
    pub(super) async fn landed(&self) -> Landing {
        let mut landing = self.landing.subscribe();
        // The sender is in what we hold.
        let landed = landing.wait_for(Option::is_some).await.ok().and_then(|landed| landed.clone());
        landed.unwrap_or(Landing::Gone)
    }
}

impl Ticket {
    /// Whether what it brings is not to be kept.
    pub(super) fn is_revoked(&self) -> bool {
        self.flight.revoked.load(Relaxed)
    }

    /// Ends it. Who comes from now on finds what it brought, or begins another.
    pub(super) fn land(self, landing: Landing) {
        self.flight.landing.send_replace(Some(landing));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        // Another may have the name since this one was revoked.
        if flights.get(&self.name).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            flights.remove(&self.name);
        }
        drop(flights);
        self.flight.landing.send_if_modified(|landing| landing.is_none() && landing.replace(Landing::Gone).is_none());
    }
}

impl fmt::Debug for Landing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stored { .. } => "Stored",
            Self::Stale(_) => "Stale",
            Self::Heard(_) => "Heard",
            Self::Passed => "Passed",
            Self::Failed(_) => "Failed",
            Self::Gone => "Gone",
        })
    }
}
