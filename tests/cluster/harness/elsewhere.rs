//! Processes on machines that differ from this one: with a wrong clock, or a name service that knows a name of the test's.

use std::path::PathBuf;

use super::{program::Program, tools::run, workshop::Workshop};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/elsewhere.c");

/// A library that a process loads before libc: `tests/peers/elsewhere.c`.
pub(crate) struct Elsewhere {
    library: PathBuf,
}

impl Elsewhere {
    /// Compiles it, with what links Rust programs too.
    pub(crate) async fn build(workshop: &Workshop) -> Self {
        let library = workshop.path().join("elsewhere.so");
        let output = library.to_str().expect("a plain path");
        let limit = std::time::Duration::from_secs(60);
        run("cc", &["-shared", "-fPIC", "-O1", "-o", output, SOURCE, "-ldl"], &[], limit).await.ok();
        Self { library }
    }

    /// That program's machine is so many seconds ahead of the others.
    pub(crate) fn clock_ahead(&self, program: &mut Program, seconds: i64) {
        program.env("LD_PRELOAD", &self.library).env("TEST_CLOCK_AHEAD", seconds.to_string());
    }

    /// That program's name service knows a name by these addresses, and tells them in this order.
    pub(crate) fn name(&self, program: &mut Program, name: &str, addresses: &[&str]) {
        program.env("LD_PRELOAD", &self.library).env("TEST_NAME", name).env("TEST_ADDRESSES", addresses.join(" "));
    }
}
