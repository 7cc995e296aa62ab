//! One stream from one coordinator: its words go to the keeper.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ferry_core::{
    chain::Chain,
    evidence::Report,
    id::{CoordinatorId, GatewayId, NodeId},
    merge::{Body, Epoch, StreamId},
    time::UnixMillis,
};
use ferry_proto::{VERSION, convert, v1};
use ferry_runtime::{
    Clock,
    admin::AdminToken,
    clock::Voices,
    coordinators::{Ending, Link, dial},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tonic::{Code, Request, Status, metadata::MetadataValue};
use tracing::debug;

use crate::{evidence::Evidence, keeper::Update, objects::Objects};

/// Marks come every 500 ms; a stream that is silent for so long is dead, whatever TCP believes.
const SILENT_FOR: Duration = Duration::from_secs(3);
/// A coordinator that is learning what lives speaks up to four seconds after it has read its store. That it is there at all, pings tell.
const FIRST_WITHIN: Duration = Duration::from_secs(30);
/// A snapshot of ten thousand nodes has about 2 MiB.
const LARGEST_UPDATE: usize = 64 << 20;

/// What every stream of this gateway needs.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    pub(crate) id: GatewayId,
    pub(crate) guarded: bool,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) token: Option<AdminToken>,
    /// The coordinators' clocks, which correct ours.
    pub(crate) voices: Voices,
    pub(crate) updates: mpsc::Sender<Update>,
    /// Hears what nodes say of this gateway's redirects.
    pub(crate) evidence: Arc<Evidence>,
    /// Hears what they say of objects.
    pub(crate) objects: Arc<Objects>,
    pub(crate) clock: Clock,
    /// How many streams there were.
    pub(crate) streams: Arc<AtomicU64>,
}

impl Listener {
    /// Listens to one coordinator until the stream ends.
    pub(crate) async fn run(self, link: Link) -> Ending {
        let stream = StreamId(self.streams.fetch_add(1, Ordering::Relaxed));
        let mut coordinator = None;
        let ended = self.listen(&link, stream, &mut coordinator).await;
        if let Some(coordinator) = coordinator {
            // Fails only when the gateway is stopping.
            let _ = self.updates.send(Update::Closed { stream, coordinator }).await;
        }
        match ended {
            Ok(()) => Ending::Lost("the coordinator ended the stream".to_owned()),
            Err(status) => match status.code() {
                Code::Unauthenticated | Code::PermissionDenied | Code::FailedPrecondition | Code::InvalidArgument => {
                    Ending::Refused(status.message().to_owned())
                }
                _ => Ending::Lost(status.message().to_owned()),
            },
        }
    }

    async fn listen(
        &self,
        link: &Link,
        stream: StreamId,
        coordinator: &mut Option<CoordinatorId>,
    ) -> Result<(), Status> {
        let channel =
            dial(link.url(), self.ca.as_deref()).map_err(|why| Status::failed_precondition(Chain(&why).to_string()))?;
        let mut client =
            v1::routing_service_client::RoutingServiceClient::new(channel).max_decoding_message_size(LARGEST_UPDATE);
        let opened = tokio::time::timeout(FIRST_WITHIN, client.watch(self.request()?)).await;
        let mut updates = opened.map_err(|_| Status::deadline_exceeded("no answer"))??.into_inner();
        let (voice, mut first) = (self.voices.join(), true);
        let mut silent_at = Instant::now() + FIRST_WITHIN;
        loop {
            let message = timeout_at(silent_at, updates.message()).await;
            let Some(update) = message.map_err(|_| Status::deadline_exceeded("the coordinator fell silent"))?? else {
                return Ok(());
            };
            let update = match update.body {
                Some(v1::routing_update::Body::Evidence(said)) => {
                    self.hear_evidence(said);
                    continue;
                }
                body => v1::RoutingUpdate { body, ..update },
            };
            silent_at = Instant::now() + SILENT_FOR;
            if let Some(now) = time_of(&update) {
                voice.says(now);
            }
            let (epoch, body) =
                <(Epoch, Body)>::try_from(update).map_err(|why| Status::internal(Chain(&why).to_string()))?;
            if first {
                link.welcomed(&epoch.coordinator);
                *coordinator = Some(epoch.coordinator.clone());
            }
            if self.updates.send(Update::Said { stream, first, epoch, body: Box::new(body) }).await.is_err() {
                return Ok(()); // The gateway is stopping.
            }
            first = false;
        }
    }

    /// Evidence is no sign of life: a coordinator whose loop is stuck still passes it on.
    fn hear_evidence(&self, said: v1::NodeEvidence) {
        match <(NodeId, Report)>::try_from(said) {
            Ok((node, report)) => {
                let now = self.clock.now();
                self.evidence.hear(&node, &report, now);
                report.objects.iter().for_each(|told| self.objects.hear(&node, told, now));
            }
            Err(why) => debug!(%why, "ignored malformed evidence"),
        }
    }

    fn request(&self) -> Result<Request<v1::WatchRequest>, Status> {
        let mut request = Request::new(v1::WatchRequest {
            version: VERSION,
            gateway_id: self.id.as_str().to_owned(),
            access: convert::access_to_wire(Some(self.guarded)).into(),
            takes_loads: true,
            redirect_tag: Some(self.evidence.tag().into()),
        });
        if let Some(token) = &self.token {
            let bearer = MetadataValue::try_from(token.bearer())
                .map_err(|_| Status::failed_precondition("the admin token cannot be sent"))?;
            request.metadata_mut().insert("authorization", bearer);
        }
        Ok(request)
    }
}

/// The time that a coordinator's word names. It is heard for as long as the stream stands: the coordinator's clock may be put right meanwhile.
fn time_of(update: &v1::RoutingUpdate) -> Option<UnixMillis> {
    let unix_ms = match update.body.as_ref()? {
        v1::routing_update::Body::Snapshot(snapshot) => snapshot.facts.as_ref()?.unix_ms,
        v1::routing_update::Body::Delta(delta) => delta.unix_ms,
        v1::routing_update::Body::Mark(mark) => mark.unix_ms,
        v1::routing_update::Body::Evidence(_) => 0,
    };
    (unix_ms > 0).then_some(UnixMillis(unix_ms))
}

#[cfg(test)]
mod tests {
    use ferry_core::{id::Incarnation, merge::GatewayFacts};

    use super::*;

    #[test]
    fn a_coordinator_names_its_time_with_every_word() {
        let epoch = Epoch { coordinator: "c1".parse().expect("a name"), incarnation: Incarnation(1), sequence: 1 };
        let facts = GatewayFacts::default();
        let delta = Body::Delta { nodes: Vec::new(), loads: Vec::new(), removed: Vec::new(), facts: None };
        for body in [Body::Snapshot { nodes: Vec::new(), removed: Vec::new(), facts }, delta, Body::Mark] {
            let update = v1::RoutingUpdate::from((&epoch, &body, UnixMillis(7)));
            assert_eq!(time_of(&update), Some(UnixMillis(7)), "{body:?}");
        }
        let silent = v1::RoutingUpdate { epoch: None, body: Some(v1::routing_update::Body::Mark(v1::Mark::default())) };
        assert_eq!(time_of(&silent), None, "a coordinator that does not say it");
    }
}
