//! Following a prefix in etcd, through silence, restarts and compactions.

use std::{convert::Infallible, time::Duration};

use etcd_client::{Event, EventType, WatchOptions, WatchRequestSender, WatchResponse, WatchResponseStream};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{
    CALL_LIMIT, Etcd, LARGEST_ANSWER,
    connection::{Link, silent},
    failure::classify,
    revision::of_header,
    unsigned, versioned,
};
use crate::{
    backoff::Pauses,
    error::Error,
    watch::{Events, WatchEvent},
};

/// How long a watch may be silent before it is asked whether it lives.
const PROBE_AFTER: Duration = Duration::from_secs(2);
/// How long the answer may take. With the above, a frozen etcd is noticed within 5 s.
const PROBE_LIMIT: Duration = Duration::from_millis(2500);

/// Lists and watches for ever; see [`crate::Watch`].
pub(super) async fn follow(store: Etcd, prefix: String, events: Events) -> Infallible {
    let mut pauses = Pauses::new();
    loop {
        // Boxed, for the client library's futures are large.
        let error = Box::pin(follow_once(&store, &prefix, &events, &mut pauses)).await;
        let pause = pauses.after(&error);
        events.tell(WatchEvent::Lost(error)).await;
        sleep(pause).await;
    }
}

/// One listing and the changes after it; returns when there is no telling any more what changed.
async fn follow_once(store: &Etcd, prefix: &str, events: &Events, pauses: &mut Pauses) -> Error {
    let begun = async {
        let listing = store.list(prefix).await?;
        let stream = Stream::open(store, prefix, listing.revision + 1).await?;
        Ok((listing, stream))
    };
    let (listing, mut stream) = match begun.await {
        Ok(begun) => begun,
        Err(error) => return error,
    };
    events.tell(WatchEvent::Reset(listing)).await;
    let begun = Instant::now();
    loop {
        let message = match stream.next(store).await {
            Ok(message) => message,
            Err(error) => {
                store.connection.give_up(&stream.link, &error);
                return error;
            }
        };
        pauses.stands_for(begun.elapsed());
        if message.canceled() {
            // Not an error of the stream, which stays open and silent: after a compaction, or for want of permission.
            return cancelled(&stream.link, &message);
        }
        for event in message.events().iter().filter_map(|event| translate(store, event)) {
            events.tell(event).await;
        }
    }
}

fn cancelled(link: &Link, message: &WatchResponse) -> Error {
    let why = match message.compact_revision() {
        0 => message.cancel_reason().trim_start_matches("etcdserver: ").to_owned(),
        compacted => format!("changes up to revision {compacted} were compacted"),
    };
    let why = format!("etcd at {} ended the watch: {why}", link.endpoint);
    // etcd gives no code here, only this text (rpctypes.ErrPermissionDenied).
    if message.cancel_reason().contains("permission denied") { Error::refused(why) } else { Error::unavailable(why) }
}

fn translate(store: &Etcd, event: &Event) -> Option<WatchEvent> {
    let kv = event.kv()?;
    let key = store.key_of(kv)?;
    Some(match event.event_type() {
        EventType::Put => WatchEvent::Put(key, versioned(kv)),
        EventType::Delete => WatchEvent::Delete(key, unsigned(kv.mod_revision())),
    })
}

/// A watch stream that is never silent for long.
///
/// The probe asks etcd itself, not only the connection (a stopped server process answers neither), and every answer
/// keeps etcd content with the connection's own pings.
struct Stream {
    link: Link,
    requests: WatchRequestSender,
    responses: WatchResponseStream,
    /// When something last arrived; or when a probe was sent, if that is later.
    since: Instant,
    probed: bool,
    /// The store's revision as it was known then: an answer to a probe, at least [`PROBE_AFTER`] later, is not older.
    floor: u64,
}

impl Stream {
    async fn open(store: &Etcd, prefix: &str, from: u64) -> Result<Self, Error> {
        let begun = Instant::now();
        let link = store.connection.link(begun + CALL_LIMIT).await?;
        let from = i64::try_from(from).map_err(|_| Error::unavailable("etcd counts beyond its own revisions"))?;
        let options = WatchOptions::new().with_prefix().with_start_revision(from);
        let mut client = link.client.watch_client().max_decoding_message_size(LARGEST_ANSWER);
        let opened = timeout_at(begun + CALL_LIMIT, client.watch(store.whole(prefix), Some(options))).await;
        let failed = |error| {
            store.connection.give_up(&link, &error);
            Err(error)
        };
        match opened {
            Ok(Ok(stream)) => {
                let (requests, responses) = stream.split();
                let floor = store.connection.floor.now();
                Ok(Self { link, requests, responses, since: Instant::now(), probed: false, floor })
            }
            Ok(Err(error)) => failed(store.connection.explain(&link.endpoint, &error)),
            Err(_) => failed(silent(&link.endpoint, CALL_LIMIT)),
        }
    }

    /// The next message: created, progress, events or a cancellation.
    async fn next(&mut self, store: &Etcd) -> Result<WatchResponse, Error> {
        loop {
            let limit = if self.probed { PROBE_LIMIT } else { PROBE_AFTER };
            tokio::select! {
                biased; // what arrived while nobody polled counts, however late it is
                message = self.responses.message() => {
                    let ended = || Error::unavailable(format!("etcd at {} ended the watch", self.link.endpoint));
                    let message = message.map_err(|error| classify(&self.link.endpoint, &error))?.ok_or_else(ended)?;
                    return self.take_in(store, message);
                }
                () = sleep_until(self.since + limit) => {}
            }
            if self.probed {
                return Err(Error::unavailable(format!("etcd at {} fell silent", self.link.endpoint)));
            }
            (self.since, self.probed) = (Instant::now(), true);
            // The request waits in the stream's own bounded queue, which is empty: one probe at a time.
            self.requests.request_progress().await.map_err(|error| classify(&self.link.endpoint, &error))?;
        }
    }

    /// Notes what a message says of the member behind it.
    fn take_in(&mut self, store: &Etcd, message: WatchResponse) -> Result<WatchResponse, Error> {
        let floor = &store.connection.floor;
        let is_progress = message.events().is_empty() && !message.created() && !message.canceled();
        // When a watch begins, its member may well not have heard of everything that was listed at another.
        let least = if is_progress { self.floor } else { 0 };
        floor.admit(&self.link.endpoint, least, of_header(message.header()))?;
        (self.since, self.probed, self.floor) = (Instant::now(), false, floor.now());
        Ok(message)
    }
}
