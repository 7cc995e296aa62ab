//! Who says what is printed: a coordinator knows all of a node, one that is learning not yet whether it lives, a gateway only what its table has.

use ferry_proto::v1;
use serde_json::{Value, json};

/// Whose answer it is.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The gateway's name, if it is one's table.
    gateway: Option<String>,
    heard_ms_ago: Option<u64>,
    saved_ms_ago: Option<u64>,
    /// A coordinator that does not know yet who is alive.
    learning: bool,
}

impl From<&v1::ListNodesResponse> for Source {
    fn from(answer: &v1::ListNodesResponse) -> Self {
        Self {
            gateway: Some(answer.gateway_id.clone()).filter(|id| !id.is_empty()),
            heard_ms_ago: answer.heard_ms_ago,
            saved_ms_ago: answer.saved_ms_ago,
            learning: answer.learning,
        }
    }
}

impl From<&v1::GetNodeResponse> for Source {
    fn from(answer: &v1::GetNodeResponse) -> Self {
        Self {
            gateway: Some(answer.gateway_id.clone()).filter(|id| !id.is_empty()),
            heard_ms_ago: answer.heard_ms_ago,
            saved_ms_ago: answer.saved_ms_ago,
            learning: answer.learning,
        }
    }
}

impl From<&v1::ExplainResponse> for Source {
    fn from(answer: &v1::ExplainResponse) -> Self {
        Self {
            gateway: Some(answer.gateway_id.clone()).filter(|id| !id.is_empty()),
            heard_ms_ago: answer.heard_ms_ago,
            saved_ms_ago: answer.saved_ms_ago,
            learning: false,
        }
    }
}

impl Source {
    /// Whether it is a gateway's table, which lacks what only coordinators know.
    pub(crate) const fn is_gateway(&self) -> bool {
        self.gateway.is_some()
    }

    /// What people have to know beside the answer.
    pub(crate) fn note(&self) -> Option<String> {
        let Some(gateway) = &self.gateway else {
            let learning =
                "this coordinator is still learning who is alive: a node that is DOWN here may not have been heard yet";
            return self.learning.then(|| learning.to_owned());
        };
        let seconds = |millis: u64| millis.div_ceil(1000);
        Some(match (self.heard_ms_ago, self.saved_ms_ago) {
            (Some(heard), _) => {
                format!("the table of gateway {gateway}; a coordinator was last heard {} s ago", seconds(heard))
            }
            (None, Some(saved)) => format!(
                "the table of gateway {gateway}, from its copy on disk of {} s ago: no coordinator was heard since it started",
                seconds(saved)
            ),
            (None, None) => format!("the table of gateway {gateway}: no coordinator was heard since it started"),
        })
    }

    /// The same for programs: each node of a gateway's carries its table's age, each of a coordinator that is learning says so.
    pub(crate) fn mark(&self, node: &mut Value) {
        if let Some(gateway) = &self.gateway {
            node["table"] =
                json!({"gateway_id": gateway, "heard_ms_ago": self.heard_ms_ago, "saved_ms_ago": self.saved_ms_ago});
        }
        if self.learning {
            node["learning"] = json!(true);
        }
    }
}
