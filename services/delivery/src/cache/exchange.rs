//! One exchange with the origin, and what becomes of its response: kept, taken over into what was kept, or passed by.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::sync::oneshot;

use super::{
    Cache,
    filler::{Filler, First, Whence, identity},
    flights::{Landing, Ticket},
    found::{self, Entry},
    store::{NewObject, StoreError, Validator},
};
use crate::{
    delivery::Object,
    origin::{Ask, OriginError, Response, is_redirect},
    semantics::caching::{
        Asked, Freshened, Got, SURROGATE_CONTROL, Stored, Times, decide::Trouble, freshen, on_trouble, partial,
        storable::WhyNot,
    },
    stream::ByteStream,
};

/// What a flight is for.
#[derive(Debug)]
pub(super) struct Errand {
    /// The cache key.
    pub(super) key: String,
    pub(super) object: Object,
    /// What of it is asked for; all of it, if not said.
    pub(super) range: Option<HeaderValue>,
    /// What is here already, to be validated.
    pub(super) stale: Option<Entry>,
    /// Whether an operator wants it here.
    pub(super) chosen: bool,
}

/// What only the one gets who asked first.
pub(super) enum ForFirst {
    /// A response that is not kept.
    Unkept(Box<Unkept>),
    /// The fields of one that is, as an application sent them: some of them are not kept.
    Fields(HeaderMap),
}

/// A response that is not kept.
pub(super) struct Unkept {
    pub(super) response: Response,
    /// What was asked for it.
    pub(super) fields: HeaderMap,
    /// One word.
    pub(super) why: &'static str,
}

/// What an exchange came to.
enum Outcome {
    Landed(Landing),
    Unkept(Box<Unkept>),
    Kept(Box<Kept>),
}

impl Outcome {
    fn unkept(response: Response, fields: HeaderMap, why: &'static str) -> Self {
        Self::Unkept(Box::new(Unkept { response, fields, why }))
    }
}

/// A response that is kept, and whose content is on its way.
pub(super) struct Kept {
    pub(super) entry: Entry,
    pub(super) status: StatusCode,
    /// Those of an application's response.
    fields: Option<HeaderMap>,
    filler: Arc<Filler>,
    fetch: First,
}

impl Cache {
    /// Makes the exchange, lands it, and brings what it is to bring.
    pub(super) async fn fly(self, errand: Errand, ticket: Ticket, first: oneshot::Sender<ForFirst>) {
        let stop = self.shared.tasks.stop_token();
        // Cut short, it lands with nothing.
        let Some(outcome) = stop.run_until_cancelled(self.exchange(&errand, &ticket)).await else { return };
        match outcome {
            Outcome::Landed(landing) => ticket.land(landing),
            Outcome::Unkept(unkept) => {
                let (revoked, part) = (ticket.is_revoked(), errand.range.is_some());
                // That a range lies behind the end is known of that range alone.
                if !revoked && unkept.response.status != StatusCode::RANGE_NOT_SATISFIABLE {
                    self.shared.passing.remember(&errand.key, part);
                }
                // Who asked first may have left: then nobody wants it.
                let _ = first.send(ForFirst::Unkept(unkept));
                ticket.land(if revoked { Landing::Gone } else { Landing::Passed });
            }
            Outcome::Kept(kept) => {
                let Kept { entry, status, fields, filler, fetch } = *kept;
                if let Some(fields) = fields {
                    let _ = first.send(ForFirst::Fields(fields));
                }
                ticket.land(Landing::Stored { entry, status });
                filler.first(fetch).await;
            }
        }
    }

