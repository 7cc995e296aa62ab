//! Who gets in, and to which object: pure decisions about a request's path and query.
//!
//! In a cluster the gateway has decided already and says so in the node token; the node checks the token and the clock. A request
//! without one is let in where nothing is guarded. A node that stands alone has routes of its own and verifies user tokens.
//!
//! Why somebody is refused is for figures and logs: a client learns the status.

mod network;
mod onward;
mod why;

use ferry_core::{
    id::NodeId,
    object::{ObjectKey, ObjectPath},
    ring::KeyRing,
    routes::{Access, Match, Methods, RequestFields, Routes},
    target::{NodeTokens, default_target, node_tokens},
    time::UnixMillis,
    tokens::{self, NodeGrant, NodeTokenError, RedirectId, UserTokenError},
    trace::TraceContext,
};
use std::net::IpAddr;

pub(crate) use self::{
    onward::{Alternate, Elsewhere, Last},
    why::{Files, Why, shortcoming, trusts_the_redirect},
};

use crate::cluster::Facts;

/// The rules of one node.
#[derive(Debug)]
pub(crate) struct Door {
    /// Who it is: tokens name the nodes that they are for.
    pub(crate) node: NodeId,
    /// What paths mean here.
    pub(crate) routes: Routes,
    /// Whether an operator wrote those routes; else they are the wish alone, and the cluster decides who may have it.
    pub(crate) own_routes: bool,
    /// On whose word.
    pub(crate) trust: Trust,
}

/// Whose tokens count.
#[derive(Debug)]
pub(crate) enum Trust {
    /// Gateways', by the cluster's node ring.
    Cluster,
    /// Users', by a ring of this node's own, if it has one. It stands alone.
    Users(Option<KeyRing>),
}

/// A request, as far as the door looks at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit<'a> {
    /// The encoded path, with its leading slash.
    pub(crate) path: &'a str,
    /// The query, encoded.
    pub(crate) query: Option<&'a str>,
    /// The client.
    pub(crate) client: IpAddr,
    /// The time by the coordinators' clock.
    pub(crate) now: UnixMillis,
    /// Whether the client came over TLS.
    pub(crate) secure: bool,
}

/// The decision.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// This object.
    Admitted(Box<Admission>),
    /// Back to a gateway, which may renew the token: a URL.
    Home(String),
    /// Nothing.
    Refused(Refusal),
}

/// What to serve, and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) key: ObjectKey,
    /// Path and query for an origin, without anything that is ferry's.
    pub(crate) origin_target: String,
    pub(crate) filename: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) cache_control: Option<String>,
    /// What passes on to the origin besides GET and HEAD.
    pub(crate) methods: Methods,
    /// What of the client's fields the origin is sent.
    pub(crate) request_fields: RequestFields,
    /// The redirect that led here, and its trace.
    pub(crate) redirect: Option<RedirectId>,
    pub(crate) trace: Option<TraceContext>,
    /// The strong validator by which the redirect knows the object.
    pub(crate) validator: Option<String>,
    /// Whether everybody may have it who asks for it.
    pub(crate) open: bool,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The path's encoding is broken.
    Encoding,
    /// The path is no object's.
    NoObject,
    /// The token is forged, malformed, or for something else; which of them is nobody's business.
    Token,
    /// A token is wanted, and there is none.
    NoToken,
    /// The user token was good once.
    Gone,
    /// There is a token, and no ring to judge it by: no coordinator has spoken yet.
    NoRing,
}

impl Refusal {
    /// The figure's label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::NoObject => "no_object",
            Self::Token => "token",
            Self::NoToken => "no_token",
            Self::Gone => "gone",
            Self::NoRing => "no_ring",
        }
    }
}

impl Door {
    /// Decides about one visit, given what is known of the cluster.
    pub(crate) fn decide(&self, visit: Visit<'_>, facts: &Facts) -> Entry {
        let path = match self.routes.path(visit.path) {
            Ok(path) => path,
            Err(why) if why.is_malformed() => return Entry::Refused(Refusal::Encoding),
            Err(_) => return Entry::Refused(Refusal::NoObject),
        };
        match &self.trust {
            Trust::Users(ring) => self.by_user(visit, &path, ring.as_ref()),
            Trust::Cluster => match node_tokens(visit.query.unwrap_or_default()) {
                NodeTokens::None => self.by_nothing(visit, &path, facts),
                NodeTokens::One(token) => self.by_token(visit, &path, token, facts),
                // Two: some reader would believe the one, some the other.
                NodeTokens::Several => Entry::Refused(Refusal::Token),
            },
        }
    }

    /// Whether what was admitted to everybody at an earlier time still is.
    pub(crate) fn stands_open(&self, guarded: Option<bool>) -> bool {
        match self.trust {
            Trust::Users(_) => true,
            Trust::Cluster => self.own_routes || guarded != Some(true),
        }
    }

    /// Whether any route lets more through to an origin than GET and HEAD.
    pub(crate) fn lets_through(&self) -> bool {
        self.routes.iter().any(|route| *route.methods() != Methods::None)
    }

