//! The words of the stream: what the node says, and what it hears, parsed at the door.

use std::{error::Error, time::Duration};

use ferry_core::{
    evidence::Report,
    id::{CoordinatorId, Incarnation},
    load::Load,
    node::{Intent, NodeFacts},
    time::UnixMillis,
};
use ferry_proto::{
    VERSION,
    convert::{Invalid, NEWEST_LIFE, check_version},
    v1::{self, attend_request, attend_response},
};
use ferry_runtime::{admin::AdminToken, coordinators::Ending};
use tonic::{Code, Request, Status};

use crate::cluster::Facts;

/// Beats are asked for neither so often that they are the load, nor so seldom that nobody lives.
const FASTEST_BEAT: Duration = Duration::from_millis(50);
const SLOWEST_BEAT: Duration = Duration::from_secs(60);

/// The coordinator took us in.
#[derive(Debug)]
pub(super) struct Welcome {
    pub(super) coordinator: CoordinatorId,
    pub(super) beat_every: Duration,
    pub(super) facts: Facts,
    pub(super) intent: Intent,
    /// The coordinator's clock, if it has one.
    pub(super) now: Option<UnixMillis>,
}

pub(super) fn register(
    facts: &NodeFacts,
    secret: &[u8],
    incarnation: Incarnation,
    draining: bool,
) -> v1::AttendRequest {
    request(attend_request::Body::Register(v1::Register {
        version: VERSION,
        facts: Some(facts.into()),
        secret: secret.to_vec(),
        incarnation: incarnation.0,
        draining,
    }))
}

pub(super) fn beat(sequence: u64, load: Load, draining: bool) -> v1::AttendRequest {
    request(attend_request::Body::Beat(v1::Beat { sequence, load: Some(load.into()), draining }))
}

/// `left_out` in place of the report's own.
pub(super) fn evidence(report: &Report, left_out: u64) -> v1::AttendRequest {
    request(attend_request::Body::Evidence(v1::Evidence { left_out, ..report.into() }))
}

pub(super) fn goodbye(reason: &str) -> v1::AttendRequest {
    request(attend_request::Body::Goodbye(v1::Goodbye { reason: reason.to_owned() }))
}

pub(super) const fn unheard() -> v1::AttendRequest {
    request(attend_request::Body::Unheard(v1::Unheard {}))
}

const fn request(body: attend_request::Body) -> v1::AttendRequest {
    v1::AttendRequest { body: Some(body) }
}

/// A new stream, with what lets a new node in.
pub(super) fn opening<S>(requests: S, join: Option<&AdminToken>) -> Result<Request<S>, Ending> {
    let mut request = Request::new(requests);
    if let Some(token) = join {
        let bearer = token.bearer().try_into();
        let bearer = bearer.map_err(|_| Ending::Refused("the join token cannot be sent".to_owned()))?;
        request.metadata_mut().insert("authorization", bearer);
    }
    Ok(request)
}

/// The coordinator's first answer.
pub(super) fn welcome(first: Option<v1::AttendResponse>) -> Result<Welcome, Ending> {
    let first = first.ok_or_else(|| Ending::Lost("the coordinator ended the stream without a welcome".to_owned()))?;
    let Some(attend_response::Body::Welcome(welcome)) = first.body else {
        return Err(Ending::Refused("the coordinator's first answer is no welcome".to_owned()));
    };
    parse(welcome).map_err(|why| Ending::Refused(format!("the coordinator's welcome: {why}")))
}

fn parse(wire: v1::Welcome) -> Result<Welcome, Invalid> {
    check_version(wire.version)?;
    let coordinator = wire.coordinator_id.parse().map_err(|cause| Invalid::Name { field: "coordinator_id", cause })?;
    let cluster = wire.cluster.ok_or(Invalid::Missing("cluster"))?;
    Ok(Welcome {
        coordinator,
        beat_every: Duration::from_millis(wire.beat_every_ms.into()).clamp(FASTEST_BEAT, SLOWEST_BEAT),
        now: (cluster.unix_ms != 0).then_some(UnixMillis(cluster.unix_ms)),
        facts: cluster.try_into()?,
        intent: wire.intent.map(Intent::from).unwrap_or_default(),
    })
}

/// The number of the newest life that the coordinator knows of this node, if it says that it is dead.
pub(super) fn newest_life(status: &Status) -> Option<Incarnation> {
    let told = status.metadata().get(NEWEST_LIFE).filter(|_| status.code() == Code::Aborted)?;
    Some(Incarnation(told.to_str().ok()?.parse().ok()?))
}

/// What the end of a stream without a welcome means: some reasons are for people to resolve.
pub(super) fn refused(status: &Status) -> Ending {
    let words = words(status);
    match status.code() {
        Code::AlreadyExists
        | Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented => Ending::Refused(words),
        _ => Ending::Lost(words),
    }
}

/// A status for people: the coordinator's own words where it has some, and all causes.
pub(super) fn words(status: &Status) -> String {
    let own = if status.message().is_empty() { status.code().description() } else { status.message() };
    let causes = status.source().map(chain).unwrap_or_default();
    match causes.strip_prefix(own).map_or(&*causes, |rest| rest.trim_start_matches(": ")) {
        "" => own.to_owned(),
        causes => format!("{own}: {causes}"),
    }
}

/// An error and its causes on one line, without what was said already: transports wrap one cause many times over.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reasons_that_people_must_resolve_are_refusals() {
        for code in [Code::AlreadyExists, Code::InvalidArgument, Code::FailedPrecondition, Code::Unauthenticated] {
            let ending = refused(&Status::new(code, "the coordinator's own words"));
            assert_eq!(ending, Ending::Refused("the coordinator's own words".to_owned()), "{code:?}");
        }
        for code in [Code::Unavailable, Code::Unknown, Code::Internal, Code::NotFound, Code::DeadlineExceeded] {
            let ending = refused(&Status::new(code, "try again"));
            assert_eq!(ending, Ending::Lost("try again".to_owned()), "{code:?}");
        }
    }

    #[test]
    fn a_status_without_words_still_says_something() {
        assert_eq!(words(&Status::new(Code::Unavailable, "")), Code::Unavailable.description());
    }

    #[test]
    fn beats_are_asked_for_within_reason() {
        let cluster = Some(v1::ClusterFacts::default());
        let coordinator_id = "c1".to_owned();
        let welcome = v1::Welcome { version: VERSION, coordinator_id, cluster, ..v1::Welcome::default() };
        let parsed = parse(v1::Welcome { beat_every_ms: 0, ..welcome.clone() }).expect("sound");
        assert_eq!((parsed.beat_every, parsed.now), (FASTEST_BEAT, None));
        let parsed = parse(v1::Welcome { beat_every_ms: u32::MAX, ..welcome }).expect("sound");
        assert_eq!(parsed.beat_every, SLOWEST_BEAT);
    }
}
