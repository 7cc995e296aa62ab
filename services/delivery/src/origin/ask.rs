//! What a cache, or a route that passes everything on, asks of an origin; and all that the origin answered.

use std::{net::SocketAddr, time::SystemTime};

use http::{HeaderMap, Method, StatusCode};

use super::{Base, Body, OriginError, heads, pass};
use crate::{answer::Answer, stream::ByteStream};

/// A request, with the fields that its caller chose.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Any method.
    pub method: Method,
    /// Path and query, encoded, with the leading slash; the origin's own prefix goes before it.
    pub target: &'a str,
    /// Fields to send. Those that concern one connection, `Host` and `Content-Length` are left out whatever the caller says, `CDN-Loop` and
    /// `Via` are added to, and `Accept-Encoding` is `identity` unless something else stands here.
    pub headers: &'a HeaderMap,
    /// The request's content. A request that has any is sent once, to one address.
    pub body: Option<ByteStream>,
    /// Whether the origin may learn who the client is.
    pub identity: Identity,
    /// Whether redirects that stay with the origin are followed. Others never are: they are the answer.
    pub follow: bool,
    /// Whether a GET or HEAD that came to nothing is sent again; not where there is something better to do than to wait.
    pub retry: bool,
}

/// What an origin learns of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Nothing: no cookie, no address. Whatever the answer is, it can be everybody's.
    Withheld,
    /// What is in the fields.
    Passed,
}

/// What an origin answered, whatever the status.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// All fields but those that concern the connection only (RFC 9110 section 7.6.1). Nothing is left out for its meaning: not every one is fit
    /// for every client.
    pub headers: HeaderMap,
    /// The content.
    pub body: Body,
    /// Who answered.
    pub origin: Base,
    /// At which address.
    pub address: SocketAddr,
    /// When the request was sent: the `request_time` of RFC 9111 section 4.2.3.
    pub asked: SystemTime,
    /// When the head had come: its `response_time`.
    pub answered: SystemTime,
}

impl Response {
    /// The answer to a client that asked with these fields, where the origin serves files; an error where it makes none.
    pub(crate) fn into_answer(self, method: &Method, asked: &HeaderMap) -> Result<Answer, OriginError> {
        pass::on(method, asked, self)
    }

    /// The answer to a client of an application, as it is.
    pub(crate) fn into_whole_answer(self, method: &Method) -> Answer {
        pass::whole(method, self)
    }

    /// The same without its content.
    pub(crate) fn head(&self) -> Self {
        let Self { status, headers, body, origin, address, asked, answered } = self;
        Self {
            status: *status,
            headers: headers.clone(),
            body: body.emptied(),
            origin: origin.clone(),
            address: *address,
            asked: *asked,
            answered: *answered,
        }
    }

    /// Its fields as a cache keeps them; all of an application's, and of others what concerns the object.
    pub(crate) fn kept_headers(&self, application: bool) -> HeaderMap {
        heads::kept(self.headers.clone(), application)
    }
}

impl<'a> Ask<'a> {
    /// A GET that may be repeated, of an object that is everybody's.
    #[must_use]
    pub fn get(target: &'a str, headers: &'a HeaderMap) -> Self {
        let (method, identity) = (Method::GET, Identity::Withheld);
        Self { method, target, headers, body: None, identity, follow: true, retry: true }
    }
}
