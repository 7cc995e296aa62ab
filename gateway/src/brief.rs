//! The redirect on the spot: the whole way from a request's target to the head of its answer, without a task, a map of fields or a wait.
//!
//! Nothing is decided here. It asks what [`handler`](crate::handler) asks, in the same order, and where anything is out of the
//! ordinary (a refusal, no node, a playlist, a token to renew) it leaves the request to that.

use ferry_core::{routes::Deliver, selection::select};
use ferry_delivery::server::{Brief, Plain};
use http::{StatusCode, header};

use crate::{
    door::{Rings, admit},
    handler::{Front, question},
    links,
    redirect::{self, STORE_NOTHING},
};

impl Front {
    /// Writes a redirect; `None` if there is none, or something else to do.
    pub(crate) fn redirect_briefly(&self, plain: Plain<'_>, brief: &mut Brief<'_>) -> Option<()> {
        let (path, query) = match plain.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (plain.target, None),
        };
        if path == "/health" || !plain.target.bytes().all(is_uri) {
            return None;
        }
        let snapshot = self.current.glance();
        let rings = Rings { user: snapshot.user_ring.as_ref(), node: snapshot.node_ring.as_ref() };
        let admitted = admit(&self.routes, rings, self.clock.corrected(), path, query).ok()?;
        if admitted.found.deliver != Deliver::Redirect || !admitted.tried.is_empty() {
            return None;
        }
        let client = self.client(plain.peer.ip());
        let scheme = redirect::scheme(plain.secure);
        let question = question(&admitted, &client, scheme, self.clock.now());
        let selection = select(&snapshot.table, &snapshot.corrections, &question);
        let primary = selection.primary?;
        let mut endpoints = redirect::endpoints(&selection, scheme);
        let trace = self.trace(None, &admitted);
        let target = self.target((path, query), &admitted, &snapshot, &mut endpoints, &trace)?;
        let (first, alternates) = endpoints.split_first()?;
        brief.status(StatusCode::FOUND);
        brief.field(&header::LOCATION, &[first.scheme(), "://", first.authority.as_str(), &target]);
        brief.field(&header::CACHE_CONTROL, &[STORE_NOTHING]);
        let fitting = links::fitting(&endpoints, &target);
        for (alternate, number) in alternates.iter().zip(1..=fitting) {
            brief.field(&header::LINK, &[&links::value(alternate, &target, number)]);
        }
        self.redirected(&snapshot, primary, &trace);
        trace.span.record("status", StatusCode::FOUND.as_u16());
        Some(())
    }
}

/// Whether an octet may stand in a URI (RFC 3986 appendix A), percent signs included. Whether they encode anything is the route's to say.
const fn is_uri(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#')
}
