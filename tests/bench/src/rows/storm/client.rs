//! One client of the storm: it fetches one file after the other and compares every byte as it comes.

use std::{
    io::Read as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use anyhow::{Context as _, Result};

/// So many times on end in vain, and a download has failed.
const MOST_RETRIES: usize = 20;

/// The programs that fetch.
#[derive(Debug, Clone, Copy)]
pub(super) enum Client {
    /// It sees to everything itself.
    Ferry,
    /// One that follows redirects, and asks the gateway again for what is missing.
    Curl,
}

/// What came of a client's downloads.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) whole: usize,
    pub(super) failed: usize,
    pub(super) corrupt: usize,
    pub(super) retries: usize,
    /// Retries that no new kill explains.
    pub(super) beyond: usize,
}

/// What all clients share.
#[derive(Debug)]
pub(super) struct Sky {
    gateway: SocketAddr,
    program: PathBuf,
    files: Vec<Vec<u8>>,
    /// How many nodes were killed so far.
    pub(super) kills: AtomicUsize,
    /// No more downloads are to be begun.
    pub(super) over: AtomicBool,
}

/// How one run of a program ended.
enum Ended {
    Whole,
    /// With so many bytes there.
    Early(usize),
    Corrupt,
}

impl Count {
    pub(super) fn add(&mut self, other: &Self) {
        self.whole += other.whole;
        self.failed += other.failed;
        self.corrupt += other.corrupt;
        self.retries += other.retries;
        self.beyond += other.beyond;
    }
}

impl Sky {
    pub(super) fn new(gateway: SocketAddr, program: &Path, files: Vec<Vec<u8>>) -> Self {
        let (kills, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { gateway, program: program.to_owned(), files, kills, over }
    }

    /// Fetches until the storm is over.
    pub(super) fn weather(&self, client: Client, number: usize) -> Result<Count> {
        let mut count = Count::default();
        let mut blamed = 0;
        for turn in 0.. {
            if self.over.load(Relaxed) {
                break;
            }
            self.download(client, number, (number + turn) % self.files.len(), &mut count, &mut blamed)?;
        }
        Ok(count)
    }

    fn download(
        &self,
        client: Client,
        number: usize,
        file: usize,
        count: &mut Count,
        blamed: &mut usize,
    ) -> Result<()> {
        let mut have = 0;
        for _ in 0..=MOST_RETRIES {
            match self.run(client, number, file, have)? {
                Ended::Whole => {
                    count.whole += 1;
                    return Ok(());
                }
                Ended::Corrupt => {
                    count.corrupt += 1;
                    return Ok(());
                }
                Ended::Early(_) if matches!(client, Client::Ferry) => break,
                Ended::Early(more) => {
                    have = more;
                    count.retries += 1;
                    let kills = self.kills.load(Relaxed);
                    count.beyond += usize::from(kills == *blamed);
                    *blamed = kills;
                }
            }
        }
        count.failed += 1;
        Ok(())
    }

    /// Runs the program once, for what lies beyond `have`.
    fn run(&self, client: Client, number: usize, file: usize, have: usize) -> Result<Ended> {
        let url = format!("http://{}/{file}", self.gateway);
        let mut command = match client {
            Client::Ferry => Command::new(&self.program),
            Client::Curl => Command::new("curl"),
        };
        match client {
            Client::Ferry => command.args(["get", "--quiet", "--output", "-", &url]),
            Client::Curl => {
                // A client of its own, whatever its address.
                command.args(["-sfL", "--max-time", "120", "-A", &format!("storm/{number}"), &url]);
                if have > 0 { command.args(["-r", &format!("{have}-")]) } else { &mut command }
            }
        };
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut from = child.stdout.take().context("its output is a pipe")?;
        let (whole, mut at) = (&self.files[file], have);
        let mut buffer = vec![0; 256 << 10];
        let mut right = true;
        loop {
            let length = from.read(&mut buffer)?;
            if length == 0 {
                break;
            }
            right &= whole.get(at..at + length) == Some(&buffer[..length]);
            at += length;
        }
        let success = child.wait()?.success();
        Ok(match (right, success) {
            (false, _) => Ended::Corrupt,
            (true, true) if at == whole.len() => Ended::Whole,
            // A program that says that all is well, and it is not, has given a file that is not right.
            (true, true) => Ended::Corrupt,
            (true, false) => Ended::Early(at),
        })
    }
}
