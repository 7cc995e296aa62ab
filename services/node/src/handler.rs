//! What happens to a client's request: health, the door, then delivery.

use std::{sync::Arc, time::Duration};

use ferry_core::{evidence::Fate, object::ObjectKey, routes::Methods, tokens::RedirectId, trace::TraceContext};
use ferry_delivery::{
    Answer, Delivery, Handler, Object, Request,
    ready::Prompt,
    semantics::{caching::pick, methods},
    server::Plain,
    transfers::Transfer,
};
use ferry_runtime::{
    Clock, probe,
    telemetry::{Sampler, TRACED, context_of, set_parent},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use tracing::{Span, field, info_span};

use crate::{
    alternates::Alternates,
    arrivals::{Arrival, Arrivals},
    cluster::Cluster,
    door::{Admission, Door, Elsewhere, Entry, Refusal, Visit},
    drain::Drain,
    figures::Figures,
    health::Health,
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A node that waits for its first coordinator has its ring a moment later.
const RING_SOON: Duration = Duration::from_secs(1);

/// Whoever finds a node that stops had better ask the gateway again.
const STOPS_FOR: Duration = Duration::from_secs(1);

/// Answers clients.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) door: Door,
    pub(crate) delivery: Delivery,
    pub(crate) cluster: Cluster,
    pub(crate) drain: Drain,
    /// Whom a drain sends clients to.
    pub(crate) alternates: Alternates,
    /// What gateways hear of their redirects.
    pub(crate) arrivals: Arrivals,
    pub(crate) clock: Clock,
    pub(crate) sampler: Sampler,
    pub(crate) health: Arc<Health>,
    pub(crate) figures: Figures,
}

impl Handler for Clients {
    async fn handle(&self, request: Request) -> Answer {
        let refused = methods::refusal(&request);
        if request.target.path() == "/health" {
            return refused.unwrap_or_else(|| self.health());
        }
        if request.target.path() == probe::PATH {
            return match refused {
                Some(refused) => refused,
                None => self.probed().await,
            };
        }
        // Where no route lets more through, what a method or content means does not depend on the path.
        if let Some(refused) = refused.filter(|_| !self.door.lets_through()) {
            return refused;
        }
        let visit = Visit {
            path: request.target.path(),
            query: request.target.query(),
            client: request.peer.ip(),
            now: self.clock.corrected(),
            secure: request.secure,
            wanted: !self.drain.is_draining(),
        };
        let answer = match self.door.decide(visit, &self.cluster.facts()) {
            Entry::Admitted(admission) => self.admit(&request, *admission).await,
            Entry::Home(url) => {
                self.figures.sent_home.inc();
                self.elsewhere(&url)
            }
            Entry::Onward(elsewhere) => self.onward(&request, elsewhere).await,
            Entry::Refused(why) => self.refuse(why),
        };
        // Content that nobody took would be read as the next request; and a connection to a node that wants none would bring it here, too.
        if request.content.is_empty() && !self.drain.is_draining() { answer } else { answer.closing() }
    }

    fn ready(&self, plain: Plain<'_>) -> Option<Prompt> {
        // What was open when the answer was kept may have been closed since.
        if self.drain.is_draining() || !self.door.stands_open(self.cluster.guarded()) {
            return None;
        }
        let mut prompt = self.delivery.ready(plain)?;
        self.trace(&mut prompt);
        Some(prompt)
    }
}

impl Clients {
    /// The span of a transfer that is traced, entered in the books of the answer that is ready.
    fn trace(&self, prompt: &mut Prompt) {
        let span = self.span(prompt.key(), None);
        if !span.is_none() {
            span.record("http.response.status_code", StatusCode::OK.as_u16());
            record_end(span, None, prompt.transfer());
        }
    }

    fn health(&self) -> Answer {
        let page = self.health.page().to_string();
        let json = HeaderValue::from_static("application/json");
        Answer::bytes(StatusCode::OK, json, page).with(header::CACHE_CONTROL, NO_STORE)
    }

    /// The built-in object, which says who serves here, and whether its roots can be read.
    async fn probed(&self) -> Answer {
        let answer = match self.delivery.is_well().await {
            // Whoever looks because no coordinator tells him should know it before the listener closes.
            true if self.drain.is_stopping() => Answer::text(StatusCode::SERVICE_UNAVAILABLE, "this node stops"),
            true => Answer::text(StatusCode::OK, "well"),
            false => Answer::text(StatusCode::SERVICE_UNAVAILABLE, "a root cannot be read"),
        };
        let mut answer = answer.with(header::CACHE_CONTROL, NO_STORE);
        // What an operator drains is well all the same; but no other node is to send clients here.
        if self.drain.is_draining() {
            answer = answer.with(probe::UNWANTED, HeaderValue::from_static("1"));
        }
        match HeaderValue::try_from(self.door.node.as_str()) {
            Ok(node) => answer.with(probe::NODE, node),
            Err(_) => answer,
        }
    }

    async fn admit(&self, request: &Request, admission: Admission) -> Answer {
        if self.drain.is_closing() {
            return Answer::unavailable("this node stops", STOPS_FOR).with(header::CACHE_CONTROL, NO_STORE);
        }
        match methods::refusal_on(&admission.methods, request) {
            Some(refused) => refused,
            None => self.deliver(request, admission).await,
        }
    }

    /// To an alternate that is there; else it is served here for as long as the grace lasts, and sent home after that.
    async fn onward(&self, request: &Request, elsewhere: Elsewhere) -> Answer {
        let Elsewhere { alternates, home, here } = elsewhere;
        if let Some(alternate) = self.alternates.find(&alternates).await {
            self.figures.sent_on.inc();
            if let Some(redirect) = here.redirect {
                // Its client is well served: it came here, and goes on.
                self.arrivals.note(request.peer.ip(), redirect, Fate::UnderWay);
            }
            return self.elsewhere(&alternate.url);
        }
        match home.filter(|_| self.drain.is_closing()) {
            Some(home) => {
                self.figures.sent_home.inc();
                self.elsewhere(&home)
            }
            None => self.admit(request, *here).await,
        }
    }

    async fn deliver(&self, request: &Request, admission: Admission) -> Answer {
        let parent = admission.trace.or_else(|| traceparent(request));
        let span = self.span(&admission.key, parent.as_ref());
        let (open, redirect) = (admission.open, admission.redirect);
        let fields = pick(&admission.request_fields, &request.headers);
        let mut object = Object { origin_headers: fields, ..object(admission) };
        // Without a span of ours, the origin's belongs to whoever asked us.
        if let Some(trace) = context_of(&span).or(parent)
            && let Ok(value) = HeaderValue::try_from(trace.to_string())
        {
            object.origin_headers.insert(TRACEPARENT, value);
        }
        let mut answer = self.delivery.deliver(request, &object).await;
        span.record("http.response.status_code", answer.status.as_u16());
        if open {
            self.delivery.keep_ready(request, &object, &answer);
        }
        let arrival = redirect.and_then(|redirect| self.arrived(request, redirect, &answer));
        if let Some(transfer) = &mut answer.transfer {
            record_end(span, arrival, transfer);
        }
        answer
    }

    /// Takes note of a redirect that was answered here; of one whose answer is still to be sent, the end comes later.
    fn arrived(&self, request: &Request, redirect: RedirectId, answer: &Answer) -> Option<Arrival> {
        let client = request.peer.ip();
        let is_what_was_asked_for = answer.status.is_success() || matches!(answer.status.as_u16(), 304 | 412 | 416);
        match &answer.transfer {
            Some(transfer) if is_what_was_asked_for => {
                return Some(self.arrivals.begin(client, redirect, transfer.progress()));
            }
            _ if is_what_was_asked_for => self.arrivals.note(client, redirect, Fate::Complete),
            _ => self.arrivals.note(client, redirect, Fate::Failed),
        }
        None
    }

    /// A span for what is sampled, and none at all for the rest.
    fn span(&self, key: &ObjectKey, parent: Option<&TraceContext>) -> Span {
        if !self.sampler.decide(parent) {
            return Span::none();
        }
        let span = info_span!(
            target: TRACED,
            parent: None,
            "transfer",
            otel.kind = "server",
            node = %self.door.node,
            %key,
            http.response.status_code = field::Empty,
            sent_bytes = field::Empty,
            complete = field::Empty,
        );
        if let Some(parent) = parent {
            set_parent(&span, parent);
        }
        span
    }

    fn elsewhere(&self, url: &str) -> Answer {
        // The path came through hyper and the place out of a token: what fits no header is no place to send anybody.
        let Ok(location) = HeaderValue::try_from(url) else { return self.refuse(Refusal::Token) };
        Answer::empty(StatusCode::FOUND).with(header::LOCATION, location).with(header::CACHE_CONTROL, NO_STORE)
    }

    fn refuse(&self, why: Refusal) -> Answer {
        self.figures.refused(why);
        let answer = match why {
            Refusal::Encoding => Answer::text(StatusCode::BAD_REQUEST, "the path is not encoded as a path should be"),
            Refusal::NoObject => Answer::text(StatusCode::NOT_FOUND, "not found"),
            Refusal::Token | Refusal::NoToken => Answer::text(StatusCode::FORBIDDEN, "forbidden"),
            Refusal::Gone => Answer::text(StatusCode::GONE, "this link has expired"),
            Refusal::NoRing => Answer::unavailable("this node has not heard of its cluster yet", RING_SOON),
        };
        answer.with(header::CACHE_CONTROL, NO_STORE)
    }
}

/// The object of an admission, without anything of the request that led there.
pub(crate) fn object(admission: Admission) -> Object {
    let mut object = Object::new(admission.key, admission.origin_target);
    object.filename = admission.filename;
    // Both were checked where they came in: a route's by its compiler, a token's by its gateway.
    object.cache_control = admission.cache_control.and_then(|text| text.parse().ok());
    object.content_type = admission.content_type.and_then(|text| text.parse().ok());
    object.through = admission.methods != Methods::None;
    object
}

/// The span lives as long as the transfer.
fn record_end(span: Span, arrival: Option<Arrival>, transfer: &mut Transfer) {
    if span.is_none() && arrival.is_none() {
        return;
    }
    transfer.at_end(move |ended| {
        span.record("sent_bytes", ended.sent_bytes);
        span.record("complete", ended.complete);
        if let Some(arrival) = arrival {
            arrival.end(ended);
        }
    });
}

/// What the client says of its trace: at most one, and a good one.
fn traceparent(request: &Request) -> Option<TraceContext> {
    let mut values = request.headers.get_all(TRACEPARENT).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()?.parse().ok()
}
