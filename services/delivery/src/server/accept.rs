//! Accepts connections, a bounded number of them, until the server stops.

use std::{io, sync::Arc, time::Duration};

use ferry_runtime::Workers;
use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinSet},
    time,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    Handler, Server,
    connection::{self, Accepted, Shared},
};

/// How long accepting pauses when the process has no descriptor left; the kernel keeps the clients waiting meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop`, then waits for what is running. The connections are tasks of this future's own set: they end with it.
pub(super) async fn serve<H: Handler>(server: Server, workers: Workers, handler: Arc<H>, stop: CancellationToken) {
    let Server { listener, local, tls, limits, engine } = server;
    let grace = limits.grace;
    let slots = Arc::new(Semaphore::new(limits.connections));
    let shared = Arc::new(Shared { handler, tls: tls.map(TlsAcceptor::from), limits, local, engine });
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await.map_err(io::Error::other)?;
            let (socket, peer) = listener.accept().await?;
            Ok::<_, io::Error>((socket.into_std()?, peer, slot))
        };
        tokio::select! {
            biased; // a stop is heard before more work is taken on
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = next => match accepted {
                Ok((socket, peer, slot)) => {
                    let place = workers.place();
                    let runtime = place.runtime().clone();
                    let accepted = Accepted { socket, peer, slot, place };
                    let span = tracing::debug_span!("connection", %peer);
                    match connection::begin(Arc::clone(&shared), accepted, stop.clone()) {
                        Ok(serving) => drop(connections.spawn_on(serving.instrument(span), &runtime)),
                        Err(error) => tracing::warn!(%peer, %error, "cannot serve a connection"),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if time::timeout(grace, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "stopped with requests still running");
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}
