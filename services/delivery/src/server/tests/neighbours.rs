//! Clients of one thread: none keeps it from the others, and none costs more memory than it must.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread::{self, JoinHandle},
};

use super::{site::resident_bytes, *};

/// What a client may take before others have their turn: a step of a large file, and one more where an answer ends between two.
const TURN: u64 = 2 * (2 << 20);

/// Asks for something as often as told, all at once, and takes what comes as fast as a thread can; returns how much that was.
fn devour(address: SocketAddr, target: &str, times: usize) -> JoinHandle<u64> {
    let last = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let requests = last.replace("Connection: close\r\n", "").repeat(times - 1) + &last;
    thread::spawn(move || {
        let mut socket = TcpStream::connect(address).expect("the server listens");
        socket.write_all(requests.as_bytes()).expect("the server reads");
        let (mut space, mut total) = (vec![0; 1 << 20], 0);
        loop {
            match socket.read(&mut space).expect("bytes or an end") {
                0 => return total,
                count => total += count as u64,
            }
        }
    })
}

/// The most that is sent to others between two turns of a task that wants every one.
async fn most_between_turns(site: &Site, clients: &[JoinHandle<u64>]) -> u64 {
    let (mut before, mut most) = (site.transfers.totals().sent_bytes, 0);
    while !clients.iter().all(JoinHandle::is_finished) {
        let now = site.transfers.totals().sent_bytes;
        most = most.max(now - before);
        before = now;
        tokio::task::yield_now().await;
    }
    most
}

#[tokio::test]
async fn fast_readers_of_large_files_leave_others_their_turns() {
    let site = Site::start();
    site.file("big", &pattern(32 << 20));
    let clients: Vec<_> = (0..3).map(|_| devour(site.address, "/big", 4)).collect();
    let most = most_between_turns(&site, &clients).await;
    assert!(most <= 3 * TURN, "{most} bytes went out in one turn of three clients");
    for client in clients {
        assert!(client.join().expect("no panic") > 4 * (32 << 20));
    }
}

#[tokio::test]
async fn many_requests_at_once_leave_others_their_turns() {
    let site = Site::start();
    for (name, length, times) in [("/step", 1 << 20, 200), ("/middling", 100_000, 1500), ("/small", 20_000, 3000)] {
        site.file(&name[1..], &pattern(length));
        let clients = [devour(site.address, name, times)];
        let most = most_between_turns(&site, &clients).await;
        assert!(most <= TURN + (1 << 20), "{most} bytes of {name} went out in one turn");
        for client in clients {
            assert!(client.join().expect("no panic") > (length * times) as u64);
        }
    }
}

#[tokio::test]
async fn slow_readers_cost_a_piece_of_a_file_at_most() {
    const READERS: usize = 60;
    // Both ends are in this process; over TLS each has a session, and records on their way.
    for (setup, most) in
        [(Setup::default(), 64 << 10), (Setup::buffered(32 << 10), 128 << 10), (Setup::tls(), 384 << 10)]
    {
        let site = setup.start();
        site.file("big", &vec![7; 24 << 20]);
        // The first costs what all share.
        let mut readers = vec![site.connect_narrow().await];
        let mut before = 0;
        while readers.len() <= READERS {
            let wire = readers.last_mut().expect("there is one");
            wire.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
            wire.head().await;
            if readers.len() == 1 {
                before = resident_bytes();
            }
            readers.push(site.connect_narrow().await);
        }
        // All of the server's tasks have gone as far as they can.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let each = resident_bytes().saturating_sub(before) / READERS;
        assert!(each < most, "{each} bytes for each reader");
        assert_eq!(site.transfers.under_way(), READERS);
    }
}

#[test]
fn an_idle_connection_is_little_more_than_its_socket() {
    let size = size_of::<super::super::reactor::Kept>();
    assert!(size <= 192, "{size} bytes for a connection");
}
