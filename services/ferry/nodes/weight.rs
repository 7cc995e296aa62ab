//! `ferry nodes set ID --weight W`: the operator's word on a node's share of the work.

use clap::{Arg, ArgMatches};
use ferry_core::node::Weight;
use ferry_proto::v1;
use ferry_runtime::config::FromSetting as _;

use crate::process::Usage;

/// Takes a decision back.
const DEFAULT: &str = "default";

pub(crate) fn arg() -> Arg {
    Arg::new("weight")
        .long("weight")
        .value_name("W")
        .required(true)
        // What looks like a flag is no weight either, and is to be told so.
        .allow_hyphen_values(true)
        .help("Its share of the work, 1 to 10000, whatever it registers; `default`: what it registers")
}

/// What to ask of a coordinator.
pub(crate) fn request(node_id: String, matches: &ArgMatches) -> Result<v1::SetNodeRequest, Usage> {
    let text = matches.get_one::<String>("weight").map(String::as_str).unwrap_or_default();
    if text == DEFAULT {
        return Ok(v1::SetNodeRequest { node_id, weight: None, default_weight: true });
    }
    match Weight::parse(text) {
        Ok(weight) => Ok(v1::SetNodeRequest { node_id, weight: Some(weight.get()), default_weight: false }),
        Err(expected) => Err(Usage(format!("--weight {text:?}: {expected}, or `{DEFAULT}`"))),
    }
}
