//! `MembershipService`: one stream per node.

use std::{pin::Pin, sync::Arc, time::Duration};

use ferry_core::{
    id::{Incarnation, NodeId},
    load::Load,
    membership::{End, MOST_NODES, Registration, SecretDigest, SessionId},
    node::NodeFacts,
    pace::Pace,
    time::Tick,
};
use ferry_proto::{
    convert::{Faults, Invalid, check_evidence, check_version},
    v1::{self, attend_request::Body},
};
use ferry_runtime::{Tasks, admin::AdminToken};
use ring::digest::{SHA256, digest};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, warn};

use crate::{
    driver::{Handle, Input, NoAnswer},
    figures::Figures,
    relay::Relay,
    sessions::{Outbox, Standing},
};

/// How long a new stream may take to say who it is.
const REGISTER_WITHIN: Duration = Duration::from_secs(5);
/// A stream on which nothing came for this long is dropped: the node has long been DOWN, and will redial.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// What one stream may say at once, and the time between further words: no node is asked for beats more often.
const WORDS: u32 = 64;
const WORD_EVERY: Duration = Duration::from_millis(50);
/// Streams of nodes at one time, those included that have not said yet who they are.
const STREAMS: usize = MOST_NODES;
/// Bytes of a node's secret.
const SECRET: usize = 32;

/// Serves nodes.
#[derive(Debug, Clone)]
pub(crate) struct Attendance {
    handle: Handle,
    tasks: Tasks,
    /// Any of these lets a node in that nobody knows; if there are none, everybody may come.
    doors: Vec<AdminToken>,
    figures: Figures,
    relay: Relay,
    streams: Arc<Semaphore>,
}

impl Attendance {
    pub(crate) fn new(handle: Handle, tasks: Tasks, doors: Vec<AdminToken>, figures: Figures, relay: Relay) -> Self {
        Self { handle, tasks, doors, figures, relay, streams: Arc::new(Semaphore::new(STREAMS)) }
    }
}

#[tonic::async_trait]
impl v1::membership_service_server::MembershipService for Attendance {
    type AttendStream = Pin<Box<dyn Stream<Item = Result<v1::AttendResponse, Status>> + Send>>;

    async fn attend(
        &self,
        request: Request<Streaming<v1::AttendRequest>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let headers = request.metadata().clone().into_headers();
        let local = comes_from_here(&request);
        let invited = self.doors.is_empty() || self.doors.iter().any(|door| door.admits(&headers));
        let turn = Arc::clone(&self.streams).try_acquire_owned();
        let turn = turn.map_err(|_| Status::resource_exhausted("as many nodes attend as may: come again"))?;
        let mut messages = request.into_inner();
        let first = tokio::time::timeout(REGISTER_WITHIN, messages.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no registration came"))??;
        let registration = registration(first)?;
        check_places(&registration.facts, local)?;
        let session = self.handle.next_session();
        let (outbox, answers, standing) = Outbox::new(invited);
        let node = registration.facts.id.clone();
        debug!(%node, session = session.0, "node attends");
        self.handle.put(Input::Attend { session, registration: Box::new(registration), outbox }).await?;
        let (stop, figures) = (self.tasks.stop_token(), self.figures.clone());
        let unwanted = standing.unwanted.clone();
        let speaker =
            Speaker { node, session, standing, handle: self.handle.clone(), relay: self.relay.clone(), figures };
        self.tasks.spawn_one_of_many("node stream", async move {
            let _turn = turn;
            let end = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // The loop ended the stream: a refusal, a newer life, a removal.
                () = unwanted.cancelled() => End::Broken,
                end = speaker.listen(messages) => match end {
                    Heard::All(end) => end,
                    Heard::TooMuch => {
                        speaker.figures.floods.inc();
                        warn!(node = %speaker.node, "a node says more than any should: its stream is ended");
                        End::Broken
                    }
                },
            };
            // Fails only when the whole coordinator stops.
            let _ = speaker.handle.put(Input::Ended { session, end }).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers).map(|answer| *answer))))
    }
}

/// How a stream came to its end.
enum Heard {
    /// The node ended it, or fell silent.
    All(End),
    /// It said more than anybody has to.
    TooMuch,
}

/// A node that speaks on a stream, and where its words go.
struct Speaker {
    node: NodeId,
    session: SessionId,
    standing: Standing,
    handle: Handle,
    relay: Relay,
    figures: Figures,
}

impl Speaker {
    /// Passes on what the node says until its stream ends. What is no beat does not count as a sign of life.
    async fn listen(&self, mut messages: Streaming<v1::AttendRequest>) -> Heard {
        let began = Instant::now();
        let (mut pace, mut silent_at) = (Pace::new(WORDS, WORD_EVERY), began + SILENT_FOR);
        while let Ok(Ok(Some(message))) = timeout_at(silent_at, messages.message()).await {
            if !pace.allows(Tick::from_origin(began.elapsed())) {
                return Heard::TooMuch;
            }
            match message.body {
                Some(Body::Beat(beat)) => {
                    silent_at = Instant::now() + SILENT_FOR;
                    if self.beat(beat).await.is_err() {
                        break;
                    }
                }
                Some(Body::Evidence(evidence)) => self.hear_evidence(evidence),
                Some(Body::Goodbye(_)) => return Heard::All(End::Goodbye),
                Some(Body::Unheard(_)) => return Heard::All(End::Unheard),
                // A second registration on one stream, or a message of a newer ferry: neither says anything about life.
                Some(Body::Register(_)) | None => {}
            }
        }
        Heard::All(End::Broken)
    }

