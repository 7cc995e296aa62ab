//! From a selection to a 302: where the client goes, and what the node there is told.

use std::time::Duration;

use ferry_core::{
    ring::KeyRing,
    routes::Access,
    selection::{Scheme, Selection},
    target::{default_target, encode_path},
    time::UnixMillis,
    tokens::{
        Endpoint, NODE_PARAMETER, NodeGrant, RedirectId, Unsealable, seal, strip_ferry_parameters, strip_node_token,
    },
    trace::TraceContext,
};
use ferry_delivery::Answer;
use http::{HeaderValue, StatusCode, header};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use crate::{door::Admitted, links};

/// What redirects have in common.
#[derive(Debug, Clone)]
pub(crate) struct Redirector {
    /// How long one can be followed.
    pub(crate) lifetime: Duration,
    /// Where an expired one comes back to.
    pub(crate) home: Option<String>,
}

/// W3.
pub(crate) const STORE_NOTHING: &str = "private, no-store";

/// How long an open route's redirect can be renewed: longer than any download takes.
const OPEN_RENEWAL: Duration = Duration::from_secs(7 * 24 * 3600);

impl Redirector {
    /// The node token for the selected nodes.
    ///
    /// Alternates are a convenience: where they make the token too long, they are left out, here and of `endpoints`.
    pub(crate) fn token(
        &self,
        ring: &KeyRing,
        admitted: &Admitted<'_>,
        endpoints: &mut Vec<Endpoint>,
        now: UnixMillis,
        trace: Option<TraceContext>,
    ) -> Result<String, Unsealable> {
        let found = &admitted.found;
        let renewable_until = admitted.until.unwrap_or_else(|| (now + OPEN_RENEWAL).seconds());
        let mut grant = NodeGrant {
            key: found.key.clone(),
            path: (admitted.path != found.key.path).then(|| admitted.path.clone()),
            origin_target: (found.origin_target != default_target(&found.key)).then(|| found.origin_target.clone()),
            filename: found.filename.clone(),
            content_type: found.route.content_type().map(str::to_owned),
            cache_control: found.route.cache_control().map(str::to_owned),
            expires: (now + self.lifetime).seconds().min(renewable_until),
            renewable_until,
            redirect: RedirectId(rand::random()),
            hops: 0,
            tried: admitted.tried.clone(),
            trace,
            validator: None,
            client_network: None,
            candidates: endpoints.clone(),
            home: self.home.clone(),
            guarded: found.access != Access::Open,
        };
        match seal(&ring.current, &grant) {
            Err(Unsealable::TooLong) if grant.candidates.len() > 1 => {
                endpoints.truncate(1);
                grant.candidates.truncate(1);
                seal(&ring.current, &grant)
            }
            sealed => sealed,
        }
    }
}

/// The target at a node: the path as the client wrote it, the query without what is the gateway's business, and the token. Of a
/// directory, it is the path of its index file: a node may know nothing of that.
pub(crate) fn target(asked: (&str, Option<&str>), admitted: &Admitted<'_>, token: Option<&str>) -> String {
    let query = asked.1.unwrap_or_default();
    let rest = match admitted.found.access {
        Access::Open => strip_node_token(query),
        Access::Signed => strip_ferry_parameters(query),
    };
    // RFC 9110 section 10.2.2: a URI, so nothing but ASCII, whatever the client sent.
    let mut target = match asked.0 {
        directory if directory.ends_with('/') => encode_path(&admitted.path),
        path => utf8_percent_encode(path, CONTROLS).collect(),
    };
    let mut separator = '?';
    if !rest.is_empty() {
        target.push(separator);
        target.extend(utf8_percent_encode(&rest, CONTROLS));
        separator = '&';
    }
    if let Some(token) = token {
        target.push(separator);
        target.push_str(NODE_PARAMETER);
        target.push('=');
        target.push_str(token);
    }
    target
}

/// The 302 itself (W3): to the first of these nodes, with links to the others.
pub(crate) fn answer(endpoints: &[Endpoint], target: &str) -> Option<Answer> {
    let (primary, alternates) = endpoints.split_first()?;
    let location = format!("{}://{}{target}", primary.scheme(), primary.authority);
    let Ok(location) = HeaderValue::try_from(location) else {
        // The target came as a URI and the rest is ours: this cannot be reached, and must not be a panic.
        return Some(Answer::text(StatusCode::BAD_REQUEST, "malformed target"));
    };
    let mut answer = Answer::empty(StatusCode::FOUND)
        .with(header::LOCATION, location)
        .with(header::CACHE_CONTROL, HeaderValue::from_static(STORE_NOTHING));
    let fitting = links::fitting(endpoints, target);
    for (alternate, number) in alternates.iter().zip(1..=fitting) {
        // One field each: not every client that knows RFC 6249 takes a list apart.
        let link = HeaderValue::try_from(links::value(alternate, target, number)).ok()?;
        answer.headers.append(header::LINK, link);
    }
    Some(answer)
}

/// What a client speaks, and so what it may be sent to.
pub(crate) const fn scheme(secure: bool) -> Scheme {
    if secure { Scheme::Https } else { Scheme::Http }
}

/// The selected nodes, the primary first.
pub(crate) fn endpoints(selection: &Selection<'_>, scheme: Scheme) -> Vec<Endpoint> {
    selection.endpoints(scheme).collect()
}
