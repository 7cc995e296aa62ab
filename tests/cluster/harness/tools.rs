//! Commands that run to their end: `ferry nodes list`, and the download programs that people use.

use std::{ffi::OsStr, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use super::client::get;

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The same, if it exited with 0.
    ///
    /// # Panics
    /// If it did not: with all that it said.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "it failed\n{}\n{}", self.stdout, self.stderr);
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// Runs a command with an empty environment, but for PATH and what `environment` adds.
pub(crate) async fn run(
    command: impl AsRef<OsStr>,
    arguments: &[&str],
    environment: &[(&str, &str)],
    limit: Duration,
) -> Outcome {
    let name = command.as_ref().display().to_string();
    let output = Command::new(&command)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(limit, output)
        .await
        .unwrap_or_else(|_| panic!("{name} {arguments:?} did not end within {limit:?}"))
        .unwrap_or_else(|error| panic!("{name} does not start ({error}); ./tests/run installs what the tests need"));
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs `ferry` with these arguments.
pub(crate) async fn ferry(arguments: &[&str]) -> Outcome {
    ferry_with(arguments, &[]).await
}

/// The same, with environment variables.
pub(crate) async fn ferry_with(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    run(env!("CARGO_BIN_EXE_ferry"), arguments, environment, Duration::from_secs(15)).await
}

/// One figure of a `/metrics` page; `None` if nobody answers or no line has that name and no labels.
pub(crate) async fn figure(url: &str, name: &str) -> Option<u64> {
    let page = get(&format!("{url}/metrics")).try_send().await.ok()?.text().await;
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    // etcd prints large numbers as 1e+06.
    let value: f64 = value.trim().parse().unwrap_or_else(|error| panic!("{name} is {value:?}: {error}"));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters and small gauges")]
    Some(value as u64)
}
