//! `GET PATH?explain` on the admin listener: the same explanation as JSON, for whoever has nothing but an HTTP client.
//!
//! What stands before `explain` in the query is the imagined request's own; what comes after says who the client is.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use percent_encoding::percent_decode_str;

use super::{Imagined, Unexplained};
use crate::table::TableService;

/// The pages of the admin listener's own paths come first: an object of such a name is explained by `ferry explain` only.
pub(crate) fn pages(service: TableService) -> Router {
    Router::new().route("/{*path}", get(explain)).route("/", get(explain)).with_state(Arc::new(service))
}

/// Why a target asks for no explanation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum InvalidOption {
    #[error("{0:?} after explain: expected client=ADDRESS or tls")]
    Unknown(String),
    #[error("client={0:?}: expected an IP address")]
    Client(String),
    #[error("{0:?} cannot be decoded")]
    Encoding(String),
}

async fn explain(
    State(service): State<Arc<TableService>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    uri: Uri,
) -> Response {
    let imagined = match imagined(uri.path(), uri.query(), peer.ip()) {
        Some(Ok(imagined)) => imagined,
        Some(Err(why)) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
        None => return StatusCode::NOT_FOUND.into_response(),
    };
    match service.explained(&imagined) {
        Ok(explained) => Json(super::json(&explained)).into_response(),
        Err(why @ Unexplained::Malformed) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
        Err(why @ Unexplained::Unknown) => (StatusCode::NOT_FOUND, format!("{why}\n")).into_response(),
    }
}

/// The request that is meant; `None` if nothing is asked to be explained.
fn imagined(path: &str, query: Option<&str>, peer: IpAddr) -> Option<Result<Imagined, InvalidOption>> {
    let mut pieces = query?.split('&');
    let own: Vec<&str> = pieces.by_ref().take_while(|piece| *piece != "explain").collect();
    if own.len() == query?.split('&').count() {
        return None;
    }
    let target = if own.is_empty() { path.to_owned() } else { format!("{path}?{}", own.join("&")) };
    let mut imagined = Imagined { target, address: peer, tls: false };
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        if let Err(why) = imagined.take(piece) {
            return Some(Err(why));
        }
    }
    Some(Ok(imagined))
}

impl Imagined {
    fn take(&mut self, option: &str) -> Result<(), InvalidOption> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let decoded = percent_decode_str(value).decode_utf8();
        let value = decoded.map_err(|_| InvalidOption::Encoding(option.to_owned()))?;
        match name {
            "client" => self.address = value.parse().map_err(|_| InvalidOption::Client(value.into_owned()))?,
            "tls" if value.is_empty() => self.tls = true,
            _ => return Err(InvalidOption::Unknown(option.to_owned())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn read(query: &str) -> Option<Result<Imagined, InvalidOption>> {
        imagined("/a", Some(query), PEER)
    }

    #[test]
    fn what_stands_before_explain_is_the_objects_query_and_what_follows_is_the_client() {
        let plain = Imagined { target: "/a".into(), address: PEER, tls: false };
        assert_eq!(read("explain"), Some(Ok(plain.clone())));
        assert_eq!(
            read("x=1&client=2&explain&client=2001:db8%3A:1&tls"),
            Some(Ok(Imagined {
                target: "/a?x=1&client=2".into(),
                address: "2001:db8::1".parse().expect("an address"),
                tls: true,
            }))
        );
        for nothing in ["", "x=1", "explain=1", "xexplain"] {
            assert_eq!(read(nothing), None, "{nothing:?}");
        }
        assert_eq!(imagined("/a", None, PEER), None);
    }

    #[test]
    fn an_option_that_means_nothing_is_named() {
        for (query, why) in [
            ("explain&client=here", "client=\"here\": expected an IP address"),
            ("explain&json", "\"json\" after explain: expected client=ADDRESS or tls"),
            ("explain&tls=no", "\"tls=no\" after explain: expected client=ADDRESS or tls"),
            ("explain&client=%ff", "\"client=%ff\" cannot be decoded"),
        ] {
            let refused = read(query).expect("it asks").expect_err(query);
            assert_eq!(refused.to_string(), why);
        }
    }
}
