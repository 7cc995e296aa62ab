//! HTTP/1.1 as the faulty origin speaks it: by hand, since no library would say what is wrong.

use std::{future, io, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use socket2::Socket;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{
    Seen, State,
    reply::{Manner, Reply},
};

/// The largest head and the largest body that a test sends.
const MOST: usize = 8 << 20;

/// Serves a connection until it ends. `raw` is another handle on its socket.
pub(super) async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    raw: Socket,
    state: Arc<State>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(seen) = request(&mut stream, &mut buffer).await? {
        let reply = state.answer(seen);
        tokio::time::sleep(reply.late).await;
        match reply.manner {
            Manner::Silent => return future::pending().await,
            Manner::Unheard => return Ok(()),
            Manner::Garbage => {
                stream.write_all(b"this is no HTTP\r\n\r\n").await?;
                return stream.flush().await;
            }
            Manner::Whole
            | Manner::Slow(_)
            | Manner::Last
            | Manner::Hang(_)
            | Manner::Reset(_)
            | Manner::Close(_)
            | Manner::GoAway(_) => {}
        }
        stream.write_all(&head(&reply)).await?;
        for piece in reply.pieces() {
            if let Manner::Slow(pause) = reply.manner {
                stream.flush().await?;
                tokio::time::sleep(pause).await;
            }
            if reply.announced.is_none() {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
            }
            stream.write_all(&piece).await?;
            if reply.announced.is_none() {
                stream.write_all(b"\r\n").await?;
            }
            state.count(piece.len());
        }
        let ends = matches!(reply.manner, Manner::Whole | Manner::Slow(_) | Manner::Last);
        if ends && reply.announced.is_none() && !reply.bare {
            stream.write_all(b"0\r\n\r\n").await?;
        }
        stream.flush().await?;
        match reply.manner {
            Manner::Whole | Manner::Slow(_) => {}
            Manner::Hang(_) | Manner::Silent => return future::pending().await,
            // The end of a socket that does not linger is a reset.
            Manner::Reset(_) => return raw.set_linger(Some(Duration::ZERO)),
            Manner::Close(_) | Manner::GoAway(_) | Manner::Last | Manner::Unheard | Manner::Garbage => {
                return stream.shutdown().await;
            }
        }
    }
    Ok(())
}

fn head(reply: &Reply) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} X\r\n", reply.status.as_u16()).into_bytes();
    for (name, value) in &reply.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    match reply.announced {
        Some(length) => head.extend_from_slice(format!("content-length: {length}\r\n").as_bytes()),
        None if reply.bare => {}
        None => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    if reply.manner == Manner::Last {
        head.extend_from_slice(b"connection: close\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Reads a request; `None` at the end of the connection.
async fn request(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<Option<Seen>> {
    let end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        if !more(stream, buffer).await? {
            return Ok(None);
        }
    };
    let head: Vec<u8> = buffer.drain(..end).collect();
    let mut seen = parse(&head).ok_or_else(|| io::Error::other("no request"))?;
    let length = seen.headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    let chunked = seen.headers.contains_key("transfer-encoding");
    seen.body = match length {
        Some(length) => exactly(stream, buffer, length).await?,
        None if chunked => chunks(stream, buffer).await?,
        None => Vec::new(),
    };
    Ok(Some(seen))
}

fn parse(head: &[u8]) -> Option<Seen> {
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut fields);
    request.parse(head).ok()?;
    let mut headers = HeaderMap::new();
    for field in request.headers.iter() {
        headers.append(HeaderName::from_bytes(field.name.as_bytes()).ok()?, HeaderValue::from_bytes(field.value).ok()?);
    }
    let method = Method::from_bytes(request.method?.as_bytes()).ok()?;
    Some(Seen { method, target: request.path?.to_owned(), headers, body: Vec::new(), http2: false })
}

async fn chunks(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = find(buffer, b"\r\n") {
                break at;
            }
            if !more(stream, buffer).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let line: Vec<u8> = buffer.drain(..end + 2).collect();
        let size = std::str::from_utf8(&line[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.ok_or_else(|| io::Error::other("no chunk"))?;
        body.extend(exactly(stream, buffer, size).await?);
        exactly(stream, buffer, 2).await?;
        if size == 0 {
            return Ok(body);
        }
    }
}

async fn exactly(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
    while buffer.len() < length {
        if !more(stream, buffer).await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.drain(..length).collect())
}

/// Reads some more; `false` at the end.
async fn more(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<bool> {
    if buffer.len() > MOST {
        return Err(io::Error::other("more than any test sends"));
    }
    Ok(stream.read_buf(buffer).await? > 0)
}

fn find(buffer: &[u8], what: &[u8]) -> Option<usize> {
    buffer.windows(what.len()).position(|window| window == what)
}
