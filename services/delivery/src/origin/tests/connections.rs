//! Connections: which protocol, to which address, how many, and who can block whom.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use futures_util::future::join_all;

use super::*;
use crate::origin::faulty::{Fault, Faulty, Transport};

fn trusting(faulty: &Faulty, change: impl FnOnce(&mut Settings)) -> Origins {
    let mut origin = OriginSettings::new(faulty.url().parse().expect("a base"));
    origin.trust = Trust::Only(faulty.certificate().into_iter().collect());
    let mut settings = Settings::new(vec![origin], "node-1");
    change(&mut settings);
    Origins::new(&settings).expect("good settings")
}

async fn download(origins: &Origins) -> Vec<u8> {
    let (bytes, error) = read(get(origins, "/a").await.expect("an answer")).await;
    assert!(error.is_none(), "{error:?}");
    bytes
}

#[tokio::test]
async fn many_requests_share_one_http2_connection() {
    let faulty = Faulty::start(Transport::Http2, 100_000).await;
    let origins = trusting(&faulty, |_| {});
    download(&origins).await;
    let before = faulty.connections();
    let open = join_all((0..20).map(|_| get(&origins, "/a"))).await;
    let stats = &origins.pool_stats()[0];
    assert_eq!((stats.in_flight, stats.connections), (20, 1));
    for answer in open {
        let (bytes, _) = read(answer.expect("an answer")).await;
        assert!(bytes.len() == 100_000 && faulty.content().has(1, 0, &bytes));
    }
    assert_eq!(faulty.connections(), before);
    assert!(faulty.seen().iter().all(|seen| seen.http2));
}

#[tokio::test]
async fn http2_is_spoken_only_where_both_sides_want_it() {
    let modern = Faulty::start(Transport::Http2, 10).await;
    let origins = trusting(&modern, |settings| settings.origins[0].http2 = false);
    assert!(get(&origins, "/a").await.is_err(), "this origin speaks nothing else");
    let plain = Faulty::start(Transport::Tls, 10).await;
    assert_eq!(download(&trusting(&plain, |_| {})).await.len(), 10);
    assert!(!plain.seen()[0].http2);
}

#[tokio::test]
async fn clients_that_take_nothing_stop_nobody_else_on_their_http2_connection() {
    let faulty = Faulty::start(Transport::Http2, 8 << 20).await;
    let origins = trusting(&faulty, |_| {});
    let mut idle = Vec::new();
    for _ in 0..25 {
        idle.push(get(&origins, "/a").await.expect("an answer"));
    }
    // The origin has filled what these streams may have under way: nothing of theirs moves any more.
    let mut sent = faulty.sent();
    while {
        tokio::time::sleep(SHORT).await;
        sent != faulty.sent()
    } {
        sent = faulty.sent();
    }
    let busy = tokio::time::timeout(Duration::from_secs(60), download(&origins)).await;
    assert_eq!(busy.expect("its own window is open").len(), 8 << 20);
    assert_eq!(origins.pool_stats()[0].connections, 1);
    drop(idle);
}

#[tokio::test]
async fn a_connection_that_the_origin_ends_in_good_order_costs_nothing() {
    for transport in [Transport::Plain, Transport::Http2] {
        let faulty = Faulty::start(transport, 100_000).await;
        faulty.always(Fault::Last);
        let origins = trusting(&faulty, |settings| settings.retries = 0);
        for _ in 0..10 {
            assert_eq!(download(&origins).await.len(), 100_000, "{transport:?}");
        }
        let stats = &origins.pool_stats()[0];
        assert_eq!((stats.requests, stats.failures), (10, 0), "{transport:?}");
    }
}