    /// Where a visit that was admitted may go instead: nowhere, if no token led here.
    pub(crate) fn elsewhere(&self, visit: Visit<'_>, facts: &Facts) -> Elsewhere {
        let (Trust::Cluster, NodeTokens::One(token)) = (&self.trust, node_tokens(visit.query.unwrap_or_default()))
        else {
            return Elsewhere::default();
        };
        match facts.ring.as_ref().and_then(|ring| Some((ring, opened(ring, visit.now, token)?))) {
            Some((ring, (grant, _))) => Elsewhere::of(ring, grant, &self.node, visit),
            None => Elsewhere::default(),
        }
    }

    fn by_token(&self, visit: Visit<'_>, path: &ObjectPath, token: &str, facts: &Facts) -> Entry {
        let Some(ring) = &facts.ring else { return Entry::Refused(Refusal::NoRing) };
        let Some((grant, expired)) = opened(ring, visit.now, token) else { return Entry::Refused(Refusal::Token) };
        if !self.is_for_us(&grant, path, visit.client) {
            return Entry::Refused(Refusal::Token);
        }
        // A route that was open when the token was made may have been closed since.
        let guarded = grant.guarded || facts.guarded == Some(true);
        match (expired && guarded, &grant.home) {
            // An open route wants no token at all, so an old one is none the worse.
            (false, _) => {
                // A token names no fields: which ones this node's origin may see is this node's to say.
                let found = self.routes.match_target(path, visit.query);
                let request_fields = found.map(|found| found.route.request_fields().clone()).unwrap_or_default();
                Entry::Admitted(Box::new(Admission { request_fields, ..grant.into() }))
            }
            (true, Some(home)) => Entry::Home(back(home, visit)),
            (true, None) => Entry::Refused(Refusal::Token),
        }
    }

    fn is_for_us(&self, grant: &NodeGrant, path: &ObjectPath, client: IpAddr) -> bool {
        let named = grant.candidates.is_empty() || grant.candidates.iter().any(|node| node.node == self.node);
        let network = grant.client_network.as_deref().is_none_or(|network| network::covers(network, client));
        grant.covers(path) && named && network
    }

    /// In a cluster, without a token.
    fn by_nothing(&self, visit: Visit<'_>, path: &ObjectPath, facts: &Facts) -> Entry {
        let Some(found) = self.routes.match_target(path, visit.query) else {
            return Entry::Refused(Refusal::NoObject);
        };
        let closed = (self.own_routes && found.access != Access::Open) || !self.stands_open(facts.guarded);
        if closed { Entry::Refused(Refusal::NoToken) } else { Entry::Admitted(Box::new(found.into())) }
    }

    /// On a node that stands alone.
    fn by_user(&self, visit: Visit<'_>, path: &ObjectPath, ring: Option<&KeyRing>) -> Entry {
        let Some(found) = self.routes.match_target(path, visit.query) else {
            return Entry::Refused(Refusal::NoObject);
        };
        match found.access {
            Access::Open => {}
            Access::Signed => {
                let Some(ring) = ring else { return Entry::Refused(Refusal::NoToken) };
                let key_query = found.key.query.as_deref();
                match tokens::verify_user(ring, visit.now, path, key_query, visit.query) {
                    Ok(_) => {}
                    Err(UserTokenError::Expired) => return Entry::Refused(Refusal::Gone),
                    Err(UserTokenError::Missing) => return Entry::Refused(Refusal::NoToken),
                    Err(UserTokenError::Malformed | UserTokenError::Forged | UserTokenError::WrongObject) => {
                        return Entry::Refused(Refusal::Token);
                    }
                }
            }
        }
        Entry::Admitted(Box::new(found.into()))
    }
}

/// What a token that some key of the ring made says, and whether its time is over.
fn opened(ring: &KeyRing, now: UnixMillis, token: &str) -> Option<(NodeGrant, bool)> {
    match tokens::open(ring, now, token) {
        Ok(grant) => Some((grant, false)),
        Err(NodeTokenError::Expired(grant)) => Some((*grant, true)),
        Err(NodeTokenError::Malformed | NodeTokenError::Forged | NodeTokenError::TooNew) => None,
    }
}

impl From<NodeGrant> for Admission {
    fn from(grant: NodeGrant) -> Self {
        Self {
            origin_target: grant.origin_target.unwrap_or_else(|| default_target(&grant.key)),
            key: grant.key,
            filename: grant.filename,
            content_type: grant.content_type,
            cache_control: grant.cache_control,
            // A token is a leave to read.
            methods: Methods::None,
            request_fields: RequestFields::None,
            redirect: Some(grant.redirect),
            trace: grant.trace,
            validator: grant.validator,
            open: false,
        }
    }
}

impl From<Match<'_>> for Admission {
    fn from(found: Match<'_>) -> Self {
        Self {
            content_type: found.route.content_type().map(str::to_owned),
            cache_control: found.route.cache_control().map(str::to_owned),
            methods: found.route.methods().clone(),
            request_fields: found.route.request_fields().clone(),
            origin_target: found.origin_target().into_owned(),
            key: found.key,
            filename: found.filename,
            redirect: None,
            trace: None,
            validator: None,
            open: found.access == Access::Open,
        }
    }
}

/// The same request at a gateway's public URL, token and all: the gateway renews it.
fn back(home: &str, visit: Visit<'_>) -> String {
    let home = home.trim_end_matches('/');
    match visit.query {
        Some(query) => format!("{home}{}?{query}", visit.path),
        None => format!("{home}{}", visit.path),
    }
}

#[cfg(test)]
mod tests;
