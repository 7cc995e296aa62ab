//! The ends of a queue whose members know their neighbours, so that any of them leaves in constant time.

/// A member's neighbours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Links {
    pub(super) older: Option<u32>,
    pub(super) newer: Option<u32>,
}

/// A queue's ends, and what its members have in all.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) bytes: u64,
    ends: Option<(u32, u32)>,
}

impl Queue {
    pub(super) fn oldest(&self) -> Option<u32> {
        self.ends.map(|(oldest, _)| oldest)
    }

    pub(super) fn newest(&self) -> Option<u32> {
        self.ends.map(|(_, newest)| newest)
    }

    /// A member joined, behind the newest one.
    pub(super) fn joined(&mut self, at: u32, bytes: u64) {
        self.bytes += bytes;
        self.ends = Some((self.oldest().unwrap_or(at), at));
    }

    /// A member left, from between these two.
    pub(super) fn left(&mut self, at: u32, older: Option<u32>, newer: Option<u32>, bytes: u64) {
        self.bytes -= bytes;
        self.ends = self.ends.and_then(|(oldest, newest)| {
            let oldest = if oldest == at { newer } else { Some(oldest) };
            let newest = if newest == at { older } else { Some(newest) };
            oldest.zip(newest)
        });
    }
}
