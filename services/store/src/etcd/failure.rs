//! What etcd's errors mean for who asked.

use std::{error::Error as StdError, io};

use etcd_client::Error as EtcdError;
use tonic::{Code, Status};

use crate::error::Error;

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

fn of_status(endpoint: &str, status: &Status) -> Error {
    let text = match status.source() {
        Some(source) => innermost(source),
        None => status.message().trim_start_matches("etcdserver: ").to_owned(),
    };
    let why = format!("etcd at {endpoint}: {text}");
    if status.source().is_some_and(refuses_tls) {
        return Error::Refused { why };
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
