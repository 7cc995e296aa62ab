//! The redirect on the spot: the whole way from a request's target to the head of its answer, without a task, a map of fields or a wait.
//!
//! Nothing is decided here. It asks what [`handler`](crate::handler) asks, in the same order, and where anything is out of the
//! ordinary (a refusal, no node, a playlist, a token to renew) it leaves the request to that.

use ferry_core::{routes::Deliver, target::Query};
use ferry_delivery::server::{Brief, Plain};
use http::StatusCode;

use crate::{
    choice::Asker,
    door::{Rings, admit},
    handler::Front,
    redirect::{self, Nodes},
};

impl Front {
    /// Writes a redirect; `None` if there is none, or something else to do.
    pub(crate) fn redirect_briefly(&self, plain: Plain<'_>, brief: &mut Brief<'_>) -> Option<()> {
        let (path, query) = match plain.target.split_once('?') {
            Some((path, query)) => (path, Query::of(Some(query))),
            None => (plain.target, Query::of(None)),
        };
        // Whom a proxy asks for is in fields that are not at hand here.
        if path == "/health" || !is_uri(plain.target) || self.whereabouts.trusts(plain.peer.ip()) {
            return None;
        }
        let snapshot = self.current.glance();
        let rings = Rings { user: snapshot.user_ring.as_ref(), node: snapshot.node_ring.as_ref() };
        let now = self.clock.at(plain.since);
        let admitted = admit(&self.routes, rings, self.clock.corrected_at(now), path, &query).ok()?;
        if admitted.found.deliver != Deliver::Redirect || !admitted.tried.is_empty() {
            return None;
        }
        let asker = Asker::of(self.whereabouts.at(plain.peer.ip()), redirect::scheme(plain.secure));
        let asker = asker.who_gets(plain.user_agent);
        let wanted = self.wanted(&admitted, asker, &snapshot, now);
        let selection = self.choose(&snapshot, &wanted);
        let primary = selection.primary?;
        let mut nodes = Nodes::of(&selection, asker.scheme);
        let trace = self.trace(None, &admitted);
        let target = self.target((path, &query), &wanted, &snapshot, &mut nodes, &trace)?;
        redirect::write(brief, &nodes, &target, wanted.version.as_deref())?;
        self.chosen(&snapshot, &wanted, primary);
        trace.span.record("node", primary.id().as_str());
        trace.span.record("status", StatusCode::FOUND.as_u16());
        Some(())
    }
}

/// Whether all octets may stand in a URI (RFC 3986 appendix A), percent signs included. Whether they encode anything is the route's to say.
fn is_uri(text: &str) -> bool {
    text.bytes().fold(true, |sound, octet| sound & URI[usize::from(octet)])
}

const URI: [bool; 256] = {
    let (mut table, mut octet) = ([false; 256], b'!');
    while octet <= b'~' {
        table[octet as usize] = !matches!(octet, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#');
        octet += 1;
    }
    table
};