    async fn exchange(&self, errand: &Errand, ticket: &Ticket) -> Outcome {
        let mut stale = errand.stale.as_ref();
        loop {
            let conditions = stale.map(|entry| entry.stored().conditions()).unwrap_or_default();
            let mut fields = self.fields(&errand.object);
            let conditional = !conditions.is_empty();
            fields.extend(conditions);
            if let (false, Some(range)) = (conditional, &errand.range) {
                fields.insert(header::RANGE, range.clone());
            }
            let (asked, times) = self.ask(&errand.object, Method::GET, &fields, None, stale.is_none()).await;
            self.shared.stats.asked();
            let response = match asked {
                Ok(response) => response,
                Err(error) => return Outcome::Landed(self.in_trouble(stale, error)),
            };
            if let Some(entry) = stale {
                if conditional && response.status == StatusCode::NOT_MODIFIED {
                    match self.confirm(entry, &response, times, errand.object.through).await {
                        Some(entry) => {
                            self.shared.stats.validated();
                            return Outcome::Landed(Landing::Stored { entry, status: response.status });
                        }
                        // It speaks of something else: only an answer without conditions tells what is current.
                        None => {
                            stale = None;
                            continue;
                        }
                    }
                }
                if on_trouble(entry.stored(), Trouble::Status(response.status), times.received).is_some() {
                    return Outcome::Landed(Landing::Stale(entry.clone()));
                }
            }
            return self.judge(errand, response, fields, times, ticket).await;
        }
    }

    /// The fields that an origin is sent for an object, but for what is asked of it.
    pub(super) fn fields(&self, object: &Object) -> HeaderMap {
        let mut fields = object.origin_headers.clone();
        if self.shared.settings.policy.surrogate_control {
            fields.insert("surrogate-capability", HeaderValue::from_static("ferry=\"Surrogate/1.0\""));
        }
        fields
    }

    /// The fields of a response without those that are for this cache.
    pub(super) fn for_clients(&self, mut headers: HeaderMap) -> HeaderMap {
        if self.shared.settings.policy.surrogate_control {
            headers.remove(SURROGATE_CONTROL);
        }
        headers
    }

    /// Asks for an object, and says when.
    pub(super) async fn ask(
        &self,
        object: &Object,
        method: Method,
        fields: &HeaderMap,
        body: Option<ByteStream>,
        retry: bool,
    ) -> (Result<Response, OriginError>, Times) {
        let ask = Ask {
            method,
            target: &object.origin_target,
            headers: fields,
            body,
            identity: identity(object.through),
            follow: !object.through,
            // What an application answers is its answer.
            retry: retry && !object.through,
        };
        let requested = self.shared.clock.wall();
        let asked = self.shared.origins.ask(ask).await;
        (asked, Times { requested, received: self.shared.clock.wall() })
    }

    pub(super) fn in_trouble(&self, stale: Option<&Entry>, error: OriginError) -> Landing {
        let now = self.shared.clock.wall();
        let stand_in = stale.filter(|entry| on_trouble(entry.stored(), Trouble::Unreachable, now).is_some());
        match stand_in {
            Some(entry) => Landing::Stale(entry.clone()),
            None => Landing::Failed(Arc::new(error)),
        }
    }

    /// Takes over what a 304 says; `None` if it speaks of something else than what is stored.
    async fn confirm(&self, entry: &Entry, response: &Response, times: Times, through: bool) -> Option<Entry> {
        let mut stored = entry.stored().clone();
        let headers = response.kept_headers(through);
        let got = Got { status: response.status, headers: &headers };
        let freshened = freshen(&mut stored, got, times, &self.shared.settings.policy);
        if freshened == Freshened::Mismatch {
            return None;
        }
        let object = Arc::clone(&entry.object);
        if let Err(error) = object.set_head(stored.to_bytes().into(), times.received.into()).await {
            tracing::warn!(key = object.key(), %error, "what a validation said cannot be kept");
            object.discard().await;
            return None;
        }
        let entry = Entry::of(Arc::clone(&object), &self.shared.settings.policy);
        if let Freshened::LastUse(_) = freshened {
            object.discard().await;
        }
        entry
    }

