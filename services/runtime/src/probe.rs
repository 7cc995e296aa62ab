//! A probe: whether a node answers for its built-in object, over the way that clients take.
//!
//! Where nodes listen with TLS only, any certificate will do: nothing is said that has to be kept from anybody, and the node is asked for its name.

mod dial;

use std::{io, sync::Arc, time::Duration};

use ferry_core::{address::Authority, id::NodeId, membership::Probe, node::NodeFacts};
use http_body_util::Empty;
use hyper::{
    HeaderMap, Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{CONNECTION, HOST, HeaderName},
};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use self::dial::Dialler;
use crate::tls::AnyCertificate;

/// The path of the built-in object. A node answers 200 for it if a look through each of its roots succeeds, and 503 if not.
pub const PATH: &str = "/.well-known/ferry/probe";

/// The field in which the answer names the node.
pub const NODE: HeaderName = HeaderName::from_static("ferry-node");

/// The field with which a node that is well says that it wants no new clients, since an operator drains it.
pub const UNWANTED: HeaderName = HeaderName::from_static("ferry-draining");

/// The field with which a node says that it has as much to do as it can do well.
pub const FULL: HeaderName = HeaderName::from_static("ferry-full");

/// How long the connection may take to stand, and then the answer to come. Both together leave time to act on a failure before a silent node
/// is held to be dead.
const CONNECT: Duration = Duration::from_millis(700);
const ANSWER: Duration = Duration::from_millis(700);

/// How long a probe takes at most.
pub const LIMIT: Duration = CONNECT.saturating_add(ANSWER);

/// Nodes that one process looks at at one time. Half of 10,000 nodes whose cable is cut are looked at between 1.5 and 4.5 s after that, each for 0.7 s: with
/// fewer at a time, the last of them would get clients for longer than P5 has it.
pub const MOST_AT_ONCE: usize = 2048;

/// The share of the descriptors that probes may take: streams and clients want theirs.
const SHARE: u64 = 4;

/// The most of an answer's head that is read; its body is not.
const LARGEST_HEAD: usize = 16 << 10;

/// How many nodes are looked at at one time by a process that may have so many files and sockets.
#[must_use]
pub fn at_once(descriptors: u64) -> usize {
    usize::try_from(descriptors / SHARE).unwrap_or(MOST_AT_ONCE).clamp(64, MOST_AT_ONCE)
}

/// Looks at nodes; clones share what bounds them.
///
/// Nodes say themselves where they are. So what is sent there is a fixed GET, nothing of the answer is passed on but whether it was the right one, and
/// an address that leads nowhere a node can be ([`ferry_core::address::Place`]) is not dialled, whatever name leads there.
#[derive(Debug, Clone, Default)]
pub struct Prober {
    dialler: Dialler,
}

impl Prober {
    /// Asks a node for its built-in object, where it says that it is. Takes at most 1.4 s; cancelling it is free. `None` if this machine
    /// itself lacked what a connection takes, which says nothing about the node.
    pub async fn probe(&self, facts: &NodeFacts) -> Option<Probe> {
        match (&facts.address, &facts.tls_address) {
            (Some(plain), _) => Some(self.look(&facts.id, plain, false).await?.probe),
            (None, Some(tls)) => Some(self.look(&facts.id, tls, true).await?.probe),
            (None, None) => Some(Probe::Unreached),
        }
    }

    /// What the node at this address, over TLS if it is `secured`, says to clients that another node would send there. An operator's drain is no illness:
    /// it is for those alone who send clients on without a coordinator's word, and [`Self::probe`] does not heed it.
    pub async fn welcome(&self, id: &NodeId, address: &Authority, secured: bool) -> Welcome {
        match self.look(id, address, secured).await {
            Some(Seen { probe: Probe::Well, welcome }) => welcome,
            _ => Welcome::None,
        }
    }

    async fn look(&self, id: &NodeId, address: &Authority, secured: bool) -> Option<Seen> {
        let stream = match timeout(CONNECT, self.dialler.dial(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(why)) => return verdict(&why).map(Seen::from),
            Err(_) => return Some(Probe::Unreached.into()),
        };
        let answered = async {
            match secured {
                false => ask(stream, address.as_str(), id).await,
                true => {
                    let name = ServerName::try_from(address.host().to_owned()).ok()?;
                    ask(anyone().ok()?.connect(name, stream).await.ok()?, address.as_str(), id).await
                }
            }
        };
        Some(match timeout(ANSWER, answered).await {
            Ok(Some(seen)) => seen,
            Ok(None) | Err(_) => Probe::Unwell.into(),
        })
    }
}

/// How welcome clients are whom another node sends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Welcome {
    /// They would lose by it: the node is not there, not well, or wants nobody new.
    None,
    /// They would be served, but the node has as much to do as it can do well.
    Full,
    /// They are.
    Warm,
}

/// What came of a look.
#[derive(Debug, Clone, Copy)]
struct Seen {
    probe: Probe,
    /// What the node says of new clients.
    welcome: Welcome,
}

