//! Clients that are slow to take, and slow to ask.

use super::*;

const SHORT: Duration = Duration::from_millis(200);

/// By the kernel, through a buffer, and over TLS; a client may take nothing for so long.
fn ways(stall: Duration) -> [Setup; 3] {
    let limits = Limits { stall, ..Limits::default() };
    [Setup::default(), Setup::buffered(64 << 10), Setup::tls()].map(|setup| setup.limits(limits.clone()))
}

#[tokio::test]
async fn a_client_that_takes_little_at_a_time_gets_all_in_the_end() {
    let stall = SHORT * 5 / 2;
    let content = pattern(3 << 18);
    let trickle = async |setup: Setup| {
        let site = setup.start();
        site.file("big", &content);
        let mut wire = site.connect_narrow().await;
        let begin = std::time::Instant::now();
        wire.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
        wire.head().await;
        let mut got = Vec::new();
        while got.len() < content.len() {
            tokio::time::sleep(Duration::from_millis(7)).await;
            got.extend(wire.exactly(4096).await);
        }
        assert!(got == content);
        assert!(begin.elapsed() > stall, "that was no trickle");
        assert_eq!(site.ended().await, (1, 0));
        assert_eq!(wire.get("/big", "Range: bytes=0-0\r\n").await.body, [0], "the connection goes on");
    };
    futures_util::future::join_all(ways(stall).map(trickle)).await;
}

#[tokio::test]
async fn over_tls_answers_are_whole_however_little_the_socket_takes_at_once() {
    let site = Setup::tls().start();
    let (mut wide, mut narrow) = (site.connect().await, site.connect_narrow().await);
    // About where they are gathered, sealed in one piece, or sealed in several; and from the second time on, ready.
    let lengths = [0, 1, 4096, 4097, 8192, 8193, 65_536, 65_537, 131_071, 131_072, 131_073, 400_000];
    for length in lengths {
        let (name, content) = (length.to_string(), pattern(length));
        site.file(&name, &content);
        for _ in 0..3 {
            for wire in [&mut wide, &mut narrow] {
                let answer = wire.get(&format!("/{name}"), "").await;
                assert!(answer.body == content, "{length} octets");
            }
        }
    }
    assert_eq!(site.ended().await, (6 * lengths.len() as u64, 0));
}

#[tokio::test]
async fn a_client_that_takes_no_more_of_a_file_loses_its_connection() {
    for setup in ways(SHORT) {
        let site = setup.start();
        site.file("big", &vec![7; 24 << 20]);
        let mut wire = site.connect_narrow().await;
        wire.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
        wire.head().await;
        let begin = std::time::Instant::now();
        assert_eq!(site.ended().await, (0, 1), "it counts as broken");
        assert!(begin.elapsed() < SHORT * 10, "after {:?}", begin.elapsed());
        assert!(wire.rest().await.len() < 24 << 20);
    }
}

#[tokio::test]
async fn a_request_may_come_in_single_octets() {
    for setup in [Setup::default(), Setup::tls(), Setup::hyper()] {
        let site = setup.start();
        site.file("f", b"0123");
        let mut wire = site.connect().await;
        for _ in 0..2 {
            for octet in b"\r\nGET /f HTTP/1.1\r\nHost: x\r\nRange: bytes=1-2\r\n\r\n" {
                wire.send([*octet]).await;
                tokio::task::yield_now().await;
            }
            assert_eq!(wire.answer(&Method::GET).await.body, b"12");
        }
    }
}

#[tokio::test]
async fn a_line_end_behind_a_request_begins_no_other() {
    let site = Site::start_with(Limits { head: SHORT, ..Limits::default() });
    site.file("f", b"x");
    let mut wire = site.connect().await;
    for _ in 0..2 {
        wire.send("GET /f HTTP/1.1\r\nHost: x\r\n\r\n\r\n").await;
        assert_eq!(wire.answer(&Method::GET).await.status, 200);
        tokio::time::sleep(SHORT * 2).await;
    }
}

#[tokio::test]
async fn a_thousand_requests_at_once_are_answered_in_order() {
    for setup in [Setup::default(), Setup::buffered(30_000), Setup::tls()] {
        let site = setup.start();
        let large = pattern(150_000);
        site.file("large", &large);
        for name in 0..10 {
            site.file(&name.to_string(), &pattern(name * 100));
        }
        let kind = |at: usize| match at % 50 {
            0 => ("GET", "large", 200),
            1 => ("GET", "missing", 404),
            2 => ("HEAD", "large", 200),
            3 => ("BREW", "1", 501),
            _ => ("GET", &"0123456789"[at % 10..=at % 10], 200),
        };
        let ask = |at| {
            let (method, name, _) = kind(at);
            format!("{method} /{name} HTTP/1.1\r\nHost: x\r\nX-Number: {at}\r\n\r\n")
        };
        let mut wire = site.connect().await;
        wire.send((0..1000).map(ask).collect::<String>()).await;
        for at in 0..1000 {
            let (method, name, status) = kind(at);
            let answer = wire.answer(&method.parse().expect("a token")).await;
            assert_eq!(answer.status, status, "number {at}");
            match (method, name.parse::<usize>()) {
                ("GET", Ok(name)) => assert!(answer.body == pattern(name * 100), "number {at}"),
                ("GET", _) if status == 200 => assert!(answer.body == large, "number {at}"),
                _ => {}
            }
        }
        assert_eq!(wire.get("/1", "").await.status, 200, "nothing follows but the next answer");
    }
}