    /// Keeps a response, or says why not.
    async fn judge(
        &self,
        errand: &Errand,
        response: Response,
        fields: HeaderMap,
        times: Times,
        ticket: &Ticket,
    ) -> Outcome {
        let (stored, headers) = match self.storable(errand, &response, times) {
            Ok(storable) => storable,
            Err(why) => {
                self.shared.stats.refused();
                if let (Some(stale), false) = (&errand.stale, response.status.is_server_error()) {
                    // The origin has answered, and not with this.
                    stale.object.discard().await;
                }
                return Outcome::unkept(response, fields, why);
            }
        };
        let keeping = self.shared.keeping.read().await;
        if ticket.is_revoked() {
            return Outcome::unkept(response, fields, "purged");
        }
        let kept = self.keep(&errand.key, &errand.object, stored, &response, errand.chosen).await;
        drop(keeping);
        match kept {
            Ok(Some((entry, filler))) => {
                let status = response.status;
                let fields = errand.object.through.then(|| self.for_clients(headers));
                let (entry, fetch) = filler.begin(entry, response);
                Outcome::Kept(Box::new(Kept { entry, status, fields, filler, fetch }))
            }
            Ok(None) => {
                self.shared.stats.refused();
                Outcome::unkept(response, fields, "not-admitted")
            }
            Err(StoreError::ReadOnly) => Outcome::unkept(response, fields, "read-only"),
            Err(error) => {
                tracing::warn!(key = errand.key, %error, "an answer is not kept");
                self.shared.stats.gave_up();
                Outcome::unkept(response, fields, "no-room")
            }
        }
    }

    /// What is kept of a response, and the fields that it is made of; or why it is not.
    pub(super) fn storable(
        &self,
        errand: &Errand,
        response: &Response,
        times: Times,
    ) -> Result<(Stored, HeaderMap), &'static str> {
        // Where files are served, a redirect that was not followed is no answer.
        if !errand.object.through && is_redirect(response.status) {
            return Err("redirect");
        }
        let asked = Asked {
            method: &Method::GET,
            target: &errand.object.origin_target,
            headers: &errand.object.origin_headers,
            has_content: false,
        };
        let headers = response.kept_headers(errand.object.through);
        let got = Got { status: response.status, headers: &headers };
        let stored = Stored::new(asked, got, times, &self.shared.settings.policy).map_err(WhyNot::as_str)?;
        Ok((stored, headers))
    }

    /// Makes the object of a response; `None` if it is not admitted.
    pub(super) async fn keep(
        &self,
        key: &str,
        object: &Object,
        stored: Stored,
        response: &Response,
        chosen: bool,
    ) -> Result<Option<(Entry, Arc<Filler>)>, StoreError> {
        let length = match response.status {
            StatusCode::PARTIAL_CONTENT => partial::part(&response.headers).map(|part| part.complete),
            _ => response.body.length(),
        };
        let name = found::place(&self.shared.store, key, &stored).await?;
        let new = NewObject {
            head: stored.to_bytes().into(),
            validator: validator(stored.headers()),
            length,
            created: self.shared.clock.wall().into(),
            chosen,
        };
        let Some(kept) = self.shared.store.create(&name, new).await? else { return Ok(None) };
        let Some(entry) = Entry::of(kept, &self.shared.settings.policy) else { return Ok(None) };
        let filler = self.shared.fillers.of(&self.shared, &entry, || Whence::of(object));
        Ok(Some((entry, filler)))
    }
}

fn validator(headers: &HeaderMap) -> Option<Validator> {
    let value = headers.get(header::ETAG).or_else(|| headers.get(header::LAST_MODIFIED))?;
    Some(Validator { octets: value.as_bytes().to_vec().into(), strong: partial::is_strong(headers) })
}

impl Whence {
    pub(super) fn of(object: &Object) -> Self {
        Self { target: object.origin_target.clone(), fields: object.origin_headers.clone(), through: object.through }
    }
}
