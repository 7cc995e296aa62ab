//! What the bytes of a file hash to as they come, where a digest was announced (RFC 9530 section 3).

use std::io::{self, Read};

use ring::digest::{Context, SHA256};

/// How much is read of a file at a time.
const STEP: usize = 1 << 20;

/// The digest that a file should have, and that of what came so far.
pub(super) struct Check {
    announced: [u8; 32],
    context: Context,
}

impl Check {
    pub(super) fn new(announced: [u8; 32]) -> Self {
        Self { announced, context: Context::new(&SHA256) }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// Takes in what an earlier run has written; returns how many bytes that is.
    pub(super) fn catch_up(&mut self, mut from: impl Read) -> io::Result<u64> {
        let mut buffer = vec![0; STEP];
        let mut length = 0;
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => return Ok(length),
                Ok(count) => count,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return Err(cause),
            };
            self.update(&buffer[..count]);
            length += count as u64;
        }
    }

    pub(super) fn holds(self) -> bool {
        self.context.finish().as_ref() == self.announced
    }
}
