//! `GET /health`: the page of every role, with the word for a node that is asked to stop.

use ferry_runtime::health::Health as Page;

use crate::drain::Drain;

/// What is known of the node's health.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) page: Page,
    pub(crate) drain: Drain,
}

impl Health {
    fn status(&self) -> &'static str {
        if self.drain.is_draining() { "draining" } else { "healthy" }
    }

    /// The page.
    pub(crate) fn page(&self) -> serde_json::Value {
        self.page.value(self.status())
    }
}
