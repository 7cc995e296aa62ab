//! A network between two parties that fails on command, in ways that processes cannot: it goes silent with every connection
//! open, loses answers, is slow, or leads elsewhere.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::sleep,
};

use crate::support::Background;

/// Large enough for the head of any request between members.
const CHUNK_BYTES: usize = 16 * 1024;

/// Forwards connections from a port of its own to another, for as long as it lives.
pub(crate) struct Proxy {
    port: u16,
    traffic: watch::Sender<Traffic>,
    _running: Background,
}

/// How traffic fares.
#[derive(Debug, Clone, Default)]
struct Traffic {
    target: u16,
    /// Nothing passes towards the target; connections stay open, and what waits is delivered later.
    requests_cut: bool,
    /// The same on the way back.
    answers_cut: bool,
    /// The etcd member whose own connections through here are cut.
    source_cut: Option<String>,
    delay: Duration,
    /// Raised when all connections are broken.
    breaks: u64,
}

impl Proxy {
    pub(crate) async fn start(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let traffic = watch::Sender::new(Traffic { target, ..Traffic::default() });
        let running = Background::run(accept(listener, traffic.subscribe()));
        Self { port, traffic, _running: running }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Nothing passes in either direction, and nobody is told.
    pub(crate) fn cut(&self) {
        self.traffic.send_modify(|traffic| (traffic.requests_cut, traffic.answers_cut) = (true, true));
    }

    /// Requests arrive, and their answers do not.
    pub(crate) fn hold_answers(&self) {
        self.traffic.send_modify(|traffic| traffic.answers_cut = true);
    }

    /// What one etcd member (by its id in hexadecimal digits) sends or hears through its own connections is held back.
    pub(crate) fn cut_source(&self, member: &str) {
        self.traffic.send_modify(|traffic| traffic.source_cut = Some(member.to_owned()));
    }

    /// Every piece arrives so much later.
    pub(crate) fn delay(&self, delay: Duration) {
        self.traffic.send_modify(|traffic| traffic.delay = delay);
    }

    /// Breaks all connections; new ones lead to that port.
    pub(crate) fn lead_to(&self, target: u16) {
        self.traffic.send_modify(|traffic| {
            traffic.target = target;
            traffic.breaks += 1;
        });
    }

    /// All is well again, also for what was held back.
    pub(crate) fn heal(&self) {
        self.traffic.send_modify(|traffic| {
            *traffic = Traffic { target: traffic.target, breaks: traffic.breaks, ..Traffic::default() };
        });
    }
}

async fn accept(listener: TcpListener, traffic: watch::Receiver<Traffic>) {
    let mut connections = JoinSet::new(); // ends them when it is dropped
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.expect("loopback accepts");
                connections.spawn(forward(client, traffic.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn forward(client: TcpStream, mut traffic: watch::Receiver<Traffic>) {
    let (target, breaks) = {
        let now = traffic.borrow_and_update();
        (now.target, now.breaks)
    };
    // A target that is not there looks like one: the connection closes.
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else { return };
    let ((mut from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let mut head = vec![0; CHUNK_BYTES];
    let Ok(length @ 1..) = from_client.peek(&mut head).await else { return };
    let source = member_in(&head[..length]);
    let source = source.as_deref();
    let (requests, answers) = (traffic.clone(), traffic.clone());
    tokio::select! {
        () = relay(from_client, to_server, requests, |now| now.requests_cut || is_from(now, source)) => {}
        () = relay(from_server, to_client, answers, |now| now.answers_cut || is_from(now, source)) => {}
        _ = traffic.wait_for(|now| now.breaks != breaks) => {}
    }
}

/// Members of etcd say in each request to another who they are.
fn member_in(head: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(head);
    let (_, rest) = head.split_once("X-Server-From: ")?;
    Some(rest.lines().next()?.trim().to_owned())
}

fn is_from(traffic: &Traffic, source: Option<&str>) -> bool {
    source.is_some() && traffic.source_cut.as_deref() == source
}

/// One direction, until either side closes it.
async fn relay(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut traffic: watch::Receiver<Traffic>,
    is_cut: impl Fn(&Traffic) -> bool,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await;
        let delay = traffic.borrow().delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        // The end of a connection does not pass a cut either.
        if traffic.wait_for(|now| !is_cut(now)).await.is_err() {
            return;
        }
        let Ok(length @ 1..) = read else { return };
        if to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
}
