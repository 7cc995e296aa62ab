//! Rules of the house that no compiler enforces: which crate may use which, how large a file may be, under which
//! licences the dependencies come, and that the example configurations are ones that the product accepts.

mod arrows;
mod examples;
mod licences;
mod sources;

use std::env;

use cargo_metadata::{Metadata, MetadataCommand};

/// What cargo knows of the workspace and of all that it is built from here: dependencies of other platforms need not even
/// be downloaded. `--locked`: a test must not change what it judges.
fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .other_options(vec![
            "--locked".to_owned(),
            format!("--filter-platform={}-unknown-linux-gnu", env::consts::ARCH),
        ])
        .exec()
        .expect("cargo metadata tells about this workspace")
}
