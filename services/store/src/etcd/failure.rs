//! What etcd's errors mean for who asked.

use std::{error::Error as StdError, io};

use etcd_client::Error as EtcdError;
use tonic::{Code, Status};

use crate::error::Error;

/// What etcd says of a token that was good a moment ago, under the same codes as of a wrong password: users or roles were changed, or
/// the member was started again. A new connection brings a new token. (rpctypes.ErrAuthOldRevision, ErrInvalidAuthToken)
const PASSING: [&str; 2] = ["revision of auth store is old", "invalid auth token"];

/// Sorts an error of the client library: an operator must act, or it may pass.
pub(super) fn classify(endpoint: &str, error: &EtcdError) -> Error {
    let why = |text: &str| format!("etcd at {endpoint}: {text}");
    match error {
        EtcdError::GRpcStatus(status) => of_status(endpoint, status),
        EtcdError::TransportError(error) if refuses_tls(error) => Error::refused(why(&innermost(error))),
        EtcdError::TransportError(error) => Error::unavailable(why(&innermost(error))),
        EtcdError::InvalidArgs(text) => Error::refused(why(text)),
        EtcdError::InvalidUri(_) | EtcdError::InvalidMetadataValue(_) => Error::refused(why(&error.to_string())),
        other => Error::unavailable(why(&other.to_string())),
    }
}

/// Whether it is certain that the request did not leave this machine: nobody took the connection.
pub(super) fn was_never_sent(error: &EtcdError) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = match error {
        EtcdError::GRpcStatus(status) => status.source(),
        EtcdError::TransportError(error) => Some(error),
        _ => None,
    };
    while let Some(error) = next {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        next = error.source();
    }
    false
}

fn of_status(endpoint: &str, status: &Status) -> Error {
    let text = match status.source() {
        Some(source) => innermost(source),
        None => status.message().trim_start_matches("etcdserver: ").to_owned(),
    };
    let why = format!("etcd at {endpoint}: {text}");
    if status.source().is_some_and(refuses_tls) {
        return Error::Refused { why };
    }
    if PASSING.iter().any(|text| status.message().contains(text)) {
        return Error::Unavailable { why };
    }
    match status.code() {
        Code::Unauthenticated
        | Code::PermissionDenied
        | Code::InvalidArgument // a wrong password, or none where one is needed
        | Code::FailedPrecondition // credentials for an etcd without authentication
        | Code::Unimplemented => Error::Refused { why },
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Error::Unavailable { why },
    }
}

/// The deepest cause says what happened ("connection refused"); those above it only that something did.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// Whether a certificate, ours or theirs, is what went wrong.
fn refuses_tls(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        // rustls wraps its errors so, and of an alert that arrives after the handshake hyper leaves only this kind.
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::InvalidData) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Adds what most likely lies behind a connection that etcd closed on a client without a certificate: its alert, which would
/// say so, can be overtaken by the end of the connection.
pub(super) fn with_certificate_hint(error: Error) -> Error {
    match error {
        Error::Unavailable { why } if why.ends_with("connection closed") => {
            Error::Unavailable { why: why + " (if it asks for a client certificate: none is configured)" }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: Code, text: &str) -> &'static str {
        match classify("a", &EtcdError::GRpcStatus(Status::new(code, format!("etcdserver: {text}")))) {
            Error::Refused { .. } => "refused",
            Error::Unavailable { .. } => "passing",
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_password_needs_somebody_and_an_old_token_does_not() {
        let wrong = "authentication failed, invalid user ID or password";
        assert_eq!(kind(Code::InvalidArgument, wrong), "refused");
        assert_eq!(kind(Code::PermissionDenied, "permission denied"), "refused");
        assert_eq!(kind(Code::InvalidArgument, "revision of auth store is old"), "passing");
        assert_eq!(kind(Code::Unauthenticated, "invalid auth token"), "passing");
        assert_eq!(kind(Code::Unavailable, "request timed out, possibly due to previous leader failure"), "passing");
    }

    #[test]
    fn an_answer_of_etcd_says_that_it_was_asked() {
        let lost = EtcdError::GRpcStatus(Status::unavailable("etcdserver: leader changed"));
        assert!(!was_never_sent(&lost));
        let cause = tonic::ConnectError(Box::new(io::Error::from(io::ErrorKind::ConnectionRefused)));
        assert!(was_never_sent(&EtcdError::GRpcStatus(Status::from_error(Box::new(cause)))));
    }
}
