//! What comes of a body, gathered into pieces that are worth a write.
//!
//! A connection gives bytes as it reads them, a few KiB at first and never many. Each write has its price, and so has each reader that is told of
//! it and sends that much; so what is on its way already is taken together. Nothing waits for what is not.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tokio::task;

use super::Rest;
use crate::origin::{Body, BodyError};

/// How much is written at a time, where so much comes; writes end at its multiples. What was received must not have left the processor's cache by
/// then.
pub(super) const STEP: u64 = 256 * 1024;

/// A body, and what came of it.
pub(super) struct Inflow {
    body: Body,
    /// None of them is empty.
    pieces: VecDeque<Bytes>,
    length: usize,
    /// What it came to after these.
    failed: Option<BodyError>,
}

impl Inflow {
    pub(super) fn of(body: Body) -> Self {
        Self { body, pieces: VecDeque::new(), length: 0, failed: None }
    }

    /// How much is here.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// Waits until something is here; `None` at the end. Cancelling loses nothing.
    pub(super) async fn next(&mut self) -> Option<Result<(), BodyError>> {
        while self.length == 0 {
            if let Some(error) = self.failed.take() {
                return Some(Err(error));
            }
            match self.body.next().await? {
                Ok(bytes) => self.push(bytes),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(()))
    }

    /// Takes what is on its way already, until so much is here. Others have their turn once: one of them is the connection.
    pub(super) async fn gather(&mut self, enough: usize) {
        while self.length < enough && self.failed.is_none() {
            let next = tokio::select! {
                biased; // what is here before the turn of others
                next = self.body.next() => next,
                () = task::yield_now() => return,
            };
            match next {
                Some(Ok(bytes)) => self.push(bytes),
                Some(Err(error)) => self.failed = Some(error),
                None => return,
            }
        }
    }

    /// The first so many bytes of what is here, or all of it.
    pub(super) fn front(&self, mut most: usize) -> Vec<Bytes> {
        let mut front = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            if most == 0 {
                break;
            }
            front.push(piece.slice(..piece.len().min(most)));
            most = most.saturating_sub(piece.len());
        }
        front
    }

    /// Lets go of so many bytes from the front.
    pub(super) fn advance(&mut self, mut count: usize) {
        self.length = self.length.saturating_sub(count);
        while let Some(piece) = self.pieces.front_mut().filter(|_| count > 0) {
            let taken = count.min(piece.len());
            let _ = piece.split_to(taken);
            count -= taken;
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
    }

    /// What is here from `at` on, and what is to come; why nothing more does, if that is known already: without it, what is here would look like all.
    pub(super) fn into_rest(self, at: u64) -> Result<Rest, BodyError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut bytes = BytesMut::with_capacity(self.length);
        self.pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
        Ok(Rest { at, bytes: bytes.freeze(), body: self.body })
    }

    fn push(&mut self, bytes: Bytes) {
        self.length += bytes.len();
        if !bytes.is_empty() {
            self.pieces.push_back(bytes);
        }
    }
}
