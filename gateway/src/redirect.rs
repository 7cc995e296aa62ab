//! From a selection to a 302: where the client goes, and what the node there is told.

use std::time::Duration;

use ferry_core::{
    known::Version,
    ring::KeyRing,
    routes::{Access, Deliver},
    selection::{Scheme, Selection},
    target::{Query, encode_path},
    time::UnixMillis,
    tokens::{NODE_PARAMETER, NodeGrant, Reach, Terms, Unsealable, seal_onto},
    trace::TraceContext,
};
use ferry_delivery::{
    Answer,
    semantics::repr_digest::REPR_DIGEST,
    server::{Brief, Sound},
};
use http::{HeaderValue, StatusCode, header};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use crate::{choice::Wanted, door::Admitted, links};

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

/// Room for a target with its token.
const LIKELY: usize = 1024;

/// How long an open route's redirect can be renewed: longer than any download takes.
const OPEN_RENEWAL: Duration = Duration::from_secs(7 * 24 * 3600);

impl Redirector {
    /// Puts the node token for the selected nodes behind `target`.
    ///
    /// Alternates are a convenience: where they make the token too long, they are left out, here and of `nodes`.
    pub(crate) fn sign(
        &self,
        target: &mut Vec<u8>,
        ring: &KeyRing,
        wanted: &Wanted<'_>,
        nodes: &mut Nodes<'_>,
        now: UnixMillis,
        trace: Option<TraceContext>,
    ) -> Result<(), Unsealable> {
        let Wanted { admitted, redirect, .. } = *wanted;
        let found = &admitted.found;
        let renewable_until = admitted.until.unwrap_or_else(|| (now + OPEN_RENEWAL).seconds());
        // What the gateway asks for itself: each node is to answer, since the gateway tries the others.
        let is_own = found.deliver == Deliver::Proxy;
        let terms = Terms {
            key: &found.key,
            path: Some(&admitted.path).filter(|path| **path != found.key.path),
            // Without one it is the key's: a token need not say that.
            origin_target: found.own_origin_target(),
            filename: found.filename.as_deref(),
            content_type: found.route.content_type(),
            cache_control: found.route.cache_control(),
            expires: (now + self.lifetime).seconds().min(renewable_until),
            renewable_until,
            redirect,
            hops: u8::from(is_own),
            tried: &admitted.tried,
            trace,
            validator: wanted.version.as_deref().map(|version| version.validator.as_str()),
            client_network: None,
            home: self.home.as_deref().filter(|_| !is_own),
            guarded: found.access != Access::Open,
        };
        target.push(if target.contains(&b'?') { b'&' } else { b'?' });
        target.extend_from_slice(NODE_PARAMETER.as_bytes());
        target.push(b'=');
        match seal_onto(target, &ring.current, &terms, nodes.iter()) {
            Err(Unsealable::TooLong) if nodes.alternates().next().is_some() => {
                nodes.leave_alternates_out();
                seal_onto(target, &ring.current, &terms, nodes.iter())
            }
            sealed => sealed,
        }
    }
}

/// The selected nodes, the primary first, by the addresses at which the client reaches them.
#[derive(Debug, Clone)]
pub(crate) struct Nodes<'t>([Option<Reach<'t>>; NodeGrant::MOST_CANDIDATES]);

impl<'t> Nodes<'t> {
    pub(crate) fn of(selection: &Selection<'t>, scheme: Scheme) -> Self {
        selection.reaches(scheme).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Reach<'t>> + Clone {
        self.0.iter().flatten().copied()
    }

    pub(crate) const fn primary(&self) -> Option<Reach<'t>> {
        self.0[0]
    }

    pub(crate) fn alternates(&self) -> impl Iterator<Item = Reach<'t>> {
        self.0.into_iter().skip(1).flatten()
    }

    fn leave_alternates_out(&mut self) {
        self.0[1..].fill(None);
    }
}

impl<'t> FromIterator<Reach<'t>> for Nodes<'t> {
    /// No more than fit into a token.
    fn from_iter<I: IntoIterator<Item = Reach<'t>>>(nodes: I) -> Self {
        let mut nodes = nodes.into_iter();
        Self(std::array::from_fn(|_| nodes.next()))
    }
}

