//! Why no origin gave an object.

use std::{io, time::Duration};

use http::{HeaderValue, StatusCode, header};

use super::settings::Base;
use crate::answer::Answer;

/// When a client that was turned away should ask again.
const AGAIN: Duration = Duration::from_secs(2);

/// Why an origin gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// The request has passed here before (RFC 8586).
    #[error("the request came round in a loop")]
    Loop,
    /// The target and the origin's address make no URL.
    #[error("{origin} has no address for this target")]
    Target {
        /// The origin.
        origin: Base,
    },
    /// All slots were taken for too long, or too many waited already.
    #[error("{origin} has too many requests under way")]
    Busy {
        /// The origin.
        origin: Base,
    },
    /// It failed too often of late: nothing is sent for a while.
    #[error("{origin} failed too often and is left alone for another {wait:?}")]
    Open {
        /// The origin.
        origin: Base,
        /// How long.
        wait: Duration,
    },
    /// Its name leads nowhere.
    #[error("the name of {origin} could not be resolved")]
    Unresolved {
        /// The origin.
        origin: Base,
        /// What the resolver said.
        #[source]
        cause: io::Error,
    },
    /// No connection, or one that broke before the response's head.
    #[error("no answer from {origin}")]
    Unreachable {
        /// The origin.
        origin: Base,
        /// What went wrong.
        #[source]
        cause: hyper_util::client::legacy::Error,
    },
    /// No response head in time.
    #[error("{origin} sent no response head within {limit:?}")]
    Late {
        /// The origin.
        origin: Base,
        /// The limit.
        limit: Duration,
    },
    /// No usable answer from any origin, however often they were asked.
    #[error("no answer within {limit:?}, however often the origins were asked")]
    GivenUp {
        /// The limit.
        limit: Duration,
    },
    /// The content of the request broke off before it was all sent.
    #[error("the content for {origin} broke off")]
    Content {
        /// The origin.
        origin: Base,
    },
    /// A response that cannot be true.
    #[error("{origin} {what}")]
    Contradiction {
        /// The origin.
        origin: Base,
        /// What it did.
        what: &'static str,
    },
    /// A 5xx, or a status that answers no GET.
    #[error("{origin} answered {status}")]
    Status {
        /// The origin.
        origin: Base,
        /// What it answered.
        status: StatusCode,
        /// Its own `Retry-After`.
        retry_after: Option<HeaderValue>,
    },
    /// A redirect that is not followed: elsewhere, or one too many.
    #[error("{origin} redirects to {location}, which is not followed")]
    Redirect {
        /// The origin.
        origin: Base,
        /// Where to; shortened.
        location: String,
    },
    /// There was no origin to ask.
    #[error("there is no origin left to ask")]
    NoneLeft,
}

impl OriginError {
    /// Whether another origin may do better.
    #[must_use]
    pub fn elsewhere(&self) -> bool {
        match self {
            Self::Busy { .. }
            | Self::Open { .. }
            | Self::Unresolved { .. }
            | Self::Unreachable { .. }
            | Self::Late { .. }
            | Self::Contradiction { .. } => true,
            Self::Status { status, .. } => status.is_server_error(),
            Self::Loop
            | Self::Target { .. }
            | Self::Content { .. }
            | Self::GivenUp { .. }
            | Self::Redirect { .. }
            | Self::NoneLeft => false,
        }
    }

    /// Whether the same origin may do better a moment later. Who waited in vain for a turn, or for a head, waited long enough.
    pub(super) fn again(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Unresolved { .. } | Self::Unreachable { .. } | Self::Contradiction { .. } => true,
            Self::Busy { .. }
            | Self::Late { .. }
            | Self::Status { .. }
            | Self::Loop
            | Self::Target { .. }
            | Self::Content { .. }
            | Self::GivenUp { .. }
            | Self::Redirect { .. }
            | Self::NoneLeft => false,
        }
    }

    /// Whether nothing was sent to the origin.
    pub(super) fn unsent(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Open { .. } | Self::Unresolved { .. } => true,
            Self::Unreachable { cause, .. } => cause.is_connect(),
            Self::Late { .. }
            | Self::Contradiction { .. }
            | Self::Status { .. }
            | Self::Loop
            | Self::Target { .. }
            | Self::Content { .. }
            | Self::GivenUp { .. }
            | Self::Redirect { .. }
            | Self::NoneLeft => false,
        }
    }

    /// What a client is told. Nothing of the origin's name or address.
    #[must_use]
    pub fn answer(&self) -> Answer {
        match self {
            Self::Loop => Answer::text(StatusCode::LOOP_DETECTED, "the request came round in a loop"),
            Self::Busy { .. } => Answer::unavailable("too many requests are under way", AGAIN),
            Self::Content { .. } => Answer::text(StatusCode::BAD_REQUEST, "the content broke off"),
            Self::Open { wait, .. } => Answer::unavailable("the origin is unavailable", *wait),
            Self::Late { .. } | Self::GivenUp { .. } => {
                Answer::text(StatusCode::GATEWAY_TIMEOUT, "the origin did not answer in time")
            }
            Self::Status { status, retry_after, .. } if *status == StatusCode::SERVICE_UNAVAILABLE => {
                let answer = Answer::unavailable("the origin is unavailable", AGAIN);
                match retry_after {
                    Some(value) => answer.with(header::RETRY_AFTER, value.clone()),
                    None => answer,
                }
            }
            Self::Status { status, .. } if *status == StatusCode::GATEWAY_TIMEOUT => {
                Answer::text(StatusCode::GATEWAY_TIMEOUT, "the origin did not answer in time")
            }
            Self::Target { .. }
            | Self::Unresolved { .. }
            | Self::Unreachable { .. }
            | Self::Contradiction { .. }
            | Self::Status { .. }
            | Self::Redirect { .. }
            | Self::NoneLeft => Answer::text(StatusCode::BAD_GATEWAY, "the origin gave no usable answer"),
        }
    }

    /// The kind of failure as a metric's label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Loop => "loop",
            Self::Target { .. } => "target",
            Self::Content { .. } => "content",
            Self::Busy { .. } => "busy",
            Self::Open { .. } => "open",
            Self::Unresolved { .. } => "unresolved",
            Self::Unreachable { .. } => "unreachable",
            Self::Late { .. } => "late",
            Self::GivenUp { .. } => "given-up",
            Self::Contradiction { .. } => "contradiction",
            Self::Status { .. } => "status",
            Self::Redirect { .. } => "redirect",
            Self::NoneLeft => "none",
        }
    }
}
