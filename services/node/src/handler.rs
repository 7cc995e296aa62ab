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
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tracing::{Span, field, info_span};

use crate::{
    alternates::Alternates,
    arrivals::{Arrival, Arrivals},
    cluster::{Cluster, Facts},
    door::{Admission, Door, Entry, Files, Last, Refusal, Visit, Why, shortcoming, trusts_the_redirect},
    drain::Drain,
    figures::Figures,
    fullness::Fullness,
    health::Health,
    telling::Held,
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
    /// Whom it sends clients to that it would rather not serve.
    pub(crate) alternates: Alternates,
    pub(crate) files: Files,
    pub(crate) fullness: Fullness,
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
        let facts = self.cluster.facts();
        let decided = self.door.decide(self.visit(&request), &facts);
        let (closes, draining) = (!request.content.is_empty(), self.drain.is_draining());
        let answer = match decided {
            Entry::Admitted(admission) => self.admit(request, &facts, *admission).await,
            Entry::Home(url) => {
                self.figures.sent_home.inc();
                self.sent(&url)
            }
            Entry::Refused(why) => self.refuse(why),
        };
        // Content that nobody took would be read as the next request; and a connection to a node that wants none would bring it here, too.
        if closes || draining { answer.closing() } else { answer }
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
        if self.drain.is_draining() || self.delivery.transfers().is_full() {
            answer = answer.with(probe::UNWANTED, HeaderValue::from_static("1"));
        }
        if self.fullness.is_full() {
            answer = answer.with(probe::FULL, HeaderValue::from_static("1"));
        }
        match HeaderValue::try_from(self.door.node.as_str()) {
            Ok(node) => answer.with(probe::NODE, node),
            Err(_) => answer,
        }
    }

    /// Serves what was admitted, or sends it to where it is served better.
    async fn admit(&self, mut request: Request, facts: &Facts, admission: Admission) -> Answer {
        if let Some(refused) = methods::refusal_on(&admission.methods, &request) {
            return refused;
        }
        if let Some(why) = self.reluctance(&request)
            && let Some(answer) = self.leave(&request, facts, admission.redirect, why).await
        {
            return answer;
        }
        let parent = admission.trace.or_else(|| traceparent(&request));
        let span = self.span(&admission.key, parent.as_ref());
        let (open, redirect, named) = (admission.open, admission.redirect, admission.validator.clone());
        let fields = pick(&admission.request_fields, &request.headers);
        let mut object = Object { origin_headers: fields, ..object(admission) };
        // Without a span of ours, the origin's belongs to whoever asked us.
        if let Some(trace) = context_of(&span).or(parent)
            && let Ok(value) = HeaderValue::try_from(trace.to_string())
        {
            object.origin_headers.insert(TRACEPARENT, value);
        }
        let mut answer = self.delivery.prepare(&request, &object).await;
        if let Some(why) = shortcoming(self.files, named.as_deref(), &request, (answer.status, &answer.headers)) {
            if let Some(elsewhere) = self.leave(&request, facts, redirect, why).await {
                span.record("http.response.status_code", elsewhere.status.as_u16());
                return elsewhere;
            }
            if why == Why::OtherVersion && trusts_the_redirect(&request) {
                // The client may have bytes of the version that it was promised: all of this one then, since a server may ignore Range (RFC 9110
                // section 14.2), and no part that could be put beside them (P10).
                request.headers.remove(header::RANGE);
                answer = self.delivery.prepare(&request, &object).await;
            }
        }
        // Others may have begun while this one waited for an origin or the disk.
        let Some(mut answer) = self.delivery.enter(&request, &object, answer) else {
            let elsewhere = self.leave(&request, facts, redirect, Why::Crowded).await;
            let answer = elsewhere.unwrap_or_else(|| self.crowded());
            span.record("http.response.status_code", answer.status.as_u16());
            return answer;
        };
        span.record("http.response.status_code", answer.status.as_u16());
        if open {
            self.delivery.keep_ready(&request, &object, &answer);
        }
        let arrival = redirect.and_then(|redirect| self.arrived(&request, redirect, &object.key, &answer));
        if let Some(transfer) = &mut answer.transfer {
            record_end(span, arrival, transfer);
        }
        answer
    }

    /// Takes note of a redirect that was answered here; of one whose answer is still to be sent, the end comes later.
    fn arrived(&self, request: &Request, redirect: RedirectId, key: &ObjectKey, answer: &Answer) -> Option<Arrival> {
        let client = request.peer.ip();
        let is_what_was_asked_for = answer.status.is_success() || matches!(answer.status.as_u16(), 304 | 412 | 416);
        match &answer.transfer {
            Some(transfer) if is_what_was_asked_for => {
                let held = Held::of(key, answer);
                return Some(self.arrivals.begin(client, redirect, transfer.progress(), held));
            }
            _ if is_what_was_asked_for => self.arrivals.note(client, redirect, Fate::Complete),
            _ => self.arrivals.note(client, redirect, Fate::Failed),
        }
        None
    }

    /// Why a request had better go elsewhere, as far as that is known before it is looked into. A HEAD takes nothing that is scarce.
    fn reluctance(&self, request: &Request) -> Option<Why> {
        let gets = request.method == Method::GET;
        if self.drain.is_closing() {
            Some(Why::Closing)
        } else if self.drain.is_draining() {
            Some(Why::Draining)
        } else if gets && self.delivery.transfers().is_full() {
            Some(Why::Crowded)
        } else if self.files != Files::AtOrigins && self.health.disks.is_sick() {
            Some(Why::SickDisk)
        } else if gets && self.fullness.is_full() {
            Some(Why::Full)
        } else {
            None
        }
    }

    /// To an alternate that is there, else where [`Last`] has it; `None` if the node's own answer is the best.
    async fn leave(&self, request: &Request, facts: &Facts, redirect: Option<RedirectId>, why: Why) -> Option<Answer> {
        let elsewhere = self.door.elsewhere(self.visit(request), facts);
        if let Some(alternate) = self.alternates.find(&elsewhere.alternates, why.prefers_crowds()).await {
            self.figures.sent_on(why);
            if let Some(redirect) = redirect {
                // Its client is well served: it came here, and goes on.
                self.arrivals.note(request.peer.ip(), redirect, Fate::UnderWay);
            }
            return Some(self.sent(&alternate.url));
        }
        let answer = match (elsewhere.last(why), why) {
            (Last::Home(home), _) => {
                self.figures.sent_home.inc();
                self.sent(&home)
            }
            (Last::Nothing, Why::Closing) => {
                Answer::unavailable("this node stops", STOPS_FOR).with(header::CACHE_CONTROL, NO_STORE)
            }
            (Last::Nothing, Why::Crowded) => self.crowded(),
            (Last::Nothing | Last::Here, _) => return None,
        };
        if let Some(redirect) = redirect {
            // It came, and is to go elsewhere: without a word it would look as if it had never arrived.
            self.arrivals.note(request.peer.ip(), redirect, Fate::Failed);
        }
        Some(answer)
    }

    fn crowded(&self) -> Answer {
        self.delivery.crowded().with(header::CACHE_CONTROL, NO_STORE)
    }

    fn visit<'r>(&self, request: &'r Request) -> Visit<'r> {
        Visit {
            path: request.target.path(),
            query: request.target.query(),
            client: request.peer.ip(),
            now: self.clock.corrected(),
            secure: request.secure,
        }
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

    /// Goes there.
    fn sent(&self, url: &str) -> Answer {
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
