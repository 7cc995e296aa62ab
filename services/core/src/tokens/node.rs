//! What a node token says: everything that a node has to know about a request that a gateway sent to it.

use std::fmt;

use crate::{
    address::Authority,
    id::NodeId,
    object::{ObjectKey, ObjectPath},
    trace::TraceContext,
};

/// Names one redirect, so that its arrival can be reported. It begins with the tag of the gateway that made it; the rest is that gateway's to draw, and
/// not to be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedirectId(pub u64);

impl RedirectId {
    const TAG_BITS: u32 = u16::BITS;

    /// The gateway with that tag names a redirect by the lower 48 bits of `rest`.
    #[must_use]
    pub const fn tagged(tag: u16, rest: u64) -> Self {
        Self(((tag as u64) << (u64::BITS - Self::TAG_BITS)) | (rest & (u64::MAX >> Self::TAG_BITS)))
    }

    /// Whose redirect it is. Two gateways may have the same tag: then each hears of both, and knows its own by the rest.
    #[must_use]
    pub const fn tag(self) -> u16 {
        (self.0 >> (u64::BITS - Self::TAG_BITS)) as u16
    }
}

impl fmt::Display for RedirectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A node that may serve the request, and where clients reach it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Which node.
    pub node: NodeId,
    /// Its HOST:PORT for clients.
    pub authority: Authority,
    /// Whether that is to be spoken to over TLS.
    pub secure: bool,
}

impl Endpoint {
    /// `http` or `https`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        self.reach().scheme()
    }

    /// The same, borrowed.
    #[must_use]
    pub const fn reach(&self) -> Reach<'_> {
        Reach { node: &self.node, authority: &self.authority, secure: self.secure }
    }
}

/// The same, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach<'a> {
    /// Which node.
    pub node: &'a NodeId,
    /// Its HOST:PORT for clients.
    pub authority: &'a Authority,
    /// Whether that is to be spoken to over TLS.
    pub secure: bool,
}

impl Reach<'_> {
    /// `http` or `https`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The same, on its own.
    #[must_use]
    pub fn to_endpoint(self) -> Endpoint {
        Endpoint { node: self.node.clone(), authority: self.authority.clone(), secure: self.secure }
    }
}

/// What a gateway (or the node before this one) decided about a request. One MAC covers all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeGrant {
    /// The object to serve.
    pub key: ObjectKey,
    /// The path under which the client asks, if that is not the key's path.
    pub path: Option<ObjectPath>,
    /// What to ask an origin for: a request target, percent-encoded, with its query.
    pub origin_target: Option<String>,
    /// The name under which the client should save the object.
    pub filename: Option<String>,
    /// The route's `Content-Type`, if it sets one.
    pub content_type: Option<String>,
    /// The route's `Cache-Control`, if it sets one.
    pub cache_control: Option<String>,
    /// The second since 1970 from which on this token opens nothing.
    pub expires: u64,
    /// The second since 1970 up to which a gateway may renew it: the user's own expiry.
    pub renewable_until: u64,
    /// The redirect that brought the client here.
    pub redirect: RedirectId,
    /// How many nodes have sent the request on.
    pub hops: u8,
    /// The nodes that it has seen, at most [`Self::MOST_TRIED`].
    pub tried: Vec<NodeId>,
    /// The trace that the download belongs to.
    pub trace: Option<TraceContext>,
    /// The strong validator that the gateway knows the object by.
    pub validator: Option<String>,
    /// The network that the client has to come from, where one is configured.
    pub client_network: Option<String>,
    /// The nodes that may serve it: the primary, then its alternates; at most [`Self::MOST_CANDIDATES`].
    pub candidates: Vec<Endpoint>,
    /// The gateway's public URL, to which an expired token is sent back.
    pub home: Option<String>,
    /// Whether the route asks for more than the wish: it is not open.
    pub guarded: bool,
}

/// The same but for the candidates, borrowed: for who seals many of them and keeps none. See there.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "they are NodeGrant's")]
pub struct Terms<'a> {
    pub key: &'a ObjectKey,
    pub path: Option<&'a ObjectPath>,
    pub origin_target: Option<&'a str>,
    pub filename: Option<&'a str>,
    pub content_type: Option<&'a str>,
    pub cache_control: Option<&'a str>,
    pub expires: u64,
    pub renewable_until: u64,
    pub redirect: RedirectId,
    pub hops: u8,
    pub tried: &'a [NodeId],
    pub trace: Option<TraceContext>,
    pub validator: Option<&'a str>,
    pub client_network: Option<&'a str>,
    pub home: Option<&'a str>,
    pub guarded: bool,
}

impl NodeGrant {
    pub(super) fn terms(&self) -> Terms<'_> {
        Terms {
            key: &self.key,
            path: self.path.as_ref(),
            origin_target: self.origin_target.as_deref(),
            filename: self.filename.as_deref(),
            content_type: self.content_type.as_deref(),
            cache_control: self.cache_control.as_deref(),
            expires: self.expires,
            renewable_until: self.renewable_until,
            redirect: self.redirect,
            hops: self.hops,
            tried: &self.tried,
            trace: self.trace,
            validator: self.validator.as_deref(),
            client_network: self.client_network.as_deref(),
            home: self.home.as_deref(),
            guarded: self.guarded,
        }
    }

    /// A primary and three alternates.
    pub const MOST_CANDIDATES: usize = 4;
    /// A request that was sent on more often than this goes round in circles.
    pub const MOST_TRIED: usize = 8;

    /// Whether a request for `path` is the one that this grant is about.
    #[must_use]
    pub fn covers(&self, path: &ObjectPath) -> bool {
        self.path.as_ref().unwrap_or(&self.key.path) == path
    }
}
