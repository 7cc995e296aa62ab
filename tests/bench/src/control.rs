//! Thousands of simulated nodes and some gateways at one real coordinator, in this process.
//!
//! Each node is a gRPC stream of its own on a connection of its own, as far as descriptors allow, and beats as a node does. Gateways
//! decode what they get and note how late it is. Nothing of ferry's own roles is used: only the wire.

mod node;
mod notes;
mod watcher;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rand::RngExt as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::transport::{Channel, Endpoint};

pub(crate) use self::notes::Seen;
use self::{
    node::{Node, Order},
    notes::Notes,
};

/// What a node or gateway does with its connection (`ferry_runtime::coordinators`).
const CONNECT: Duration = Duration::from_secs(2);
const PING_EVERY: Duration = Duration::from_secs(2);

/// Descriptors for everything else.
const SPARE: u64 = 256;

/// For all nodes to be welcomed, and for every gateway to know them.
const JOIN_LIMIT: Duration = Duration::from_secs(180);
/// A change that no gateway has shown after so long is lost.
const CHANGE_LIMIT: Duration = Duration::from_secs(5);

/// The simulated members of one cluster. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Crowd {
    notes: Arc<Notes>,
    orders: Vec<mpsc::Sender<Order>>,
    tasks: JoinSet<()>,
    /// What gateways run on: on threads of their own, that thousands of nodes which have something to do cannot keep them waiting.
    listening: Handle,
    coordinator: SocketAddr,
    gateways: usize,
    /// Connections that the nodes share.
    pub(crate) connections: usize,
}

impl Crowd {
    /// Has the gateways listen. Nodes come with [`Self::join`].
    pub(crate) async fn gather(
        coordinator: SocketAddr,
        nodes: usize,
        gateways: usize,
        listening: Handle,
    ) -> Result<Self> {
        let notes = Arc::new(Notes::new(nodes, gateways));
        let mut tasks = JoinSet::new();
        for number in 0..gateways {
            // A connection is driven where it is dialled.
            let opened = listening.spawn(async move { watcher::open(dial(coordinator)?, number).await });
            tasks.spawn_on(watcher::run(opened.await??, Arc::clone(&notes)), &listening);
        }
        let room = usize::try_from(descriptors().saturating_sub(SPARE))?;
        Ok(Self { notes, orders: Vec::new(), tasks, listening, coordinator, gateways, connections: nodes.min(room) })
    }

    /// All nodes register at the same moment. How long it took until the last one was welcomed, and until every gateway had
    /// every node as UP.
    pub(crate) async fn join(&mut self) -> Result<(Duration, Duration)> {
        let begun = Instant::now();
        // With a connection for each they make their own, as they need it.
        let shared = if self.connections < self.notes.nodes() {
            (0..self.connections).map(|_| dial(self.coordinator)).collect::<Result<Vec<_>>>()?
        } else {
            Vec::new()
        };
        for number in 0..self.notes.nodes() {
            let (sender, orders) = mpsc::channel(1);
            let channel = shared.get(number % self.connections).cloned();
            let node = Node::new(number, self.coordinator, channel, Arc::clone(&self.notes));
            self.tasks.spawn(node.run(orders));
            self.orders.push(sender);
        }
        let welcomed = self.until("not all nodes were welcomed", begun, Notes::welcomed, self.notes.nodes()).await?;
        let known = self.notes.nodes() * self.gateways;
        let known = self.until("not every gateway knows all nodes", begun, Notes::known, known).await?;
        Ok((welcomed, known))
    }

    async fn until(&self, what: &str, begun: Instant, count: fn(&Notes) -> usize, wanted: usize) -> Result<Duration> {
        while count(&self.notes) < wanted {
            ensure!(begun.elapsed() < JOIN_LIMIT, "{what}: {} of {wanted}", count(&self.notes));
            sleep(Duration::from_millis(10)).await;
        }
        Ok(begun.elapsed())
    }

    /// Has one node after the other change its state, `rate` times a second, and come back, for `duration`; what the gateways
    /// saw meanwhile.
    pub(crate) async fn watch(&mut self, rate: f64, duration: Duration) -> Result<Seen> {
        self.notes.begin();
        self.tasks.spawn_on(watcher::pauses(Arc::clone(&self.notes)), &self.listening);
        let end = Instant::now() + duration;
        let pause = Duration::from_secs_f64(1.0 / rate).min(duration / 3);
        // A change takes its time to be taken back: the last ones shall be over at the end.
        while Instant::now() + node::LONGEST + pause < end {
            let pause = pause.mul_f64(rand::rng().random_range(0.5..1.5));
            sleep(pause).await;
            self.change_one();
        }
        sleep(end.saturating_duration_since(Instant::now())).await;
        let seen = self.notes.seen();
        ensure!(seen.ended == 0, "{} streams of gateways ended", seen.ended);
        ensure!(!seen.delays.is_empty(), "no change reached every gateway");
        Ok(seen)
    }

    fn change_one(&self) {
        let number = rand::rng().random_range(0..self.orders.len());
        let order = [Order::Drain, Order::Goodbye, Order::Break][rand::rng().random_range(0..3)];
        // One that is still busy with the last order is left alone.
        let _ = self.orders[number].try_send(order);
    }

    /// Has all changes of the last watch been seen by every gateway?
    pub(crate) async fn all_seen(&self) -> Result<()> {
        let all = async {
            while !self.notes.every_change_was_seen() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(CHANGE_LIMIT, all).await.context("a change did not reach every gateway")
    }
}

/// As nodes and gateways do it.
fn dial(coordinator: SocketAddr) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{coordinator}"))?;
    let endpoint = endpoint.connect_timeout(CONNECT).tcp_nodelay(true).http2_keep_alive_interval(PING_EVERY);
    Ok(endpoint.keep_alive_timeout(PING_EVERY).keep_alive_while_idle(true).connect_lazy())
}

/// How many this process may have open, once it has asked for all that it may ask for.
fn descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    if raised { maximum } else { current }.unwrap_or(u64::MAX)
}
