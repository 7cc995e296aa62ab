//! Why a client would get the node that it would get: the question of a redirect, put as the redirect puts it, and the whole answer.
//!
//! Never counts as a request: nothing is sent, remembered or counted for it. Who may ask is the admin listener's matter.

mod answer;
mod json;
mod page;

use std::net::IpAddr;

use ferry_core::{
    routes::{Access, Deliver},
    selection::Explanation,
    target::Query,
};
use ferry_proto::v1;

pub use self::json::json;
pub(crate) use self::page::pages;
use crate::{
    choice::{Asker, Wanted},
    door::{Admitted, Refused, Rings, admit},
    handler::Front,
    redirect,
    snapshot::Snapshot,
};

/// A client's request, as an operator imagines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Imagined {
    /// As in a request line.
    pub(crate) target: String,
    pub(crate) address: IpAddr,
    /// Whether the client came over TLS.
    pub(crate) tls: bool,
}

/// Why there is nothing to explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unexplained {
    /// The path cannot be decoded: 400 for clients.
    #[error("the path cannot be decoded: the gateway answers 400")]
    Malformed,
    /// No route knows the path: 404 for clients.
    #[error("no route knows this path: the gateway answers 404")]
    Unknown,
}

/// What becomes of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Redirect,
    HandOut,
    Fallback,
    Unavailable,
    Refused(Refused),
}

impl Front {
    /// What the client would get, and why.
    pub(crate) fn explain(&self, imagined: &Imagined) -> Result<v1::ExplainResponse, Unexplained> {
        let (path, query) = match imagined.target.split_once('?') {
            Some((path, query)) => (path, Query::of(Some(query))),
            None => (&*imagined.target, Query::of(None)),
        };
        let snapshot = self.current.load();
        let rings = Rings { user: snapshot.user_ring.as_ref(), node: snapshot.node_ring.as_ref() };
        let (admitted, refused) = match admit(&self.routes, rings, self.clock.corrected(), path, &query) {
            Ok(admitted) => (admitted, None),
            Err(Refused::Malformed) => return Err(Unexplained::Malformed),
            Err(refused) => (self.as_if_admitted(path, &query)?, Some(refused)),
        };
        let found = self.whereabouts.at(imagined.address);
        let asker = Asker::of(found, redirect::scheme(imagined.tls));
        let wanted = self.wanted(&admitted, asker, &snapshot, self.clock.now());
        let explanation = self.explained(&snapshot, &wanted);
        let outcome = match refused {
            Some(refused) => Outcome::Refused(refused),
            None => self.outcome(&snapshot, &wanted, &explanation),
        };
        Ok(answer::of(&snapshot, &wanted, &explanation, outcome, found.place.map(|(_, source)| source)))
    }

    /// What the request would mean if it were let in: where a token is missing, operators still want to know who would serve it.
    fn as_if_admitted(&self, path: &str, query: &Query<'_>) -> Result<Admitted<'_>, Unexplained> {
        let path = self.routes.path(path).map_err(|_| Unexplained::Unknown)?;
        let found = self.routes.match_target(&path, query.raw()).ok_or(Unexplained::Unknown)?;
        Ok(Admitted { path, found, until: None, tried: Vec::new(), user: None })
    }

    /// As a request that is let in fares on the way through `handler`.
    fn outcome(&self, snapshot: &Snapshot, wanted: &Wanted<'_>, explanation: &Explanation) -> Outcome {
        let found = &wanted.admitted.found;
        // Without a ring there are no node tokens, and only what is open is served without one.
        let can_be_sent = snapshot.node_ring.is_some() || found.access == Access::Open;
        match (found.deliver, explanation.choice) {
            (Deliver::Proxy, Some(_)) => Outcome::HandOut,
            (Deliver::Redirect, Some(_)) if can_be_sent => Outcome::Redirect,
            _ if self.fallback.is_there() => Outcome::Fallback,
            _ => Outcome::Unavailable,
        }
    }
}
