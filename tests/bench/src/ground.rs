//! How the servers are told to run: what they serve, where their own files go, which ports they take.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{
    server::{Doors, Layout, Server},
    site::Site,
};

/// Where a server's own files go, and what both serve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) site: &'a Site,
    /// The workspace.
    pub(crate) workspace: &'a Path,
    /// ferry.
    pub(crate) program: &'a Path,
    /// A folder that goes with the bench.
    pub(crate) scratch: &'a Path,
}

impl Ground<'_> {
    /// `ferry node` without coordinators, all else by default.
    pub(crate) fn ferry(&self, layout: Layout) -> Result<Server> {
        let (http, https, admin) = (free_address()?, free_address()?, free_address()?);
        let folder = self.folder("ferry")?;
        let mut command = self.role("node");
        command.args(["--listen", &http.to_string(), "--admin-listen", &admin.to_string()]);
        command.args(["--workers", &layout.workers.to_string(), "--tls-listen", &https.to_string()]);
        command.arg("--tls-cert").arg(self.site.certificate()).arg("--tls-key").arg(self.site.key());
        command.arg("--root").arg(self.site.root()).arg("--storage-path").arg(folder.join("storage"));
        Server::start("ferry", command, Doors { http, https, h2: https }, &folder, layout)
    }

    /// nginx with the configuration beside this crate.
    pub(crate) fn nginx(&self, layout: Layout) -> Result<Server> {
        let (http, https, h2) = (free_address()?, free_address()?, free_address()?);
        let folder = self.folder("nginx")?;
        let template = fs::read_to_string(self.workspace.join("tests/bench/nginx.conf.in"))?;
        let filled = template
            .replace("@WORKERS@", &layout.workers.to_string())
            .replace("@ROOT@", &self.site.root().display().to_string())
            .replace("@CERT@", &self.site.certificate().display().to_string())
            .replace("@KEY@", &self.site.key().display().to_string())
            .replace("@HTTP@", &http.to_string())
            .replace("@HTTPS@", &https.to_string())
            .replace("@H2@", &h2.to_string());
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, filled)?;
        let mut command = Command::new("setpriv");
        // TERM, since a master that is killed leaves its workers.
        command.args(["--pdeathsig", "TERM", "nginx", "-p"]).arg(&folder).arg("-c").arg(&configuration);
        Server::start("nginx", command, Doors { http, https, h2 }, &folder, layout)
    }

    /// The command that starts one of ferry's roles.
    pub(crate) fn role(&self, name: &str) -> Command {
        let mut command = Command::new("setpriv");
        // Whatever happens to this program, the server ends with it.
        command.args(["--pdeathsig", "KILL"]).arg(self.program).arg(name);
        command
    }

    /// A new folder for one server.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        Ok(tempfile::Builder::new().prefix(name).disable_cleanup(true).tempdir_in(self.scratch)?.path().to_owned())
    }
}

/// A port of loopback on which nothing listens.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
