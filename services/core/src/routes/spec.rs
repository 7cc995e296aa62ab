//! Routes as people write them, before anybody checked them.

use std::fmt;

use serde::Deserialize;

use super::{Access, QueryRule};

/// One `[[route]]` of a configuration. Words are kept as text, so that all wrong ones are reported together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RouteSpec {
    /// Paths that the route is for: `/video/{path*}`, `/{year}/report_{month}.pdf`. Written decoded.
    pub r#match: String,
    /// The object's key, made of the pattern's variables; the path itself if not given.
    pub key: Option<String>,
    /// What to ask an origin for; the path itself if not given.
    pub origin: Option<String>,
    /// The name under which clients save the object.
    pub filename: Option<String>,
    /// `open` or `signed`.
    pub access: Option<String>,
    /// `redirect` or `proxy`; by default `proxy` for playlists, `redirect` for all else.
    pub deliver: Option<String>,
    /// What of the query is part of the key.
    pub query: Option<QuerySpec>,
    /// The methods that pass on to an origin besides GET and HEAD.
    pub methods: Option<NamesSpec>,
    /// The fields of a request that pass on to an origin.
    pub request_headers: Option<NamesSpec>,
    /// `Cache-Control` of the answers.
    pub cache_control: Option<String>,
    /// `Content-Type` of the answers, where the name's ending does not tell.
    pub content_type: Option<String>,
}

/// `"ignore"`, `"keep"`, or a list of names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected \"ignore\", \"keep\" or a list of parameter names")]
pub enum QuerySpec {
    /// `ignore` or `keep`.
    Word(String),
    /// The parameters that are part of the key.
    Names(Vec<String>),
}

impl fmt::Display for QuerySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "{word:?}"),
            Self::Names(names) => write!(f, "{names:?}"),
        }
    }
}

/// `"all"`, or a list of names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected \"all\" or a list of names")]
pub enum NamesSpec {
    /// `all`.
    Word(String),
    /// These.
    Names(Vec<String>),
}

impl fmt::Display for NamesSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "{word:?}"),
            Self::Names(names) => write!(f, "{names:?}"),
        }
    }
}

/// What a route that does not say so means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// Who may fetch; `None` where every route has to say so itself, as it must with a main server behind.
    pub access: Option<Access>,
    /// What of the query is part of the key: `Ignore` before a disk, `Keep` before an HTTP origin.
    pub query: QueryRule,
}

/// A value of a route that cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route[{index}].{field} = {value}: expected {expected}")]
pub struct RouteFault {
    /// Which route, counted from 0.
    pub index: usize,
    /// Which key of it, as it is written in the configuration.
    pub field: &'static str,
    /// The value, as it would be written in the configuration; `(nothing)` if it is missing.
    pub value: String,
    /// What would have been right.
    pub expected: String,
}
