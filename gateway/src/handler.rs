//! One request: judged at the door, then redirected, handed out, or served by the gateway itself.

use std::sync::{Arc, atomic::AtomicBool};

use ferry_core::{
    routes::{Access, Deliver, Methods},
    selection::{Scheme, Selection, Sizes},
    target::Query,
    trace::TraceContext,
};
use ferry_delivery::{
    Answer, Handler, Request,
    semantics::methods,
    server::{Brief, Plain},
};
use ferry_runtime::{
    Clock,
    health::Health,
    telemetry::{Sampler, TRACED, context_of, set_parent},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tracing::{Span, info_span, warn};

use crate::{
    choice::{self, Asker, Wanted},
    door::{Admitted, Rings, admit},
    evidence::Evidence,
    fallback::Fallback,
    figures::Figures,
    objects::Objects,
    playlist::NodeClient,
    redirect::{self, Nodes, Redirector},
    service::status,
    snapshot::{Current, Snapshot},
    whereabouts::Whereabouts,
};

/// Nodes that sent a request away: after so many the gateway's own source comes before one more of them.
const ENOUGH_TRIED: usize = 2;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Answers clients.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) routes: ferry_core::routes::Routes,
    pub(crate) current: Current,
    pub(crate) clock: Clock,
    pub(crate) figures: Figures,
    pub(crate) redirector: Redirector,
    pub(crate) fallback: Fallback,
    pub(crate) nodes: NodeClient,
    /// What nodes tell of objects.
    pub(crate) objects: Arc<Objects>,
    pub(crate) sampler: Sampler,
    pub(crate) health: Health,
    /// Whether it was asked to stop.
    pub(crate) stopping: Arc<AtomicBool>,
    pub(crate) whereabouts: Whereabouts,
    /// What was learned of how long objects are.
    pub(crate) sizes: Sizes,
    pub(crate) evidence: Arc<Evidence>,
}

impl Handler for Front {
    async fn handle(&self, request: Request) -> Answer {
        let refused = methods::refusal(&request);
        if request.target.path() == "/health" {
            return refused.unwrap_or_else(|| health(&self.health, status(&self.stopping)));
        }
        let is_download = refused.is_none();
        // Where no route lets more through, what a method or content means does not depend on the path.
        if let Some(refused) = refused.filter(|_| !self.lets_through()) {
            self.figures.outcome("method");
            return refused;
        }
        let snapshot = self.current.load();
        let rings = Rings { user: snapshot.user_ring.as_ref(), node: snapshot.node_ring.as_ref() };
        let now = self.clock.corrected();
        let query = Query::of(request.target.query());
        let answer = match admit(&self.routes, rings, now, request.target.path(), &query) {
            Ok(admitted) if is_download => self.serve(&request, &query, &admitted, &snapshot).await,
            Ok(admitted) => self.pass(&request, &admitted).await,
            Err(refused) => {
                self.figures.outcome(refused.as_str());
                refused.answer()
            }
        };
        // Content that nobody took would be read as the next request.
        if request.content.is_empty() { answer } else { answer.closing() }
    }

    fn brief(&self, plain: Plain<'_>, brief: &mut Brief<'_>) -> bool {
        self.redirect_briefly(plain, brief).is_some()
    }
}

/// What a request is served with, besides itself.
pub(crate) struct Trace {
    pub(crate) span: Span,
    /// Handed on to the node.
    context: Option<TraceContext>,
}

