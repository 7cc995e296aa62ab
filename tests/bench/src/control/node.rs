//! A simulated node: registers, beats, and changes its state when it is told to.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use ferry_proto::{
    VERSION,
    v1::{self, NodeState, attend_request, attend_response, membership_service_client::MembershipServiceClient},
};
use rand::RngExt as _;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

use super::{dial, notes::Notes};

const BEAT_EVERY: Duration = Duration::from_secs(1);
const SPREAD: f64 = 0.2;
/// How long the coordinator may take to welcome a node; a real one waits no longer.
const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// After that, and after a refused connection, for the first time; then twice as long, and so on.
const REDIAL: Duration = Duration::from_millis(100);
const LONGEST_REDIAL: Duration = Duration::from_secs(3);
/// A node whose stream broke may redial for so long before it counts as dead (`Timing::redial_within`).
const REDIAL_WITHIN: Duration = Duration::from_millis(500);
/// How long a node stays as it was told to be.
const STAY: Duration = Duration::from_secs(2);
/// For a node to come back after an order.
pub(super) const LONGEST: Duration = Duration::from_secs(4);

/// A change of state, which is taken back after [`STAY`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    /// Says with its beats that it drains.
    Drain,
    /// Takes its leave and ends its stream.
    Goodbye,
    /// Hangs up without a word.
    Break,
}

#[derive(Debug)]
pub(super) struct Node {
    number: usize,
    coordinator: SocketAddr,
    /// The connection that it shares with others.
    shared: Option<Channel>,
    notes: Arc<Notes>,
    sequence: u64,
    incarnation: u64,
    /// What it is while nothing is wrong with it; nobody knows once it has lost a stream.
    well: Option<NodeState>,
}

/// A stream that stands.
struct Stream {
    outbox: mpsc::Sender<v1::AttendRequest>,
    answers: Streaming<v1::AttendResponse>,
    /// A connection of its own ends with the stream.
    _channel: Channel,
}

