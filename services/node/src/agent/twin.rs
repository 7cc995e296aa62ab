//! A coordinator that does as it is told: real gRPC on a free port, and no mind of its own.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ferry_core::{
    ring::{Key, KeyRing},
    time::UnixMillis,
};
use ferry_proto::{
    VERSION,
    v1::{self, attend_request, attend_response, membership_service_server},
};
use ferry_runtime::{
    Tasks,
    admin::AdminServer,
    config::{BaseUrl, FromSetting},
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

const LIMIT: Duration = Duration::from_secs(10);

type Answers = mpsc::Sender<Result<v1::AttendResponse, Status>>;

/// The twin, and all that it heard.
#[derive(Clone)]
pub(crate) struct Twin {
    pub(crate) url: BaseUrl,
    /// Everything that nodes said, over all streams.
    heard: Arc<watch::Sender<Vec<attend_request::Body>>>,
    state: Arc<Mutex<State>>,
    tasks: Tasks,
}

struct State {
    /// How the next registrations are answered.
    reply: Result<v1::Welcome, Status>,
    /// The newest stream's way back.
    answers: Option<Answers>,
}

struct Service(Twin);

impl Twin {
    pub(crate) async fn start(id: &str) -> Self {
        let server = AdminServer::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
        let twin = Self {
            url: BaseUrl::parse(&format!("http://{}", server.local_addr())).expect("a URL"),
            heard: Arc::new(watch::Sender::default()),
            state: Arc::new(Mutex::new(State { reply: Ok(welcome(id)), answers: None })),
            tasks: Tasks::new(),
        };
        let service = membership_service_server::MembershipServiceServer::new(Service(twin.clone()));
        server.service(service).start(&twin.tasks).expect("sound descriptors");
        twin
    }

    /// Answers registrations like this from now on.
    pub(crate) fn reply(&self, reply: Result<v1::Welcome, Status>) {
        self.state().reply = reply;
    }

    /// Says something on the newest stream.
    pub(crate) async fn say(&self, body: attend_response::Body) {
        let answers = self.state().answers.clone().expect("a node attends");
        answers.send(Ok(v1::AttendResponse { body: Some(body) })).await.expect("it listens");
    }

    /// Ends the newest stream.
    pub(crate) fn hang_up(&self) {
        self.state().answers = None;
    }

    /// Waits until this is true of what was heard.
    pub(crate) async fn until(&self, what: &str, mut heard: impl FnMut(&[attend_request::Body]) -> bool) {
        let mut seen = self.heard.subscribe();
        let reached = timeout(LIMIT, seen.wait_for(|bodies| heard(bodies))).await.is_ok();
        assert!(reached, "never heard {what}, but {:?}", self.heard.borrow());
    }

    pub(crate) fn registrations(&self) -> Vec<v1::Register> {
        let heard = self.heard.borrow();
        heard
            .iter()
            .filter_map(|body| match body {
                attend_request::Body::Register(register) => Some(register.clone()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn beats(&self) -> Vec<v1::Beat> {
        beats(&self.heard.borrow())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn beats(heard: &[attend_request::Body]) -> Vec<v1::Beat> {
    let beat = |body: &attend_request::Body| match body {
        attend_request::Body::Beat(beat) => Some(*beat),
        _ => None,
    };
    heard.iter().filter_map(beat).collect()
}

/// A welcome that asks for beats so seldom that only what is said at once comes.
pub(crate) fn welcome(id: &str) -> v1::Welcome {
    v1::Welcome {
        version: VERSION,
        coordinator_id: id.to_owned(),
        coordinator_incarnation: 1,
        beat_every_ms: 60_000,
        cluster: Some(facts(v1::Access::Unspecified)),
        intent: Some(v1::Intent::default()),
    }
}

pub(crate) fn ring() -> KeyRing {
    let current = Key::new("n1".parse().expect("a name"), vec![9; 32]).expect("long enough");
    KeyRing { previous: None, current, next: None, revision: 3 }
}

/// The time in the cluster, far from that of any machine.
pub(crate) const CLUSTER_TIME: UnixMillis = UnixMillis(4_000_000_000_000);

pub(crate) fn facts(access: v1::Access) -> v1::ClusterFacts {
    v1::ClusterFacts {
        node_ring: Some((&ring()).into()),
        coordinators: Vec::new(),
        access: access.into(),
        unix_ms: CLUSTER_TIME.0,
    }
}

#[tonic::async_trait]
impl membership_service_server::MembershipService for Service {
    type AttendStream = Pin<Box<dyn Stream<Item = Result<v1::AttendResponse, Status>> + Send>>;

    async fn attend(
        &self,
        request: Request<Streaming<v1::AttendRequest>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let twin = self.0.clone();
        let mut messages = request.into_inner();
        let first = messages.message().await?.and_then(|message| message.body);
        let first = first.ok_or_else(|| Status::invalid_argument("nothing said"))?;
        twin.heard.send_modify(|heard| heard.push(first));
        let (answers, stream) = mpsc::channel(16);
        let reply = {
            let mut state = twin.state();
            state.answers = Some(answers.clone());
            state.reply.clone()
        };
        let reply = reply.map(|welcome| v1::AttendResponse { body: Some(attend_response::Body::Welcome(welcome)) });
        answers.send(reply).await.map_err(|_| Status::cancelled("nobody listens"))?;
        let listening = twin.clone();
        twin.tasks.spawn("twin stream", async move {
            while let Some(Ok(message)) = messages.next().await {
                if let Some(body) = message.body {
                    let goodbye = matches!(body, attend_request::Body::Goodbye(_));
                    listening.heard.send_modify(|heard| heard.push(body));
                    if goodbye {
                        listening.hang_up();
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}
