//! HTTP/2 as the faulty origin speaks it: over the h2 crate, which sends resets and GOAWAYs when it is told to.

use std::{future, sync::Arc};

use bytes::Bytes;
use ferry_runtime::tasks::Tasks;
use h2::{
    Reason, RecvStream, SendStream,
    server::{self, SendResponse},
};
use http::{HeaderValue, Request, Response, header};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};

use super::{
    Seen, State,
    reply::{Manner, Reply},
};

/// What h2 keeps of a stream before the socket takes it. Small, so that what was sent is known to within this.
const QUEUED: usize = 16 << 10;

/// What a stream wants of its connection.
enum Wish {
    /// A GOAWAY that disowns all streams.
    GoAway,
    /// A GOAWAY after which the streams go on.
    LastStreams,
    /// The end, without a word.
    Close,
}

/// Serves a connection until it ends.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    state: Arc<State>,
    tasks: Tasks,
) -> Result<(), h2::Error> {
    let mut connection = server::Builder::new().max_send_buffer_size(QUEUED).handshake::<_, Bytes>(stream).await?;
    let (wishes, mut wished) = mpsc::channel(8);
    loop {
        tokio::select! {
            wish = wished.recv() => match wish {
                Some(Wish::GoAway) => connection.abrupt_shutdown(Reason::INTERNAL_ERROR),
                Some(Wish::LastStreams) => connection.graceful_shutdown(),
                Some(Wish::Close) | None => return Ok(()),
            },
            accepted = connection.accept() => {
                let Some(accepted) = accepted else { return Ok(()) };
                let (request, respond) = accepted?;
                let (state, wishes) = (Arc::clone(&state), wishes.clone());
                tasks.spawn("faulty stream", async move {
                    // The peer may have gone: that is its own affair.
                    let _ended = answer(request, respond, &state, &wishes).await;
                });
            }
        }
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    state: &State,
    wishes: &mpsc::Sender<Wish>,
) -> Result<(), h2::Error> {
    let reply = state.answer(read(request).await?);
    tokio::time::sleep(reply.late).await;
    match reply.manner {
        Manner::Silent => return future::pending().await,
        Manner::Garbage => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        Manner::Unheard => return wish(wishes, Wish::Close).await,
        // Before the answer: the peer hears it first, and must not drop what follows.
        Manner::Last => wish(wishes, Wish::LastStreams).await?,
        Manner::Whole | Manner::Slow(_) | Manner::Hang(_) | Manner::Reset(_) | Manner::Close(_) | Manner::GoAway(_) => {
        }
    }
    let mut body = respond.send_response(head(&reply), reply.bare)?;
    if reply.bare {
        return Ok(());
    }
    for piece in reply.pieces() {
        if let Manner::Slow(pause) = reply.manner {
            tokio::time::sleep(pause).await;
        }
        let length = piece.len();
        send(&mut body, piece.into()).await?;
        state.count(length);
    }
    match reply.manner {
        Manner::Hang(_) => future::pending().await,
        Manner::Reset(_) => {
            flushed(&mut body).await?;
            body.send_reset(Reason::INTERNAL_ERROR);
        }
        Manner::Close(_) | Manner::GoAway(_) => {
            flushed(&mut body).await?;
            let asked = if matches!(reply.manner, Manner::GoAway(_)) { Wish::GoAway } else { Wish::Close };
            wish(wishes, asked).await?;
            future::pending::<()>().await;
        }
        Manner::Whole | Manner::Slow(_) | Manner::Last | Manner::Silent | Manner::Garbage | Manner::Unheard => {
            body.send_data(Bytes::new(), true)?;
        }
    }
    Ok(())
}

async fn wish(wishes: &mpsc::Sender<Wish>, wish: Wish) -> Result<(), h2::Error> {
    wishes.send(wish).await.map_err(|_| Reason::CANCEL.into())
}

async fn read(request: Request<RecvStream>) -> Result<Seen, h2::Error> {
    let (head, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(bytes) = stream.data().await {
        let bytes = bytes?;
        stream.flow_control().release_capacity(bytes.len())?;
        body.extend_from_slice(&bytes);
    }
    let mut headers = head.headers;
    if let Some(host) = head.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok()) {
        headers.insert(header::HOST, host);
    }
    let target = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    Ok(Seen { method: head.method, target, headers, body, http2: true })
}

fn head(reply: &Reply) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers.clone();
    if let Some(length) = reply.announced {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    response
}

/// Waits until the queue is empty: what ends a stream overtakes what is still in there.
async fn flushed(body: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
    body.reserve_capacity(QUEUED);
    while body.capacity() < QUEUED {
        future::poll_fn(|cx| body.poll_capacity(cx)).await.transpose()?.ok_or(Reason::CANCEL)?;
    }
    Ok(())
}

/// Sends bytes as the peer takes them.
async fn send(body: &mut SendStream<Bytes>, mut bytes: Bytes) -> Result<(), h2::Error> {
    while !bytes.is_empty() {
        body.reserve_capacity(bytes.len());
        let room = future::poll_fn(|cx| body.poll_capacity(cx)).await.transpose()?;
        let room = room.ok_or(Reason::CANCEL)?;
        body.send_data(bytes.split_to(room.min(bytes.len())), false)?;
    }
    Ok(())
}
