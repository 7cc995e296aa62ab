//! Why the rest of an object does not come.

use std::{io, sync::Arc};

use http::StatusCode;

use crate::{
    answer::Answer,
    origin::{BodyError, OriginError},
};

/// Why the rest of an object does not come. Several readers may be told of one.
#[derive(Debug, Clone, thiserror::Error)]
pub(in super::super) enum Trouble {
    /// No origin answered.
    #[error("no origin gave the rest of an object")]
    Origin(#[source] Arc<OriginError>),
    /// It broke off.
    #[error("the rest of an object broke off")]
    Body(#[source] Arc<BodyError>),
    /// The origin answered with this status.
    #[error("the origin answered {0} where it was asked for the rest of an object")]
    Status(StatusCode),
    /// The origin has another version by now, or none: nothing can be added to this one.
    #[error("the origin has another version of the object by now")]
    Changed,
    /// It broke off before, and nothing tells its versions apart.
    #[error("the object has no strong validator, and its one response ended early")]
    Incomplete,
    /// The origin sent nothing of what it was asked for, and said that this was it.
    #[error("the origin sent nothing of the rest of an object")]
    Nothing,
    /// This process is about to end.
    #[error("the fetch was ended with the process")]
    Stopped,
}

impl Trouble {
    /// The answer where nothing was sent yet.
    pub(in super::super) fn answer(&self) -> Answer {
        match self {
            Self::Origin(error) => error.answer(),
            Self::Status(status) if *status == StatusCode::GATEWAY_TIMEOUT => {
                Answer::text(StatusCode::GATEWAY_TIMEOUT, "the origin did not answer in time")
            }
            Self::Body(_) | Self::Status(_) | Self::Changed | Self::Incomplete | Self::Nothing | Self::Stopped => {
                Answer::text(StatusCode::BAD_GATEWAY, "the origin gave no usable answer")
            }
        }
    }

    /// Whether what is here of the object is of no use to anybody.
    pub(in super::super) const fn ends_it(&self) -> bool {
        matches!(self, Self::Changed | Self::Incomplete)
    }
}

impl From<Trouble> for io::Error {
    fn from(trouble: Trouble) -> Self {
        Self::other(trouble)
    }
}
