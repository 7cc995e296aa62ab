//! Routes: from a URL to an object. design.md section 5.
//!
//! Routes are tried in the order in which they are written, and the first that matches decides. A route that an earlier one
//! leaves nothing to is a fault of the configuration, not a surprise at run time.
//!
//! Decides what a path means: the object's key, what to ask an origin for, who may fetch it, and what else should be
//! placed beside it. Never looks at a disk, a node, or a token.
//!
//! Invariant R1: a key made from a request is an [`ObjectPath`], whatever the request's path held. A path that would make
//! anything else matches nothing.

mod affinity;
mod compile;
mod passing;
mod pattern;
mod preset;
mod query;
mod spec;
mod template;

use std::{borrow::Cow, fmt};

pub use self::{
    affinity::affinity,
    passing::{Methods, RequestFields},
    query::QueryRule,
    spec::{Defaults, NamesSpec, QuerySpec, RouteFault, RouteSpec},
};
use self::{
    pattern::Pattern,
    template::{Template, append_query},
};
use crate::{
    object::{InvalidPath, ObjectKey, ObjectPath},
    target::{Query, default_target, encode_path, is_ferry_parameter},
};

/// Who may fetch what a route matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Everybody.
    Open,
    /// Whoever brings a user token.
    Signed,
}

impl Access {
    /// The word for it in a configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Signed => "signed",
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How the gateway answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deliver {
    /// It sends the client to a node.
    Redirect,
    /// It hands out the bytes itself.
    Proxy,
}

/// One checked route.
#[derive(Debug, Clone)]
pub struct Route {
    index: usize,
    text: String,
    pattern: Pattern,
    key: Option<Template>,
    origin: Option<Template>,
    filename: Option<Template>,
    access: Access,
    deliver: Option<Deliver>,
    query: QueryRule,
    methods: Methods,
    request_fields: RequestFields,
    cache_control: Option<String>,
    content_type: Option<String>,
    hash: u64,
}

impl Route {
    /// Its place in the configuration, counted from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// The pattern as it was written: the route's name for people and metrics.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.text
    }

    /// Who may fetch what it matches.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.access
    }

    /// The methods that pass on to an origin.
    #[must_use]
    pub const fn methods(&self) -> &Methods {
        &self.methods
    }

    /// The fields of a request that pass on to an origin.
    #[must_use]
    pub const fn request_fields(&self) -> &RequestFields {
        &self.request_fields
    }

    /// The `Cache-Control` to send with its objects, if it sets one.
    #[must_use]
    pub fn cache_control(&self) -> Option<&str> {
        self.cache_control.as_deref()
    }

    /// The `Content-Type` of its objects, if it sets one.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Equal on all machines and builds for routes that give the same answers with the same bytes; how the answer is delivered
    /// is left out, as only gateways decide that.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    fn try_match<'r>(&'r self, path: &ObjectPath, query: &Query<'_>) -> Option<Match<'r>> {
        let templates = [&self.key, &self.origin, &self.filename];
        let values = match templates.iter().any(|template| template.is_some()) {
            true => self.pattern.captures(path.as_str())?,
            // Nobody asks for them.
            false if self.pattern.fits(path.as_str()) => Vec::new(),
            false => return None,
        };
        let key_path = match &self.key {
            None => path.clone(),
            Some(template) => ObjectPath::from_decoded(&template.plain(&values)).ok()?,
        };
        let query = match self.access {
            Access::Signed if query.is_ferrys() => None,
            Access::Open | Access::Signed => {
                self.query.canonical(query.raw().unwrap_or_default(), |name| self.reads(name))
            }
        };
        let mut origin_target = match (&self.origin, &self.key) {
            (None, None) => None,
            (None, Some(_)) => Some(encode_path(path)),
            (Some(template), _) => Some(template.target(&values)?),
        };
        if let (Some(target), Some(query)) = (&mut origin_target, &query) {
            append_query(target, query);
        }
        let key = ObjectKey { path: key_path, query };
        Some(Match {
            route: self,
            origin_target,
            filename: self.filename.as_ref().map(|template| template.plain(&values)),
            access: self.access,
            deliver: self.deliver.unwrap_or_else(|| affinity::default_delivery(&key)),
            key,
        })
    }

    /// Whether a query parameter is for ferry on this route, and so never a part of a key or of an origin's business. On an
    /// open route nobody reads user tokens, and `token` or `uid` may well belong to the application behind.
    fn reads(&self, name: &str) -> bool {
        match self.access {
            Access::Open => name == crate::target::NODE_PARAMETER,
            Access::Signed => is_ferry_parameter(name),
        }
    }
}

/// What a request means.
#[derive(Debug, Clone)]
pub struct Match<'r> {
    /// The route that says so.
    pub route: &'r Route,
    /// The object.
    pub key: ObjectKey,
    /// See [`Self::origin_target`]; `None` where the key says it.
    origin_target: Option<String>,
    /// The name to save it under, if the route has one.
    pub filename: Option<String>,
    /// Who may fetch it.
    pub access: Access,
    /// How the gateway answers.
    pub deliver: Deliver,
}

impl Match<'_> {
    /// What selection hashes: objects of one affinity meet on one node.
    #[must_use]
    pub fn affinity(&self) -> Cow<'_, str> {
        affinity(&self.key)
    }

    /// What to ask an origin for: path and query, percent-encoded.
    #[must_use]
    pub fn origin_target(&self) -> Cow<'_, str> {
        self.own_origin_target().map_or_else(|| default_target(&self.key).into(), Cow::Borrowed)
    }

    /// The same, if it is not what [`default_target`] makes of the key.
    #[must_use]
    pub fn own_origin_target(&self) -> Option<&str> {
        self.origin_target.as_deref()
    }
}

/// All routes of a gateway or a node, checked.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    routes: Vec<Route>,
    /// The file that a path with a slash at its end stands for.
    index: Option<String>,
}

impl Routes {
    /// The same, with a file that a path with a slash at its end stands for: one name, checked by the caller.
    #[must_use]
    pub fn with_index(self, index: Option<String>) -> Self {
        Self { index, ..self }
    }

    /// The path that a request's encoded path says; the rules of a directory's index are applied already.
    pub fn path(&self, target: &str) -> Result<ObjectPath, InvalidPath> {
        match &self.index {
            Some(index) => ObjectPath::from_target_with(target, index),
            None => ObjectPath::from_target(target),
        }
    }

    /// What a request for `path` means, `raw_query` being what follows its `?`; `None` if no route knows the path.
    #[must_use]
    pub fn match_target(&self, path: &ObjectPath, raw_query: Option<&str>) -> Option<Match<'_>> {
        self.match_query(path, &Query::of(raw_query))
    }

    /// The same, where somebody took the query apart already.
    #[must_use]
    pub fn match_query(&self, path: &ObjectPath, query: &Query<'_>) -> Option<Match<'_>> {
        self.routes.iter().find_map(|route| route.try_match(path, query))
    }

    /// Whether any route wants more than the wish.
    #[must_use]
    pub fn guarded(&self) -> bool {
        self.iter().any(|route| route.access != Access::Open)
    }

    /// The routes in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// Whether there is no route at all, so that nothing matches.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }
}

#[cfg(test)]
mod tests;
