//! Fetching objects before anybody asks for them.

use std::{pin::Pin, sync::Arc, time::Duration};

use ferry_core::{chain::Chain, object::ObjectPath};
use ferry_delivery::{
    Object,
    cache::{Cache, Warm, WarmError, store::Span},
};
use ferry_proto::v1;
use http::StatusCode;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::Status;
use tracing::info;

use super::{Inspection, cache::invalid};
use crate::handler::object;

/// How many calls fetch at once: each has a share of what the origins give, and clients want theirs.
const AT_ONCE: usize = 16;

/// How many ranges one call may name.
const MOST_RANGES: usize = 64;

/// How often whoever waits hears that it goes on, where nothing comes.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// How much progress waits for a slow listener: the next word tells as much as all before it.
const UNREAD: usize = 1;

/// Words on how far it is.
pub(crate) type Progress = Pin<Box<dyn Stream<Item = Result<v1::WarmCacheResponse, Status>> + Send>>;

type Outbox = mpsc::Sender<Result<v1::WarmCacheResponse, Status>>;

/// Lets so many calls fetch at once.
#[derive(Debug, Clone)]
pub(crate) struct Warming(Arc<Semaphore>);

/// What one call is about.
struct Errand {
    cache: Cache,
    object: Object,
    spans: Vec<Option<Span>>,
    _turn: OwnedSemaphorePermit,
}

/// How far the whole of it is.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    /// Bytes of the spans that are done.
    done: u64,
    /// Bytes of those that have not begun; `None` if one goes to the object's end.
    to_come: Option<u64>,
}

impl Warming {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Inspection {
    /// Begins to fetch, and tells how far it is.
    pub(super) fn warm(&self, asked: &v1::WarmCacheRequest) -> Result<Progress, Status> {
        self.is_meant(&asked.node_id)?;
        let cache = self.cache()?.clone();
        let path = ObjectPath::from_decoded(asked.path.strip_prefix('/').unwrap_or(&asked.path));
        let path = path.map_err(|why| invalid("path", &why))?;
        let query = Some(asked.query.as_str()).filter(|query| !query.is_empty());
        let found = self.routes.match_target(&path, query);
        let found = found.ok_or_else(|| Status::not_found("no route of this node knows the path"))?;
        let object = object(found.into());
        let spans = spans(&asked.ranges)?;
        let turn = Arc::clone(&self.warming.0).try_acquire_owned();
        let turn = turn.map_err(|_| Status::resource_exhausted(format!("{AT_ONCE} such calls are under way")))?;
        let errand = Errand { cache, object, spans, _turn: turn };
        let (outbox, progress) = mpsc::channel(UNREAD);
        let stop = self.tasks.stop_token();
        self.tasks.spawn("warm", async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = errand.run(&outbox) => {}
            }
        });
        Ok(Box::pin(ReceiverStream::new(progress)))
    }
}

impl Errand {
    /// Fetches one span after the other. The last word always gets through.
    async fn run(&self, outbox: &Outbox) {
        let (far, _) = watch::channel(v1::WarmCacheResponse::default());
        let last = tokio::select! {
            biased;
            last = self.fetch(&far) => last,
            () = say(&far, outbox) => return,
        };
        info!(key = %self.object.key, outcome = ?last.as_ref().map(|done| done.bytes), "an operator had an object fetched");
        // Whoever asked may have left.
        let _ = outbox.send(last).await;
    }

    async fn fetch(&self, far: &watch::Sender<v1::WarmCacheResponse>) -> Result<v1::WarmCacheResponse, Status> {
        let mut sum = Sum::default();
        for (at, span) in self.spans.iter().enumerate() {
            sum.to_come = self.spans[at + 1..]
                .iter()
                .map(|span| span.filter(|span| span.end < u64::MAX))
                .try_fold(0_u64, |sum, span| span.map(|span| sum.saturating_add(span.length())));
            let tell = |warm: Warm| {
                far.send_replace(sum.with(warm));
            };
            let warm = self.cache.warm(&self.object, *span, tell).await.map_err(|error| refused(&error))?;
            sum.done = sum.done.saturating_add(warm.bytes);
        }
        Ok(v1::WarmCacheResponse { bytes: sum.done, length_bytes: Some(sum.done), complete: true })
    }
}

impl Sum {
    fn with(self, warm: Warm) -> v1::WarmCacheResponse {
        let length =
            warm.length.zip(self.to_come).map(|(this, rest)| self.done.saturating_add(this).saturating_add(rest));
        let bytes = self.done.saturating_add(warm.bytes);
        v1::WarmCacheResponse { bytes, length_bytes: length, complete: false }
    }
}

/// Passes on how far it is: what is newest, whenever there is room for it, and the same again where nothing is new. Ends when nobody listens.
async fn say(far: &watch::Sender<v1::WarmCacheResponse>, outbox: &Outbox) {
    let mut news = far.subscribe();
    let mut again = interval(SAY_EVERY);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // The sender is in what we hold.
            _ = news.changed() => again.reset(),
            _ = again.tick() => {}
            () = outbox.closed() => return,
        }
        let Ok(room) = outbox.reserve().await else { return };
        room.send(Ok(*news.borrow_and_update()));
    }
}

/// What is to be fetched; one `None` is all of it.
fn spans(ranges: &[v1::ByteRange]) -> Result<Vec<Option<Span>>, Status> {
    if ranges.is_empty() {
        return Ok(vec![None]);
    }
    if ranges.len() > MOST_RANGES {
        return Err(invalid("ranges", &format!("at most {MOST_RANGES}")));
    }
    let span = |range: &v1::ByteRange| match range.last {
        Some(last) if last < range.first => Err(invalid("ranges", &"the last byte is before the first")),
        last => Ok(Some(Span { start: range.first, end: last.map_or(u64::MAX, |last| last.saturating_add(1)) })),
    };
    ranges.iter().map(span).collect()
}

fn refused(error: &WarmError) -> Status {
    let text = Chain(error).to_string();
    match error {
        WarmError::Origin(_) | WarmError::Broken(_) => Status::unavailable(text),
        WarmError::Status(StatusCode::NOT_FOUND | StatusCode::GONE) => Status::not_found(text),
        WarmError::Status(_) | WarmError::NotKept => Status::failed_precondition(text),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn range(first: u64, last: Option<u64>) -> v1::ByteRange {
        v1::ByteRange { first, last }
    }

    #[test]
    fn ranges_are_spans() {
        assert_eq!(spans(&[]).expect("the whole object"), [None]);
        let wanted = [range(0, Some(0)), range(7, None), range(1, Some(u64::MAX))];
        let expected = [(0, 1), (7, u64::MAX), (1, u64::MAX)].map(|(start, end)| Some(Span { start, end }));
        assert_eq!(spans(&wanted).expect("three spans"), expected);
        for bad in [vec![range(2, Some(1))], vec![range(0, None); MOST_RANGES + 1]] {
            assert_eq!(spans(&bad).expect_err("no spans").code(), Code::InvalidArgument);
        }
    }

    #[test]
    fn progress_counts_every_range() {
        let warm = |bytes, length| Warm { bytes, length };
        let sum = Sum { done: 10, to_come: Some(5) };
        let far = sum.with(warm(3, Some(4)));
        assert_eq!((far.bytes, far.length_bytes, far.complete), (13, Some(19), false));
        assert_eq!(sum.with(warm(3, None)).length_bytes, None);
        assert_eq!(Sum { to_come: None, ..sum }.with(warm(3, Some(4))).length_bytes, None);
    }
}
