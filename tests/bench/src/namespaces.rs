//! Network namespaces: machines of one process each, whose cable can be cut.

use std::{net::Ipv4Addr, process::Command};

use anyhow::{Context, Result, ensure};

/// A namespace with one link to ours, over addresses that nobody else has. It goes with this.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    /// Our end of the link.
    pub(crate) here: Ipv4Addr,
    /// Its end.
    pub(crate) there: Ipv4Addr,
}

impl Namespace {
    /// Wants root. `number` is below 1000, and another one for each namespace of a process.
    pub(crate) fn new(number: u8) -> Result<Self> {
        let (process, low) = (std::process::id(), (number % 64) * 4);
        let name = format!("ferry-bench-{process}-{number}");
        let (here, there) =
            (Ipv4Addr::new(10, 213, number / 64, low + 1), Ipv4Addr::new(10, 213, number / 64, low + 2));
        // The name of a link has room for fifteen letters.
        let outer = format!("fb{}-{number}", process % 100_000);
        ip(&["netns", "add", &name])?;
        let this = Self { name, here, there };
        ip(&["link", "add", &outer, "type", "veth", "peer", "name", "cable", "netns", &this.name])?;
        ip(&["address", "add", &format!("{here}/30"), "dev", &outer])?;
        ip(&["link", "set", &outer, "up"])?;
        ip(&["-n", &this.name, "address", "add", &format!("{there}/30"), "dev", "cable"])?;
        ip(&["-n", &this.name, "link", "set", "cable", "up"])?;
        ip(&["-n", &this.name, "link", "set", "lo", "up"])?;
        Ok(this)
    }

    /// A command that runs in it.
    pub(crate) fn command(&self, inner: &Command) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(inner.get_program()).args(inner.get_args());
        command
    }

    /// Nothing gets through from now on, and nobody is told.
    pub(crate) fn cut(&self) -> Result<()> {
        ip(&["-n", &self.name, "link", "set", "cable", "down"])
    }

    /// Everything gets through again.
    pub(crate) fn mend(&self) -> Result<()> {
        ip(&["-n", &self.name, "link", "set", "cable", "up"])
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its link goes with it.
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("running ip, of the package iproute2")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), said.trim());
    Ok(())
}
