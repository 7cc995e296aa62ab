//! `GET /health`, the same JSON from every role.

use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::Clock;

/// What a process says of itself; the names of the fields are the first frontend's.
#[derive(Debug, Clone)]
pub struct Health {
    /// Who answers.
    pub id: String,
    /// The server behind, if there is one.
    pub main_server: Option<String>,
    /// Where it keeps what must last.
    pub storage_path: Option<String>,
    /// Seconds between two synchronisations, where there are any.
    pub sync_interval: Option<u64>,
    /// For the timestamp, in seconds since 1970.
    pub clock: Clock,
}

impl Health {
    /// The page, as JSON text; `status` is `healthy`, or why not.
    #[must_use]
    pub fn page(&self, status: &str) -> String {
        self.value(status).to_string()
    }

    /// The page as an answer of the admin listener.
    #[must_use]
    pub fn response(&self, status: &str) -> Response {
        axum::Json(self.value(status)).into_response()
    }

    /// The page, for whoever adds to it.
    #[must_use]
    pub fn value(&self, status: &str) -> Value {
        json!({
            "status": status,
            "node_id": self.id,
            "timestamp": self.clock.wall().0 as f64 / 1000.0,
            "main_server": self.main_server,
            "storage_path": self.storage_path,
            "sync_interval": self.sync_interval,
        })
    }
}

#[cfg(test)]
mod tests {
    use ferry_core::time::UnixMillis;

    use super::*;

    #[test]
    fn the_page_has_the_fields_that_the_first_frontend_reads() {
        let health = Health {
            id: "n1".into(),
            main_server: None,
            storage_path: Some("./storage".into()),
            sync_interval: Some(300),
            clock: Clock::fixed(UnixMillis(1_500)),
        };
        let page: Value = serde_json::from_str(&health.page("healthy")).expect("JSON");
        let expected = json!({
            "status": "healthy", "node_id": "n1", "timestamp": 1.5, "main_server": null,
            "storage_path": "./storage", "sync_interval": 300,
        });
        assert_eq!(page, expected);
    }
}
