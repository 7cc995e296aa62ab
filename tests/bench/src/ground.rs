//! How the servers are told to run: what they serve, where their own files go, which ports they take.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{
    origin::Origin,
    server::{Doors, Layout, Server},
    site::{GIB, Site},
};

/// Bytes that a cache may keep: more than any turn fetches, so that nothing is evicted while something is measured.
const CACHE_SIZE: u64 = 10 * GIB;

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

    /// `ferry node` that keeps what it fetches from an origin in `cache`.
    pub(crate) fn ferry_cache(&self, origin: &Origin, cache: &Path) -> Result<Server> {
        let (http, admin) = (free_address()?, free_address()?);
        let folder = self.folder("ferry")?;
        let mut command = self.role("node");
        command.args(["--listen", &http.to_string(), "--admin-listen", &admin.to_string()]);
        command.args(["--workers", &Layout::USUAL.workers.to_string()]);
        command.args(["--origin", &format!("http://{}", origin.address())]);
        command.arg("--cache").arg(cache).args(["--cache-size", &CACHE_SIZE.to_string()]);
        command.arg("--storage-path").arg(folder.join("storage"));
        Server::start("ferry", command, Doors::only(http), &folder, Layout::USUAL)
    }

    /// nginx that does the same.
    pub(crate) fn nginx_cache(&self, origin: &Origin, cache: &Path) -> Result<Server> {
        let http = free_address()?;
        let fill = [
            ("@WORKERS@", Layout::USUAL.workers.to_string()),
            ("@CACHE@", cache.display().to_string()),
            ("@SIZE@", CACHE_SIZE.to_string()),
            ("@ORIGIN@", origin.address().to_string()),
            ("@HTTP@", http.to_string()),
        ];
        self.start_nginx("nginx-cache.conf.in", &fill, &self.folder("nginx")?, Doors::only(http), Layout::USUAL)
    }

    /// The origin behind both.
    pub(crate) fn origin(&self) -> Result<Origin> {
        let http = free_address()?;
        let folder = self.folder("origin")?;
        let log = folder.join("sent");
        let fill = [
            ("@ROOT@", self.site.root().display().to_string()),
            ("@LOG@", log.display().to_string()),
            ("@HTTP@", http.to_string()),
        ];
        Ok(Origin::new(self.start_nginx("origin.conf.in", &fill, &folder, Doors::only(http), Layout::USUAL)?, log))
    }

    /// nginx with the configuration beside this crate.
    pub(crate) fn nginx(&self, layout: Layout) -> Result<Server> {
        let (http, https, h2) = (free_address()?, free_address()?, free_address()?);
        let folder = self.folder("nginx")?;
        let fill = [
            ("@WORKERS@", layout.workers.to_string()),
            ("@ROOT@", self.site.root().display().to_string()),
            ("@CERT@", self.site.certificate().display().to_string()),
            ("@KEY@", self.site.key().display().to_string()),
            ("@HTTP@", http.to_string()),
            ("@HTTPS@", https.to_string()),
            ("@H2@", h2.to_string()),
        ];
        self.start_nginx("nginx.conf.in", &fill, &folder, Doors { http, https, h2 }, layout)
    }

    /// Starts nginx with a configuration of this crate, in which something is filled in.
    fn start_nginx(
        &self,
        template: &str,
        fill: &[(&str, String)],
        folder: &Path,
        doors: Doors,
        layout: Layout,
    ) -> Result<Server> {
        let template = fs::read_to_string(self.workspace.join("tests/bench").join(template))?;
        let filled = fill.iter().fold(template, |text, (name, value)| text.replace(name, value));
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, filled)?;
        let mut command = Command::new("setpriv");
        // TERM, since a master that is killed leaves its workers.
        command.args(["--pdeathsig", "TERM", "nginx", "-p"]).arg(folder).arg("-c").arg(&configuration);
        Server::start("nginx", command, doors, folder, layout)
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