impl Front {
    async fn serve(
        &self,
        request: &Request,
        query: &Query<'_>,
        admitted: &Admitted<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Answer {
        let asked = (request.target.path(), query);
        let trace = self.trace(traceparent(request), admitted);
        let client = self.whereabouts.of(request.peer.ip(), &request.headers);
        let asker = Asker { part: choice::part(request), ..Asker::of(client, redirect::scheme(request.secure)) };
        let asker = match request.method {
            Method::GET => asker.who_gets(request.headers.get(header::USER_AGENT).map_or(b"", HeaderValue::as_bytes)),
            _ => asker,
        };
        let wanted = self.wanted(admitted, asker, snapshot, self.clock.now());
        let selection = self.choose(snapshot, &wanted);
        let answer = match admitted.found.deliver {
            Deliver::Redirect if admitted.tried.len() >= ENOUGH_TRIED && self.fallback.is_there() => {
                let own = self.fall_back(request, admitted, &trace).await;
                match is_had(&own) {
                    true => own,
                    false => self.redirect(asked, &wanted, snapshot, &selection, &trace).unwrap_or(own),
                }
            }
            Deliver::Redirect => match self.redirect(asked, &wanted, snapshot, &selection, &trace) {
                Some(answer) => answer,
                None => self.fall_back(request, admitted, &trace).await,
            },
            Deliver::Proxy => self.hand_out(request, asked, &wanted, snapshot, &selection, &trace).await,
        };
        trace.span.record("status", answer.status.as_u16());
        answer
    }

    /// `None` if there is no node to send the client to.
    fn redirect(
        &self,
        asked: (&str, &Query<'_>),
        wanted: &Wanted<'_>,
        snapshot: &Snapshot,
        selection: &Selection<'_>,
        trace: &Trace,
    ) -> Option<Answer> {
        let primary = selection.primary?;
        let mut nodes = Nodes::of(selection, wanted.asker.scheme);
        let target = self.target(asked, wanted, snapshot, &mut nodes, trace)?;
        let answer = redirect::answer(&nodes, &target, wanted.version.as_deref())?;
        self.chosen(snapshot, wanted, primary);
        trace.span.record("node", primary.id().as_str());
        Some(answer)
    }

    /// The request target at these nodes, of which those stay that it is good at; `None` where it must carry a token and cannot.
    pub(crate) fn target(
        &self,
        asked: (&str, &Query<'_>),
        wanted: &Wanted<'_>,
        snapshot: &Snapshot,
        nodes: &mut Nodes<'_>,
        trace: &Trace,
    ) -> Option<Vec<u8>> {
        let admitted = wanted.admitted;
        let mut target = redirect::target(asked, admitted);
        let Some(ring) = &snapshot.node_ring else {
            // An open route is served without a token: better than no download.
            return (admitted.found.access == Access::Open).then_some(target);
        };
        let now = self.clock.corrected_at(wanted.now);
        match self.redirector.sign(&mut target, ring, wanted, nodes, now, trace.context) {
            Ok(()) => Some(target),
            Err(why) => {
                warn!(key = %admitted.found.key, %why, "no node token for a request");
                None
            }
        }
    }

    /// Passes on what is no download, where the route lets it through: from here, as a redirect is for those who read.
    async fn pass(&self, request: &Request, admitted: &Admitted<'_>) -> Answer {
        if let Some(refused) = methods::refusal_on(admitted.found.route.methods(), request) {
            self.figures.outcome("method");
            return refused;
        }
        self.figures.outcome("passed");
        let trace = self.trace(traceparent(request), admitted);
        let answer = self.fallback.serve(request, &admitted.found, origin_headers(&trace)).await;
        // Whatever came of it: a method that is not safe may have changed the object.
        if !request.method.is_safe() {
            self.objects.forget(&admitted.found.key);
        }
        trace.span.record("status", answer.status.as_u16());
        answer
    }

    /// Whether any route lets more through to an origin than GET and HEAD.
    fn lets_through(&self) -> bool {
        self.routes.iter().any(|route| *route.methods() != Methods::None)
    }

    async fn fall_back(&self, request: &Request, admitted: &Admitted<'_>, trace: &Trace) -> Answer {
        let answer = self.fallback.serve(request, &admitted.found, origin_headers(trace)).await;
        self.learn(admitted, &answer);
        let unavailable = answer.status == StatusCode::SERVICE_UNAVAILABLE;
        self.figures.outcome(if unavailable { "unavailable" } else { "fallback" });
        answer
    }

    /// Hands out the bytes: from the gateway's own source, else from a node, of which the client never learns.
    async fn hand_out(
        &self,
        request: &Request,
        asked: (&str, &Query<'_>),
        wanted: &Wanted<'_>,
        snapshot: &Snapshot,
        selection: &Selection<'_>,
        trace: &Trace,
    ) -> Answer {
        let admitted = wanted.admitted;
        let own = match self.fallback.is_there() {
            true => Some(self.fallback.serve(request, &admitted.found, origin_headers(trace)).await),
            false => None,
        };
        let own = match own {
            Some(answer) if is_had(&answer) => {
                self.figures.outcome("proxied");
                self.learn(admitted, &answer);
                return answer;
            }
            other => other,
        };
        // Between gateway and node, either scheme will do.
        let mut nodes = Nodes::of(selection, Scheme::Http);
        let fetched = match self.target(asked, wanted, snapshot, &mut nodes, trace) {
            Some(target) => self.nodes.fetch(request, nodes.iter(), &String::from_utf8_lossy(&target)).await,
            None => None,
        };
        if let Some((answer, node)) = fetched {
            self.figures.outcome("proxied");
            self.learn(admitted, &answer);
            if let Some(sender) = snapshot.table.find(node) {
                self.sent(snapshot, wanted, sender);
            }
            return answer;
        }
        self.figures.outcome("unavailable");
        match own {
            Some(answer) => answer,
            None => self.fallback.serve(request, &admitted.found, HeaderMap::new()).await,
        }
    }

    /// The sampler is asked before any span is made: a request that is not traced costs nothing but the question.
    pub(crate) fn trace(&self, parent: Option<TraceContext>, admitted: &Admitted<'_>) -> Trace {
        if !self.sampler.decide(parent.as_ref()) {
            return Trace { span: Span::none(), context: parent };
        }
        let span = info_span!(
            target: TRACED,
            "redirect",
            otel.kind = "server",
            key = %admitted.found.key,
            route = admitted.found.route.pattern(),
            node = tracing::field::Empty,
            status = tracing::field::Empty,
        );
        if let Some(parent) = &parent {
            set_parent(&span, parent);
        }
        let context = context_of(&span).or(parent);
        Trace { span, context }
    }
}

/// Whether the gateway's own source had it. One that is busy, sick, or lacks the file says nothing about the nodes (P3).
fn is_had(answer: &Answer) -> bool {
    answer.status != StatusCode::NOT_FOUND && !answer.status.is_server_error()
}

/// The trace that the client began.
fn traceparent(request: &Request) -> Option<TraceContext> {
    request.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok())
}

/// An origin behind the gateway's own delivery belongs to the same trace.
fn origin_headers(trace: &Trace) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(value) = trace.context.and_then(|context| HeaderValue::try_from(context.to_string()).ok()) {
        headers.insert(TRACEPARENT, value);
    }
    headers
}

fn health(health: &Health, status: &str) -> Answer {
    Answer::bytes(StatusCode::OK, HeaderValue::from_static("application/json"), health.page(status))
        .with(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}
