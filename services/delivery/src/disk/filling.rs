//! A file that is still being filled: who knows what of it is there, and gets the rest.

use std::{fmt, io, time::SystemTime};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderValue;

use crate::semantics::validators::Validators;

/// What answers say of a file, where neither its name nor its times tell.
#[derive(Debug, Clone)]
pub struct About {
    /// Its length in bytes, when all of it will be there.
    pub length: u64,
    /// When it was last modified.
    pub modified: SystemTime,
    /// Its validators.
    pub validators: Validators,
    /// Its media type.
    pub content_type: HeaderValue,
}

/// What knows which bytes of a file are there already, and gets the others.
///
/// What is there stays there and stays the same, unless it turns out to be damaged: then it is not there any more.
pub trait Filling: fmt::Debug + Send + Sync {
    /// How many bytes from `offset` on, at most `length`, are there without a gap. Asked before each part that is sent: it must not wait.
    fn present(&self, offset: u64, length: u64) -> u64;

    /// Waits until something is there at `offset`; returns how much, at most `length`; 0 if it will never come to lie in the file: then its
    /// bytes are to be had from [`Self::pass`]. Cancelling is free.
    fn supply(&self, offset: u64, length: u64) -> BoxFuture<'_, io::Result<u64>>;

    /// Bytes from `offset` on, at least one and at most `most`, which do not come to lie in the file; none at its end, where that was not known.
    /// They are asked for in their order.
    fn pass(&self, offset: u64, most: usize) -> BoxFuture<'_, io::Result<Bytes>>;

    /// Whether all of the file is there, and who asked for it now would be given this very file: it was neither replaced nor purged, and what
    /// answers say of it still holds. Asked for each request: it must not wait. False is never wrong.
    fn is_current(&self) -> bool;

    /// It answered another request, of which only whoever held the file knows.
    fn given_again(&self);
}
