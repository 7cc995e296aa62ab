//! What one fetch has taken on.

use super::Filler;
use crate::cache::{
    floor,
    store::{Fill, Span},
};

/// What a fetch writes, and what comes right behind that: it is taken on before a reader can come to it and find that nobody brings it.
pub(super) struct Claims {
    now: Option<Fill>,
    next: Option<Fill>,
}

impl Claims {
    pub(super) const fn of(fill: Option<Fill>) -> Self {
        Self { now: fill, next: None }
    }

    /// Leaves it to others to bring what did not come.
    pub(super) fn give_back(&mut self) {
        *self = Self::of(None);
    }

    /// Whether anything is taken on.
    pub(super) const fn is_any(&self) -> bool {
        self.now.is_some()
    }

    /// The last of it, to be finished.
    pub(super) fn last(&mut self) -> Option<Fill> {
        self.next = None;
        self.now.take()
    }
}

impl Filler {
    /// The claim that `at` lies in, or before, as so many bytes come; `None` where somebody else has that byte.
    pub(super) fn claimed<'c>(&self, claims: &'c mut Claims, at: u64, end: u64, coming: usize) -> Option<&'c mut Fill> {
        let spent = |fill: &Fill| fill.rest().is_empty() || fill.rest().start < at;
        if claims.now.as_ref().is_none_or(spent) {
            claims.now = claims.next.take().filter(|fill| fill.rest().start == at);
        }
        if claims.now.is_none() {
            claims.now = self.claim_at(at, end);
        }
        let rest = claims.now.as_ref()?.rest();
        if claims.next.is_none() && rest.end < end && rest.length() <= coming as u64 {
            claims.next = self.claim_at(rest.end, end);
        }
        claims.now.as_mut()
    }

    /// Takes on a window from `at` on; `None` where somebody else has that byte.
    pub(super) fn claim_at(&self, at: u64, end: u64) -> Option<Fill> {
        let last = floor(at, self.block()).saturating_add(self.window()).min(end);
        self.object.claim(Span { start: at, end: last }).filter(|fill| fill.rest().start == at)
    }
}
