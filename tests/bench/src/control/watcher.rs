//! A gateway's stream: decodes what comes, and notes how late it is.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use ferry_proto::{
    VERSION,
    v1::{self, NodeState, routing_service_client::RoutingServiceClient, routing_update::Body},
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tonic::{Streaming, transport::Channel};

use super::notes::Notes;

/// How often the ages of all copies are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOK_FOR_PAUSES: Duration = Duration::from_millis(5);
/// As a gateway has it.
const LARGEST_UPDATE: usize = 64 << 20;

/// What the gateway holds of one node.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    known: bool,
    /// When the node sent the load, in microseconds: the load says it.
    sent: u64,
    /// The last of the node's changes that was seen here.
    last: u64,
}

pub(super) async fn open(channel: Channel, number: usize) -> Result<Streaming<v1::RoutingUpdate>> {
    let mut client = RoutingServiceClient::new(channel).max_decoding_message_size(LARGEST_UPDATE);
    let request = v1::WatchRequest {
        version: VERSION,
        gateway_id: format!("gateway-{number}"),
        access: v1::Access::Open.into(),
        takes_loads: true,
        redirect_tag: None,
    };
    Ok(client.watch(request).await.context("a gateway's stream")?.into_inner())
}

pub(super) async fn run(mut updates: Streaming<v1::RoutingUpdate>, notes: Arc<Notes>) {
    let mut held = vec![Held::default(); notes.nodes()];
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            update = updates.message() => match update {
                Ok(Some(update)) => take(update, &mut held, &notes),
                Ok(None) | Err(_) => return notes.end_of_stream(),
            },
            _ = look.tick() => if notes.is_watching() {
                let now = notes.now();
                let steady = held.iter().enumerate().filter(|(node, held)| held.known && notes.is_steady(*node));
                notes.note_ages(steady.map(|(_, held)| now.saturating_sub(held.sent)));
            },
        }
    }
}

/// Notes for how long nothing ran here that was due, until the watch is over.
pub(super) async fn pauses(notes: Arc<Notes>) {
    while notes.is_watching() {
        let due = Instant::now() + LOOK_FOR_PAUSES;
        sleep_until(due).await;
        notes.note_pause(due.elapsed());
    }
}

fn take(update: v1::RoutingUpdate, held: &mut [Held], notes: &Notes) {
    let (views, loads) = match update.body {
        Some(Body::Snapshot(snapshot)) => (snapshot.nodes, Vec::new()),
        Some(Body::Delta(delta)) => (delta.nodes, delta.loads),
        Some(Body::Mark(_) | Body::Evidence(_)) | None => return,
    };
    for view in views {
        let state = view.state();
        let Some(number) = view.facts.as_ref().and_then(|facts| number_of(&facts.node_id)) else { continue };
        let Some(held) = held.get_mut(number) else { continue };
        if state == NodeState::Up && !held.known {
            held.known = true;
            notes.know();
        }
        if held.known {
            notes.hear(number, state, &mut held.last);
        }
        renew(held, view.load);
    }
    for report in loads {
        if let Some(held) = number_of(&report.node_id).and_then(|number| held.get_mut(number)) {
            renew(held, report.load);
        }
    }
}

fn renew(held: &mut Held, load: Option<v1::Load>) {
    if let Some(load) = load {
        held.sent = held.sent.max(load.bytes_per_second);
    }
}

/// The number in a name that [`super::node`] gave.
fn number_of(id: &str) -> Option<usize> {
    id.strip_prefix("node-")?.parse().ok()
}