#[tokio::test]
async fn no_more_requests_than_the_limits_are_under_way() {
    let faulty = Faulty::start(Transport::Plain, 100_000).await;
    faulty.always(Fault::Slow(SHORT / 30));
    let origins = trusting(&faulty, |settings| {
        (settings.limit_per_origin, settings.patience) = (3, SHORT * 100);
    });
    let all = join_all((0..30).map(|_| download(&origins)));
    let watch = async {
        loop {
            let stats = &origins.pool_stats()[0];
            assert!(stats.in_flight <= 3, "{stats:?}");
            assert!(stats.connections <= 2 * 3, "as many may be idle as may be in use: {stats:?}");
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        done = all => assert_eq!(done.len(), 30),
        () = watch => {}
    }
}

#[tokio::test]
async fn an_answer_that_is_dropped_ends_its_request() {
    for transport in [Transport::Plain, Transport::Http2] {
        let faulty = Faulty::start(transport, 1 << 30).await;
        let origins = trusting(&faulty, |_| {});
        let mut body = stream(get(&origins, "/a").await.expect("an answer"));
        body.next().await.expect("more").expect("bytes");
        drop(body);
        assert_eq!(origins.pool_stats()[0].in_flight, 0, "{transport:?}");
        // The origin learns of it: it does not send a gigabyte to nobody.
        let mut sent = faulty.sent();
        let at_rest = async {
            while {
                tokio::time::sleep(SHORT).await;
                sent != faulty.sent()
            } {
                sent = faulty.sent();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), at_rest).await.expect("it comes to rest");
        assert!(sent < 64 << 20, "{transport:?}: {sent} bytes");
    }
}

/// A name service that answers with what it is told, and counts.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<(Vec<SocketAddr>, usize)>>);

impl Names {
    fn point_at(&self, addresses: &[SocketAddr]) {
        self.0.lock().expect("nobody panicked").0 = addresses.to_vec();
    }

    fn asked(&self) -> usize {
        self.0.lock().expect("nobody panicked").1
    }

    fn origins(&self, change: impl FnOnce(&mut Settings)) -> Origins {
        let mut settings =
            Settings::new(vec![OriginSettings::new("http://files.test".parse().expect("a base"))], "node-1");
        change(&mut settings);
        let names = self.clone();
        let lookup: Lookup = Arc::new(move |name, port| {
            assert_eq!((name, port), ("files.test", 80));
            let mut told = names.0.lock().expect("nobody panicked");
            told.1 += 1;
            if told.0.is_empty() { Err(io::Error::other("no such name")) } else { Ok(told.0.clone()) }
        });
        Origins::with(&settings, &lookup, &Clock::system()).expect("good settings")
    }
}

#[tokio::test]
async fn a_name_that_moves_is_followed() {
    let (first, second) = (Faulty::start(Transport::Plain, 10).await, Faulty::start(Transport::Plain, 10).await);
    let names = Names::default();
    names.point_at(&[first.address()]);
    let origins = names.origins(|settings| settings.refresh = Duration::from_millis(1));
    download(&origins).await;
    assert_eq!(first.seen()[0].headers["host"], "files.test");
    names.point_at(&[second.address()]);
    let moved = async {
        while second.seen().is_empty() {
            download(&origins).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), moved).await.expect("it is asked at its new address");
    let listed: Vec<_> = origins.pool_stats()[0].addresses.iter().map(|address| address.address).collect();
    assert_eq!(listed, [second.address()]);
}

#[tokio::test]
async fn a_name_service_that_fails_takes_no_origin_with_it() {
    let faulty = Faulty::start(Transport::Plain, 10).await;
    let names = Names::default();
    let origins = names.origins(|settings| (settings.refresh, settings.retries) = (Duration::from_millis(1), 0));
    let unknown = get(&origins, "/a").await.expect_err("nobody knows it");
    assert!(matches!(unknown, OriginError::Unresolved { .. }), "{unknown}");
    names.point_at(&[faulty.address()]);
    let known = async {
        while get(&origins, "/a").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), known).await.expect("it is looked up again");
    names.point_at(&[]);
    let asked = names.asked();
    while names.asked() == asked {
        download(&origins).await;
    }
    download(&origins).await;
}

#[tokio::test]
async fn names_are_not_looked_up_for_every_request() {
    let faulty = Faulty::start(Transport::Plain, 10).await;
    let names = Names::default();
    names.point_at(&[faulty.address()]);
    let origins = names.origins(|_| {});
    for _ in 0..10 {
        download(&origins).await;
    }
    assert_eq!(names.asked(), 1);
}

#[tokio::test]
async fn an_address_that_fails_is_spared_and_the_others_serve() {
    let (well, ill) = (Faulty::start(Transport::Plain, 10).await, Faulty::start(Transport::Plain, 10).await);
    ill.always(Fault::Unheard);
    let dead: SocketAddr = fake::nobody().await.trim_start_matches("http://").parse().expect("an address");
    let names = Names::default();
    names.point_at(&[dead, ill.address(), well.address()]);
    let origins = names.origins(|_| {});
    for _ in 0..20 {
        download(&origins).await;
    }
    assert_eq!(well.seen().len(), 20);
    assert!(ill.seen().len() <= 5, "{} requests for one that never answers", ill.seen().len());
    assert_eq!(origins.pool_stats()[0].breaker, BreakerState::Closed, "the origin as a whole is well");
}