    async fn beat(&self, beat: v1::Beat) -> Result<(), NoAnswer> {
        let told = beat.load.unwrap_or_default();
        let load = Load::from(told);
        // What a machine cannot do was brought into bounds.
        self.figures.beats_clamped.inc_by(u64::from(v1::Load::from(load) != told));
        let input = Input::Beat { session: self.session, sequence: beat.sequence, load, draining: beat.draining };
        self.handle.put(input).await
    }

    /// C4. Before it is welcome, the node may be somebody who only says that he is it.
    fn hear_evidence(&self, evidence: v1::Evidence) {
        if !self.standing.is_welcome() {
            return;
        }
        match check_evidence(&evidence) {
            Ok(()) => self.relay.pass_on(&self.node, evidence),
            Err(why) => debug!(node = %self.node, %why, "ignored malformed evidence"),
        }
    }
}

/// Whether the peer is on this machine: over loopback, or from the address that it connected to.
fn comes_from_here<T>(request: &Request<T>) -> bool {
    let (Some(from), Some(to)) = (request.remote_addr(), request.local_addr()) else { return false };
    let (from, to) = (from.ip().to_canonical(), to.ip().to_canonical());
    from.is_loopback() || from == to
}

/// Coordinators and gateways dial where a node says that it is, and clients are sent there. Its admin listener is dialled by operators, who
/// may well be on its machine.
fn check_places(facts: &NodeFacts, local: bool) -> Result<(), Status> {
    for (field, address, local) in [
        ("address", &facts.address, local),
        ("tls_address", &facts.tls_address, local),
        ("admin_address", &facts.admin_address, true),
    ] {
        let checked = address.as_ref().map_or(Ok(()), |address| address.check_place(local));
        checked.map_err(|why| Status::invalid_argument(format!("malformed registration: {field}: {why}")))?;
    }
    Ok(())
}

fn registration(first: Option<v1::AttendRequest>) -> Result<Registration, Status> {
    let Some(v1::AttendRequest { body: Some(Body::Register(register)) }) = first else {
        return Err(Status::invalid_argument("the first message must be `register`"));
    };
    parse(register).map_err(|why| match why {
        Invalid::TooNew(_) => Status::failed_precondition(why.to_string()),
        _ => Status::invalid_argument(format!("malformed registration: {why}")),
    })
}

fn parse(register: v1::Register) -> Result<Registration, Invalid> {
    check_version(register.version)?;
    let mut faults = Faults::default();
    if register.secret.len() != SECRET {
        faults.note::<()>(Invalid::Missing("secret of 32 bytes"));
    }
    let facts = faults.keep(register.facts.ok_or(Invalid::Missing("facts")).and_then(NodeFacts::try_from));
    let mut secret = [0; 32];
    secret.copy_from_slice(digest(&SHA256, &register.secret).as_ref());
    faults.conclude(facts.map(|facts| Registration {
        facts: Arc::new(facts),
        secret: SecretDigest(secret),
        incarnation: Incarnation(register.incarnation),
        draining: register.draining,
    }))
}

#[cfg(test)]
mod tests {
    use ferry_runtime::metrics::Metrics;
    use tonic::transport::server::TcpConnectInfo;

    use super::*;
    use crate::sessions::Sessions;

    fn from(remote: &str, local: &str) -> Request<()> {
        let mut request = Request::new(());
        let info = TcpConnectInfo {
            local_addr: Some(local.parse().expect("an address")),
            remote_addr: Some(remote.parse().expect("an address")),
        };
        request.extensions_mut().insert(info);
        request
    }

    /// C4: whoever has not shown the node's secret yet may be anybody.
    #[test]
    fn evidence_counts_from_the_welcome_on() {
        let figures = Figures::register(&Metrics::new());
        let (relay, session, mut sessions) = (Relay::new(figures.clone()), SessionId(1), Sessions::default());
        let mut gateway = relay.open(0);
        let ((outbox, _answers, standing), (handle, _inbox)) = (Outbox::new(true), Handle::new());
        sessions.open(session, outbox);
        let speaker = Speaker { node: "a".parse().expect("a name"), session, standing, handle, relay, figures };
        let arrivals = v1::Arrivals { network: vec![192, 0, 2], complete: vec![7], ..Default::default() };
        let evidence = v1::Evidence { arrivals: vec![arrivals], ..Default::default() };
        speaker.hear_evidence(evidence.clone());
        assert!(gateway.try_recv().is_err(), "before the welcome");
        sessions.send(session, v1::attend_response::Body::Welcome(v1::Welcome::default()));
        speaker.hear_evidence(evidence);
        assert!(gateway.try_recv().is_ok(), "after it");
    }

    #[test]
    fn a_node_on_this_machine_may_say_localhost_and_no_other() {
        let facts = |address: &str| NodeFacts {
            address: Some(address.parse().expect("an address")),
            admin_address: Some("127.0.0.1:9001".parse().expect("an address")),
            ..NodeFacts::named("n1".parse().expect("a name"))
        };
        for (remote, local, here) in [
            ("127.0.0.1:40000", "127.0.0.1:7000", true),
            ("[::ffff:127.0.0.1]:40000", "[::ffff:127.0.0.1]:7000", true),
            ("192.0.2.7:40000", "192.0.2.7:7000", true),
            ("192.0.2.8:40000", "192.0.2.7:7000", false),
        ] {
            let local = comes_from_here(&from(remote, local));
            assert_eq!(check_places(&facts("localhost:8001"), local).is_ok(), here, "{remote}");
            assert!(check_places(&facts("192.0.2.9:8001"), local).is_ok(), "{remote}");
        }
        assert!(!comes_from_here(&Request::new(())), "nobody knows");
    }
}
