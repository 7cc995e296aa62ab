//! Ports that no other test takes.
//!
//! Port 0 would do for a server's first start; a server that is killed and comes back needs the port it had. So each
//! test owns a block of ports, below the range from which the kernel serves port 0 and outgoing connections. A locked
//! file stands for each block: the lock ends with the test, however it ends.

use std::{
    cell::Cell,
    fs::{self, File},
    net::TcpListener,
    path::Path,
};

const FIRST: u16 = 10_240;
const BLOCK: u16 = 40;
const BLOCKS: u16 = 550; // up to 32,240: Linux serves port 0 from 32,768 on

pub(crate) struct Ports {
    next: Cell<u16>,
    end: u16,
    _lock: File,
}

impl Ports {
    pub(crate) fn reserve() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ports");
        fs::create_dir_all(&folder).expect("target/tmp can be written");
        // Tests that begin together should not all queue at the first block.
        let start = u16::try_from(std::process::id() % u32::from(BLOCKS)).expect("a remainder of a u16");
        for number in (start..BLOCKS).chain(0..start) {
            let path = folder.join(number.to_string());
            let lock = File::options().create(true).append(true).open(path).expect("target/tmp can be written");
            if lock.try_lock().is_ok() {
                let first = FIRST + number * BLOCK;
                return Self { next: Cell::new(first), end: first + BLOCK, _lock: lock };
            }
        }
        panic!("all {BLOCKS} blocks of ports are in use");
    }

    /// A port of 127.0.0.1 on which nothing listens.
    pub(crate) fn next(&self) -> u16 {
        loop {
            let port = self.next.get();
            assert!(port < self.end, "one test wants more than {BLOCK} ports");
            self.next.set(port + 1);
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    }
}