/// The target at a node without its token: the path as the client wrote it, and the query without what is the gateway's business. Of a
/// directory, it is the path of its index file: a node may know nothing of that.
pub(crate) fn target((path, query): (&str, &Query<'_>), admitted: &Admitted<'_>) -> Vec<u8> {
    let rest = match admitted.found.access {
        Access::Open => query.without_node_token(),
        Access::Signed => query.without_ferry_parameters(),
    };
    let mut target = Vec::with_capacity(LIKELY);
    match path.ends_with('/') {
        true => target.extend_from_slice(encode_path(&admitted.path).as_bytes()),
        false => push_visible(&mut target, path),
    }
    if !rest.is_empty() {
        target.push(b'?');
        push_visible(&mut target, &rest);
    }
    target
}

/// RFC 9110 section 10.2.2: a URI, so nothing but ASCII, whatever the client sent.
fn push_visible(target: &mut Vec<u8>, text: &str) {
    match text.bytes().fold(true, |visible, octet| visible & octet.is_ascii_graphic()) {
        true => target.extend_from_slice(text.as_bytes()),
        false => utf8_percent_encode(text, CONTROLS).for_each(|piece| target.extend_from_slice(piece.as_bytes())),
    }
}

/// The 302 itself (W3): to the first of these nodes, with links to the others.
pub(crate) fn answer(nodes: &Nodes<'_>, target: &[u8], version: Option<&Version>) -> Option<Answer> {
    let primary = nodes.primary()?;
    let value = |pieces: &[Sound<'_>]| {
        let octets: Vec<_> = pieces.iter().flat_map(|piece| piece.octets()).copied().collect();
        HeaderValue::try_from(octets).ok()
    };
    let (Some(authority), Some(target)) = (authority(primary), Sound::of(target)) else {
        // The target came as a URI and the rest is ours: this cannot be reached, and must not be a panic.
        return Some(Answer::text(StatusCode::BAD_REQUEST, "malformed target"));
    };
    let mut answer = Answer::empty(StatusCode::FOUND)
        .with(header::LOCATION, value(&[scheme_of(primary), authority, target])?)
        .with(header::CACHE_CONTROL, HeaderValue::from_static(STORE_NOTHING));
    let digest = version.and_then(Version::repr_digest);
    if let Some(digest) = digest {
        answer.headers.insert(REPR_DIGEST, HeaderValue::from_bytes(&digest).ok()?);
    }
    for link in links::values(nodes, target, besides(digest.is_some())) {
        // One field each: not every client that knows RFC 6249 takes a list apart.
        answer.headers.append(header::LINK, value(&link)?);
    }
    Some(answer)
}

/// The same, on the spot.
pub(crate) fn write(brief: &mut Brief<'_>, nodes: &Nodes<'_>, target: &[u8], version: Option<&Version>) -> Option<()> {
    const STORE: Sound<'_> = Sound::literal(STORE_NOTHING);
    let (primary, target) = (nodes.primary()?, Sound::of(target)?);
    brief.status(StatusCode::FOUND);
    brief.field(&header::LOCATION, &[scheme_of(primary), authority(primary)?, target]);
    brief.field(&header::CACHE_CONTROL, &[STORE]);
    let digest = version.and_then(Version::repr_digest);
    if let Some(digest) = &digest {
        brief.field(&REPR_DIGEST, &[Sound::of(digest)?]);
    }
    for link in links::values(nodes, target, besides(digest.is_some())) {
        brief.field(&header::LINK, &link);
    }
    Some(())
}

/// What the digest adds to a head.
const fn besides(digest: bool) -> usize {
    if digest { "repr-digest: \r\n".len() + Version::REPR_DIGEST } else { 0 }
}

/// How a node's URL begins.
pub(crate) const fn scheme_of(node: Reach<'_>) -> Sound<'static> {
    const PLAIN: Sound<'_> = Sound::literal("http://");
    const TLS: Sound<'_> = Sound::literal("https://");
    if node.secure { TLS } else { PLAIN }
}

/// How it goes on; always there, since an address is a name or a number.
pub(crate) fn authority(node: Reach<'_>) -> Option<Sound<'_>> {
    Sound::of(node.authority.as_str().as_bytes())
}

/// What a client speaks, and so what it may be sent to.
pub(crate) const fn scheme(secure: bool) -> Scheme {
    if secure { Scheme::Https } else { Scheme::Http }
}
