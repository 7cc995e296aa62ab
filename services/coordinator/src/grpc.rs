//! The coordinator's gRPC services, and the one place where its errors become statuses.

mod cluster;
mod membership;
mod routing;

/// What a message of a node, a gateway or an operator may weigh: a registration with more than it may declare is still answered in words.
pub(crate) const REQUEST_LIMIT: usize = 64 << 10;

pub(crate) use cluster::Cluster;
pub(crate) use membership::Attendance;
pub(crate) use routing::Routing;

use ferry_core::membership::Refusal;
use ferry_proto::convert::NEWEST_LIFE;
use tonic::Status;

use crate::{driver, records::WriteError};

/// Why a node's stream ends.
pub(crate) fn refusal(why: &Refusal) -> Status {
    let text = why.to_string();
    match why {
        Refusal::Taken { .. } => Status::already_exists(text),
        Refusal::Superseded => Status::failed_precondition(text),
        Refusal::Outlived { newest } => {
            let mut status = Status::aborted(text);
            status.metadata_mut().insert(NEWEST_LIFE, newest.0.into());
            status
        }
        Refusal::TooOften => Status::resource_exhausted(text),
        Refusal::Removed => Status::not_found(text),
    }
}

/// Why a decision was not stored.
pub(crate) fn write_status(error: &WriteError) -> Status {
    let text = match error {
        WriteError::Store(cause) => cause.to_string(),
        other => other.to_string(),
    };
    match error {
        WriteError::Unknown(_) => Status::not_found(text),
        WriteError::Damaged { .. } => Status::data_loss(text),
        WriteError::Store(cause) if cause.is_passing() => Status::unavailable(text),
        WriteError::Store(_) => Status::failed_precondition(text),
    }
}

impl From<driver::NoAnswer> for Status {
    fn from(why: driver::NoAnswer) -> Self {
        Self::unavailable(why.to_string())
    }
}
