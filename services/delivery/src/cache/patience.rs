//! How long a client waits for an origin where something stale is here.
//!
//! An origin that gives no answer keeps a client waiting for the limit of heads, half a minute, before `stale-if-error` has its say. But the client has
//! what it needs once it is clear that something is wrong; so after a moment what is stale stands in, and the validation goes on for those who
//! come later. That is the case of RFC 9111 section 4.2.4, a cache that is disconnected, and of RFC 5861 section 4, and by the same permission: never
//! against `no-cache`, `must-revalidate` or `proxy-revalidate`. It counts from the moment when the origin was asked: who comes later waits for less, or not
//! at all.

use tokio::time;

use super::{
    Cache, Visit,
    flights::{Flight, Landing},
    found::{Entry, Looked},
    serve::Served,
};
use crate::{
    answer::Answer,
    semantics::caching::{CacheStatus, Forward, decide::Trouble, on_trouble},
};

/// What came of waiting for a flight.
pub(super) enum Waited {
    /// It has landed.
    Landed(Landing),
    /// It is still under way, and something stale stands in.
    Late(Answer),
}

impl Cache {
    /// What may stand in for an origin that is late. Of what is not whole, the rest would have to come from that origin.
    pub(super) fn stand_in(&self, why: Forward, looked: &Looked) -> Option<Entry> {
        let Looked::This(entry) = looked else { return None };
        let now = self.shared.clock.wall();
        let may = why == Forward::Stale && on_trouble(entry.stored(), Trouble::Unreachable, now).is_some();
        (may && entry.object.is_whole()).then(|| entry.clone())
    }

    /// Waits for a flight to land; where something may stand in for it, no longer than clients have to. Cancelling is free.
    pub(super) async fn wait_for(
        &self,
        flight: &Flight,
        visit: &Visit<'_>,
        stand_in: Option<Entry>,
        status: CacheStatus<'_>,
    ) -> Waited {
        let Some(entry) = stand_in else { return Waited::Landed(flight.landed().await) };
        let until = flight.begun() + self.shared.settings.stale_patience;
        if let Ok(landing) = time::timeout_at(until, flight.landed()).await {
            return Waited::Landed(landing);
        }
        let status = CacheStatus { detail: Some("origin-late"), ..status };
        match self.serve(&entry, visit.request, visit.object, status, None).await {
            Served::Answer(answer) => Waited::Late(answer),
            Served::Useless => Waited::Landed(flight.landed().await),
        }
    }
}
