//! Accepts connections, a bounded number of them, until the server stops.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use ferry_runtime::Workers;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    Handler, Server,
    connection::{self, Accepted, Begin, Engine, Shared},
    reactor::{Inbox, Kept, Reactor},
};

/// How long accepting pauses when the process has no descriptor left; the kernel keeps the clients waiting meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop`, then waits for what is running. The connections are tasks of this future's own set, or belong to reactors that
/// are: they end with it.
pub(super) async fn serve<H: Handler>(server: Server, workers: Workers, handler: Arc<H>, stop: CancellationToken) {
    let Server { listener, local, tls, limits, engine } = server;
    let (grace, most) = (limits.grace, limits.connections);
    let slots = Arc::new(Semaphore::new(most));
    let shared = Arc::new(Shared { handler, tls: tls.map(TlsAcceptor::from), limits, local, engine });
    let mut serving = Serving { shared, stop: stop.clone(), running: JoinSet::new(), inboxes: Vec::new() };
    serving.start_reactors(&workers);
    loop {
        tokio::select! {
            biased; // a stop is heard before more work is taken on
            () = stop.cancelled() => break,
            Some(ended) = serving.running.join_next() => connection::report(ended),
            next = accept(&listener, &slots) => match next {
                Ok((socket, peer, slot)) => serving.take(Accepted { socket, peer, slot, place: workers.place() }),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async {
        while let Some(ended) = serving.running.join_next().await {
            connection::report(ended);
        }
    };
    if time::timeout(grace, ended).await.is_err() {
        tracing::warn!(connections = most - slots.available_permits(), "stopped with requests still running");
    }
}

/// What serves connections once they are accepted.
struct Serving<H> {
    shared: Arc<Shared<H>>,
    stop: CancellationToken,
    /// Reactors, and connections that begin as tasks.
    running: JoinSet<()>,
    /// The way to each worker's reactor.
    inboxes: Vec<Arc<Inbox>>,
}

impl<H: Handler> Serving<H> {
    /// Plain connections of our own engine begin in their worker's reactor.
    fn start_reactors(&mut self, workers: &Workers) {
        if self.shared.tls.is_some() || self.shared.engine != Engine::Own {
            return;
        }
        for runtime in workers.runtimes() {
            let inbox = Arc::<Inbox>::default();
            let reactor = {
                let _context = runtime.enter();
                Reactor::new(Arc::clone(&self.shared), Arc::clone(&inbox), self.stop.clone())
            };
            match reactor {
                Ok(reactor) => drop(self.running.spawn_on(reactor.run(), runtime)),
                // Every connection is a task of its own then, from its begin to its end.
                Err(error) => tracing::warn!(%error, "a worker has no reactor"),
            }
            // Without a reactor it is closed already.
            self.inboxes.push(inbox);
        }
    }

    fn take(&mut self, accepted: Accepted) {
        let (accepted, begin) = match self.inboxes.get(accepted.place.worker()) {
            None => (accepted, Begin::first(&self.shared.limits)),
            Some(inbox) => match inbox.put(Kept::new(accepted, &self.shared.limits)) {
                None => return,
                Some(kept) => kept.into_parts(BytesMut::new(), Vec::new()),
            },
        };
        connection::spawn(&mut self.running, &self.shared, accepted, begin, &self.stop, None);
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(std::net::TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (socket, peer) = listener.accept().await?;
    // Small answers must not wait for an acknowledgement; without it they are merely slower.
    let _ = socket.set_nodelay(true);
    Ok((socket.into_std()?, peer, slot))
}
