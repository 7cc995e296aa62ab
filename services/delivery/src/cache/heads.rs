//! HEAD, where nothing that is here answers it: of those who want the same, one asks.
//!
//! A GET that is under way brings the head that a HEAD wants, so that it is waited for. Else the first HEAD asks, and the others wait. All are
//! answered by one response only where a cache could keep it: what is for one client goes to the one who asked, and for a while nobody
//! waits for that. What a response says of an object that is here counts for GET, too (RFC 9111 section 4.3.5); the response itself is not kept.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use http::Method;
use tokio::sync::oneshot;

use super::{
    Cache, Visit,
    exchange::{Errand, ForFirst, Unkept},
    flights::{Joined, Landing, Ticket},
    found::{Entry, Looked},
    patience::Waited,
};
use crate::{
    answer::Answer,
    origin::{OriginError, Response},
    semantics::caching::{
        CacheStatus, Forward, Got, HeadSays, Times, VaryKey, decide::Trouble, learn_from_head, on_trouble,
    },
};

/// What an origin answered to a HEAD.
#[derive(Debug)]
pub(super) struct Heard {
    response: Response,
    /// Whom else it answers.
    vary: VaryKey,
}

impl Cache {
    /// Answers a HEAD out of a flight; `None` if it is to be looked for again.
    pub(super) async fn head(
        &self,
        visit: &Visit<'_>,
        why: Forward,
        looked: Looked,
    ) -> Result<Option<Answer>, Arc<OriginError>> {
        let first_in = CacheStatus::forwarded(why);
        let joined = CacheStatus { collapsed: true, ..first_in };
        let whole = visit.flight(&looked, None);
        let shared = of_heads(&whole);
        let passing = &self.shared.passing;
        let alone = passing.recall(&visit.key, false) || passing.recall(&shared, false);
        if let (false, Some(flight)) = (alone, self.shared.flights.under_way(&whole)) {
            let landing = match self.wait_for(&flight, visit, self.stand_in(why, &looked), joined).await {
                Waited::Landed(landing) => landing,
                Waited::Late(answer) => return Ok(Some(answer)),
            };
            if !flight.is_silent_on_the_whole(&landing) {
                return self.landed(visit, why, landing, true, None).await;
            }
        }
        let name = match alone {
            true => visit.flight(&looked, Some(self.shared.alone.fetch_add(1, Relaxed))),
            false => shared.clone(),
        };
        let stand_in = self.stand_in(why, &looked);
        let stale = match looked {
            Looked::This(entry) => Some(entry),
            Looked::Nothing | Looked::Others(_) => None,
        };
        let (flight, place) = self.shared.flights.join(&name, &visit.key, false);
        let (mut own, status) = match place {
            Joined::Later => (None, joined),
            Joined::First(ticket) => {
                let (first, own) = oneshot::channel();
                let errand = visit.errand(None, stale);
                self.shared.tasks.spawn("cache head", self.clone().fly_for_head(errand, shared, ticket, first));
                (Some(own), first_in)
            }
        };
        match self.wait_for(&flight, visit, stand_in, status).await {
            Waited::Landed(landing) => {
                let own = own.as_mut().and_then(|own| own.try_recv().ok());
                self.landed(visit, why, landing, status.collapsed, own).await
            }
            Waited::Late(answer) => Ok(Some(answer)),
        }
    }

    /// Asks, and lands with what everybody may have.
    async fn fly_for_head(self, errand: Errand, name: String, ticket: Ticket, first: oneshot::Sender<ForFirst>) {
        let (fields, stale) = (self.fields(&errand.object), errand.stale.as_ref());
        let stop = self.shared.tasks.stop_token();
        let asking = self.ask(&errand.object, Method::HEAD, &fields, None, stale.is_none());
        // Cut short, it lands with nothing.
        let Some((asked, times)) = stop.run_until_cancelled(Box::pin(asking)).await else { return };
        self.shared.stats.asked();
        let response = match asked {
            Ok(response) => response,
            Err(error) => return ticket.land(self.in_trouble(stale, error)),
        };
        if let Some(entry) = stale {
            if on_trouble(entry.stored(), Trouble::Status(response.status), times.received).is_some() {
                return ticket.land(Landing::Stale(entry.clone()));
            }
            self.learn(entry, &response, times, errand.object.through).await;
        }
        match self.storable(&errand, &response, times) {
            Ok((stored, _)) => ticket.land(Landing::Heard(Arc::new(Heard { response, vary: stored.vary().clone() }))),
            Err(why) => {
                self.shared.passing.remember(&name, false);
                // Who asked first may have left: then nobody wants it.
                let _ = first.send(ForFirst::Unkept(Box::new(Unkept { response, fields, why })));
                ticket.land(Landing::Passed);
            }
        }
    }

    /// Takes over what a HEAD says of what is here.
    async fn learn(&self, entry: &Entry, response: &Response, times: Times, through: bool) {
        let mut stored = entry.stored().clone();
        let headers = response.kept_headers(through);
        let got = Got { status: response.status, headers: &headers };
        match learn_from_head(&mut stored, got, times, &self.shared.settings.policy) {
            HeadSays::Current | HeadSays::Changed => {
                let kept = entry.object.set_head(stored.to_bytes().into(), self.shared.clock.wall().into()).await;
                if let Err(error) = kept {
                    tracing::warn!(key = entry.object.key(), %error, "what a HEAD said is not kept");
                }
            }
            HeadSays::Nothing => {}
        }
    }

    /// Answers with what the origin said to a HEAD, this request's own or another.
    pub(super) async fn heard(
        &self,
        visit: &Visit<'_>,
        why: Forward,
        heard: &Heard,
        collapsed: bool,
    ) -> Result<Answer, Arc<OriginError>> {
        let Heard { response, vary } = heard;
        if !vary.matches(&visit.object.origin_headers) || visit.request.method != Method::HEAD {
            return self.pass(visit, why).await;
        }
        match collapsed {
            true => self.shared.stats.missed(true),
            false => self.shared.stats.passed(),
        }
        let status = CacheStatus { collapsed, ..CacheStatus::forwarded(why) };
        self.finish(visit, status, response.head(), &self.fields(visit.object))
    }
}

/// The name of the flights of HEADs; no other has it.
fn of_heads(name: &str) -> String {
    format!("{name}\n\n\n\nhead")
}