impl From<Probe> for Seen {
    fn from(probe: Probe) -> Self {
        Self { probe, welcome: Welcome::Warm }
    }
}

/// What a connection that was not made says about the node.
fn verdict(why: &io::Error) -> Option<Probe> {
    let ours = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::ADDRNOTAVAIL, Errno::NOMEM];
    match Errno::from_io_error(why) {
        Some(errno) if ours.contains(&errno) => None,
        Some(Errno::CONNREFUSED) => Some(Probe::Unwell),
        _ => Some(Probe::Unreached),
    }
}

/// What a node of this name answers; `None` if nothing sensible comes.
async fn ask<S>(stream: S, host: &str, id: &NodeId) -> Option<Seen>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(LARGEST_HEAD).handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get(PATH).header(HOST, host).header(CONNECTION, "close").body(Empty::<Bytes>::new()).ok()?;
    let answer = sender.send_request(request);
    tokio::pin!(answer, connection);
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer.ok()?,
        ended = &mut connection => {
            ended.ok()?;
            answer.await.ok()?
        }
    };
    let probe = match answer.status() {
        _ if !names(answer.headers(), id) => Probe::Unwell,
        StatusCode::OK => Probe::Well,
        StatusCode::SERVICE_UNAVAILABLE => Probe::Declined,
        _ => Probe::Unwell,
    };
    let says = |field| answer.headers().contains_key(field);
    let welcome = match (says(UNWANTED), says(FULL)) {
        (true, _) => Welcome::None,
        (false, true) => Welcome::Full,
        (false, false) => Welcome::Warm,
    };
    Some(Seen { probe, welcome })
}

/// Somebody else at that address is not the node.
fn names(headers: &HeaderMap, id: &NodeId) -> bool {
    headers.get(NODE).is_some_and(|name| name.as_bytes() == id.as_str().as_bytes())
}

fn anyone() -> Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider)))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    fn facts(address: &str) -> NodeFacts {
        NodeFacts { address: Some(address.parse().expect("valid")), ..NodeFacts::named("n1".parse().expect("valid")) }
    }

    /// What a probe makes of a server that answers this; of one that says nothing, if that is empty.
    async fn of(answer: &'static str) -> Option<Probe> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let serve = async {
            let (mut stream, _) = listener.accept().await.expect("it comes");
            let mut head = vec![0; 4096];
            let count = stream.read(&mut head).await.expect("it asks");
            assert!(head[..count].starts_with(b"GET /.well-known/ferry/probe HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.expect("it listens");
            if answer.is_empty() { std::future::pending().await } else { stream }
        };
        let (prober, node) = (Prober::default(), facts(&address));
        tokio::select! {
            probe = prober.probe(&node) => probe,
            () = async { let _stream = serve.await; std::future::pending::<()>().await } => unreachable!("it waits"),
        }
    }

    #[tokio::test]
    async fn only_a_good_answer_of_that_very_node_is_well() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nferry-node: n1\r\ncontent-length: 0\r\n\r\n", Probe::Well),
            ("HTTP/1.1 200 OK\r\nferry-node: n1\r\nferry-draining: 1\r\ncontent-length: 0\r\n\r\n", Probe::Well),
            ("HTTP/1.1 200 OK\r\nferry-node: n2\r\ncontent-length: 0\r\n\r\n", Probe::Unwell),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Probe::Unwell),
            ("HTTP/1.1 503 Service Unavailable\r\nferry-node: n1\r\ncontent-length: 0\r\n\r\n", Probe::Declined),
            ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", Probe::Unwell),
            ("HTTP/1.1 500 Internal Server Error\r\nferry-node: n1\r\ncontent-length: 0\r\n\r\n", Probe::Unwell),
            ("nonsense\r\n\r\n", Probe::Unwell),
            ("", Probe::Unwell),
        ] {
            assert_eq!(of(answer).await, Some(expected), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_machine_that_refuses_was_reached_and_a_name_that_leads_nowhere_was_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        drop(listener);
        let prober = Prober::default();
        assert_eq!(prober.probe(&facts(&address)).await, Some(Probe::Unwell));
        assert_eq!(prober.probe(&facts("nobody.invalid:80")).await, Some(Probe::Unreached));
    }

    #[test]
    fn what_this_machine_lacks_is_not_blamed_on_the_node() {
        let of = |errno: Errno| verdict(&errno.into());
        for ours in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::ADDRNOTAVAIL, Errno::NOMEM] {
            assert_eq!(of(ours), None, "{ours}");
        }
        assert_eq!(of(Errno::CONNREFUSED), Some(Probe::Unwell));
        assert_eq!(of(Errno::HOSTUNREACH), Some(Probe::Unreached));
        let nowhere = io::Error::new(io::ErrorKind::AddrNotAvailable, "no address that may be dialled");
        assert_eq!(verdict(&nowhere), Some(Probe::Unreached), "the node's own doing");
    }

    #[test]
    fn probes_leave_descriptors_for_the_streams() {
        assert_eq!([1 << 20, 4096, 256].map(at_once), [MOST_AT_ONCE, 1024, 64]);
    }
}
