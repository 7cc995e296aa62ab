//! A connection to where a node says that it is.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::Arc,
};

use ferry_core::address::Authority;
use tokio::{net::TcpStream, sync::Semaphore, task::spawn_blocking};

/// Names that are looked up at one time. The system's resolver cannot be interrupted: a look-up that nobody waits for any more goes on, for half a minute
/// where a name server is silent, and holds a thread of those that also wait for disks.
const LOOK_UPS: usize = 32;

/// Addresses of one name that are tried.
const MOST_TRIED: usize = 4;

/// Dials; clones share the bound on look-ups.
#[derive(Debug, Clone)]
pub(super) struct Dialler {
    look_ups: Arc<Semaphore>,
}

impl Default for Dialler {
    fn default() -> Self {
        Self { look_ups: Arc::new(Semaphore::new(LOOK_UPS)) }
    }
}

impl Dialler {
    /// Connects. The caller sets the limit; cancelling it leaves nothing behind but a look-up, which is counted until it ends.
    pub(super) async fn dial(&self, address: &Authority) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "no address that may be dialled");
        let found = match address.as_str().parse() {
            Ok(number) => vec![number],
            Err(_) => self.look_up(address).await?,
        };
        for place in found.into_iter().filter(|place| address.may_lead_to(place.ip())).take(MOST_TRIED) {
            match TcpStream::connect(place).await {
                Ok(stream) => return Ok(stream),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    async fn look_up(&self, address: &Authority) -> io::Result<Vec<SocketAddr>> {
        let turn = Arc::clone(&self.look_ups).acquire_owned().await.map_err(io::Error::other)?;
        let name = address.clone();
        let found = spawn_blocking(move || {
            // Held for as long as the thread is, and not for as long as somebody waits.
            let _turn = turn;
            name.as_str().to_socket_addrs().map(Iterator::collect)
        });
        found.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{net::TcpListener, time::timeout};

    use super::*;

    fn authority(host: &str, port: u16) -> Authority {
        format!("{host}:{port}").parse().expect("an address")
    }

    #[tokio::test]
    async fn a_name_that_leads_here_without_saying_so_is_not_dialled() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let dialler = Dialler::default();
        dialler.dial(&authority("127.0.0.1", port)).await.expect("it says so");
        dialler.dial(&authority("localhost", port)).await.expect("it says so");
        // What the resolver makes 127.0.0.1 of, and the wildcard, by which Linux reaches this machine.
        for sly in ["2130706433", "127.1", "0.0.0.0", "0"] {
            let refused = dialler.dial(&authority(sly, port)).await.expect_err("it leads here");
            assert_eq!(refused.kind(), io::ErrorKind::AddrNotAvailable, "{sly}: {refused}");
        }
    }

    #[tokio::test]
    async fn no_more_names_are_looked_up_than_may_hang() {
        let dialler = Dialler::default();
        let hanging = Arc::clone(&dialler.look_ups).acquire_many_owned(LOOK_UPS as u32).await.expect("open");
        let waits = async |span| timeout(span, dialler.dial(&authority("nobody.invalid", 1))).await;
        waits(Duration::from_millis(50)).await.expect_err("every turn is taken");
        drop(hanging);
        waits(Duration::from_secs(60)).await.expect("a turn").expect_err("nobody is called that");
    }
}
