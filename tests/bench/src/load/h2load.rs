//! HTTP/2 by somebody else's client: nghttp2's h2load, as a process of its own.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context, Result, ensure};

/// Streams on each of the connections.
const CONNECTIONS: usize = 4;
const STREAMS: usize = 4;

/// Gets a file `requests` times over HTTP/2 and TLS 1.3 with AES-128-GCM. That anything else comes back is an error.
pub(crate) fn h2load(address: SocketAddr, target: &str, length: u64, requests: u64) -> Result<()> {
    let mut command = Command::new("h2load");
    command.args(["--requests", &requests.to_string(), "--clients", &CONNECTIONS.to_string()]);
    command.args(["--max-concurrent-streams", &STREAMS.to_string(), "--threads", "1"]);
    // rustls takes the client's first choice: both servers shall encrypt with the same.
    command.args(["--tls13-ciphers", "TLS_AES_128_GCM_SHA256"]);
    let output = command.arg(format!("https://{address}{target}")).output().context("starting h2load")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "h2load failed: {}{said}", String::from_utf8_lossy(&output.stderr));
    check(&said, length, requests).with_context(|| format!("h2load said:\n{said}"))
}

fn check(said: &str, length: u64, requests: u64) -> Result<()> {
    ensure!(said.contains("Application protocol: h2\n"), "the protocol is not h2");
    ensure!(said.contains("Cipher: TLS_AES_128_GCM_SHA256\n"), "the cipher is another");
    ensure!(said.contains(&format!("status codes: {requests} 2xx,")), "not all {requests} requests succeeded");
    let traffic = said.lines().find(|line| line.starts_with("traffic:")).context("no traffic was counted")?;
    let bytes = length * requests;
    ensure!(traffic.ends_with(&format!("({bytes}) data")), "not {bytes} bytes came");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    const SAID: &str = "starting benchmark...\nTLS Protocol: TLSv1.3\nCipher: TLS_AES_128_GCM_SHA256\n\
        Server Temp Key: X25519 253 bits\nApplication protocol: h2\n\nfinished in 10ms\n\
        requests: 4 total, 4 started, 4 done, 4 succeeded, 0 failed, 0 errored, 0 timeout\n\
        status codes: 4 2xx, 0 3xx, 0 4xx, 0 5xx\n\
        traffic: 4.00MB (4194816) total, 316B (316) headers (space savings 46.26%), 4.00MB (4194304) data\n";

    #[test]
    fn what_h2load_counts_is_compared_with_what_was_asked_for() {
        assert!(check(SAID, 1 << 20, 4).is_ok());
        assert!(check(SAID, 1 << 20, 5).is_err(), "a request is missing");
        assert!(check(SAID, 1 << 21, 4).is_err(), "bytes are missing");
        assert!(check(&SAID.replace("AES_128", "AES_256"), 1 << 20, 4).is_err(), "another cipher");
        assert!(check(&SAID.replace("protocol: h2", "protocol: http/1.1"), 1 << 20, 4).is_err(), "another protocol");
    }
}