impl Node {
    pub(super) fn new(number: usize, coordinator: SocketAddr, shared: Option<Channel>, notes: Arc<Notes>) -> Self {
        Self { number, coordinator, shared, notes, sequence: 0, incarnation: 1, well: Some(NodeState::Up) }
    }

    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let (mut returns, mut first) = (false, true);
        loop {
            let mut stream = self.attend_at_last(returns).await;
            self.notes.set_steady(self.number, true);
            if std::mem::take(&mut first) {
                self.notes.welcome();
            }
            let order = self.beat_until_told(&mut stream, &mut orders).await;
            self.notes.set_steady(self.number, false);
            match order {
                Some(Order::Break) => self.notes.change(self.number, NodeState::Down, REDIAL_WITHIN),
                Some(Order::Goodbye) => self.take_leave(&mut stream).await,
                // Lost: it comes back as a node would, and the coordinator may have called it dead with reason.
                Some(Order::Drain) | None => {
                    self.notes.lose_stream();
                    (self.well, returns) = (None, false);
                    continue;
                }
            }
            returns = true;
            drop(stream);
            sleep(STAY).await;
            self.incarnation += 1;
            self.sequence = 0;
        }
    }

    /// Dials until it is welcomed. One that returns has to prove itself next, and never does: there are no files behind it.
    async fn attend_at_last(&mut self, returns: bool) -> Stream {
        let mut wait = REDIAL;
        loop {
            if returns {
                self.well = Some(NodeState::Probation);
                self.notes.change(self.number, NodeState::Probation, Duration::ZERO);
            }
            if let Ok(Ok(stream)) = timeout(WELCOME_WITHIN, self.attend()).await {
                return stream;
            }
            let pause = wait.mul_f64(rand::rng().random_range(0.5..1.0));
            sleep(pause).await;
            wait = (wait * 2).min(LONGEST_REDIAL);
        }
    }

    async fn attend(&self) -> Result<Stream> {
        let channel = self.shared.clone().map_or_else(|| dial(self.coordinator), Ok)?;
        let (outbox, requests) = mpsc::channel(8);
        outbox.try_send(self.registration()).context("room for the first message")?;
        let mut client = MembershipServiceClient::new(channel.clone());
        let mut answers = client.attend(ReceiverStream::new(requests)).await?.into_inner();
        match answers.message().await?.and_then(|answer| answer.body) {
            Some(attend_response::Body::Welcome(_)) => Ok(Stream { outbox, answers, _channel: channel }),
            other => bail!("no welcome but {other:?}"),
        }
    }

    /// Beats; an order to drain is carried out on the way. `None` if the stream is lost.
    async fn beat_until_told(&mut self, stream: &mut Stream, orders: &mut mpsc::Receiver<Order>) -> Option<Order> {
        let (mut next, mut draining) = (Instant::now(), None);
        loop {
            tokio::select! {
                answer = stream.answers.message() => if !matches!(answer, Ok(Some(_))) { return None },
                order = orders.recv(), if draining.is_none() => match order? {
                    Order::Drain => {
                        draining = Some(Instant::now() + STAY);
                        self.notes.change(self.number, NodeState::Draining, Duration::ZERO);
                        next = Instant::now();
                    }
                    order => return Some(order),
                },
                () = sleep_until(next.min(draining.unwrap_or(next))) => {
                    if draining.is_some_and(|until| until <= Instant::now()) {
                        draining = None;
                        if let Some(well) = self.well {
                            self.notes.change(self.number, well, Duration::ZERO);
                        }
                    }
                    self.beat(stream, draining.is_some())?;
                    next = Instant::now() + BEAT_EVERY.mul_f64(rand::rng().random_range(1.0 - SPREAD..=1.0 + SPREAD));
                }
            }
            if draining.is_some() && next <= Instant::now() {
                self.beat(stream, true)?;
                next = Instant::now() + BEAT_EVERY;
            }
        }
    }

    /// The load tells when it was sent.
    fn beat(&mut self, stream: &Stream, draining: bool) -> Option<()> {
        self.sequence += 1;
        let load = v1::Load {
            bytes_per_second: self.notes.now(),
            transfers: 3,
            cpu: 0.21,
            disk: 0.07,
            disk_wait_us: 700,
            requests: 40,
            failures: 0,
            cold: 0.0,
            fullness: 0.0,
        };
        let beat = v1::Beat { sequence: self.sequence, load: Some(load), draining };
        stream.outbox.try_send(request(attend_request::Body::Beat(beat))).ok()
    }

    async fn take_leave(&self, stream: &mut Stream) {
        self.notes.change(self.number, NodeState::Down, Duration::ZERO);
        let goodbye = v1::Goodbye { reason: "told to".to_owned() };
        if stream.outbox.try_send(request(attend_request::Body::Goodbye(goodbye))).is_ok() {
            // The coordinator ends the stream in return.
            let rest = async { while let Ok(Some(_)) = stream.answers.message().await {} };
            let _ = timeout(REDIAL_WITHIN, rest).await;
        }
    }

    fn registration(&self) -> v1::AttendRequest {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&(self.number as u64).to_le_bytes());
        request(attend_request::Body::Register(v1::Register {
            version: VERSION,
            facts: Some(v1::NodeFacts {
                node_id: format!("node-{}", self.number),
                address: format!("10.{}.{}.{}:8001", self.number >> 16, self.number >> 8 & 255, self.number & 255),
                admin_address: "127.0.0.1:9001".to_owned(),
                region: format!("region-{}", self.number % 5),
                zone: format!("zone-{}", self.number % 15),
                weight: 100,
                capacity_bytes_per_second: 125_000_000,
                software: "ferry-bench".to_owned(),
                ..v1::NodeFacts::default()
            }),
            secret: secret.to_vec(),
            incarnation: self.incarnation,
            draining: false,
        }))
    }
}

const fn request(body: attend_request::Body) -> v1::AttendRequest {
    v1::AttendRequest { body: Some(body) }
}
