//! What is asked again, how often, and of whom.

use bytes::Bytes;
use futures_util::stream;
use http::header;

use super::*;
use crate::origin::{
    Body,
    faulty::{Fault, Faulty, Transport},
};

const LENGTH: u64 = 1 << 20;

async fn good() -> Faulty {
    Faulty::start(Transport::Plain, LENGTH).await
}

/// Everything, to the end or to the error.
async fn all(mut body: Body) -> (Vec<u8>, Option<BodyError>) {
    let mut bytes = Vec::new();
    while let Some(item) = body.next().await {
        match item {
            Ok(more) => bytes.extend_from_slice(&more),
            Err(error) => return (bytes, Some(error)),
        }
    }
    (bytes, None)
}

async fn ask(origins: &Origins) -> Result<Response, OriginError> {
    ask_for(origins, "/a").await
}

async fn ask_for(origins: &Origins, target: &str) -> Result<Response, OriginError> {
    origins.ask(Ask::get(target, &HeaderMap::new())).await
}

#[tokio::test]
async fn a_body_goes_on_where_it_broke_off_with_exactly_the_missing_bytes() {
    let faulty = good().await;
    faulty.next([Fault::Close(400_000), Fault::Reset(300_000), Fault::Status(503), Fault::Unheard]);
    let origins = origins(&[&faulty.url()]);
    let response = ask(&origins).await.expect("an answer");
    assert_eq!(response.body.length(), Some(LENGTH));
    let (bytes, error) = all(response.body).await;
    assert!(error.is_none(), "{error:?}");
    assert!(bytes.len() as u64 == LENGTH && faulty.content().has(1, 0, &bytes));
    let ranges: Vec<_> = faulty.seen().into_iter().map(|seen| seen.headers.get("range").cloned()).collect();
    assert_eq!((ranges.len(), &ranges[0]), (5, &None));
    assert_eq!(ranges[1].as_ref().expect("a range"), "bytes=400000-1048575");
    let etag = faulty.content().etag(1);
    assert!(faulty.seen()[1..].iter().all(|seen| seen.headers[header::IF_RANGE] == etag.as_str()));
    assert_eq!(origins.pool_stats()[0].resumed, 2);
}

#[tokio::test]
async fn a_rest_that_is_too_short_is_no_end_even_if_no_length_was_known_before() {
    let faulty = good().await;
    faulty.next([Fault::ChunkedClose(400_000), Fault::Short { tagged: true }]);
    let response = ask(&origins(&[&faulty.url()])).await.expect("an answer");
    assert_eq!(response.body.length(), None);
    let (bytes, error) = all(response.body).await;
    assert!(error.is_none() && bytes.len() as u64 == LENGTH && faulty.content().has(1, 0, &bytes), "{error:?}");
}

#[tokio::test]
async fn bytes_of_two_versions_are_never_put_together() {
    for renewed in [Fault::Renewed, Fault::Careless, Fault::Status(404)] {
        let faulty = good().await;
        faulty.next([Fault::Close(400_000), renewed]);
        let (bytes, error) = all(ask(&origins(&[&faulty.url()])).await.expect("an answer").body).await;
        assert!(matches!(error, Some(BodyError::Changed { .. })), "{error:?}");
        assert!(faulty.content().has(1, 0, &bytes), "what came was of the first version");
    }
}

#[tokio::test]
async fn without_a_strong_validator_a_body_that_breaks_off_ends_in_an_error() {
    for weak in [Fault::Weak, Fault::Untagged] {
        let faulty = good().await;
        faulty.always(weak);
        let first = ask(&origins(&[&faulty.url()])).await.expect("an answer");
        faulty.stop().await;
        let (bytes, error) = all(first.body).await;
        // What the system's buffers held may be all of it: then nothing broke off.
        assert!(error.is_some() || bytes.len() as u64 == LENGTH);
    }
}

#[tokio::test]
async fn another_origin_with_the_same_representation_gives_the_rest() {
    let (first, second) = (good().await, good().await);
    first.next([Fault::Close(400_000)]);
    first.always(Fault::Status(503));
    let origins = origins(&[&first.url(), &second.url()]);
    let (bytes, error) = all(ask(&origins).await.expect("an answer").body).await;
    assert!(error.is_none() && first.content().has(1, 0, &bytes) && bytes.len() as u64 == LENGTH, "{error:?}");
    assert_eq!(second.seen()[0].headers[header::RANGE], "bytes=400000-1048575");
    assert_eq!(origins.pool_stats().iter().map(|pool| pool.resumed).collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn another_origin_with_another_representation_does_not() {
    let (first, second) = (good().await, good().await);
    second.change();
    first.next([Fault::Close(400_000)]);
    first.always(Fault::Status(503));
    let origins = origins_with(&[&first.url(), &second.url()], |settings| settings.resume = SHORT * 3);
    let (bytes, error) = all(ask(&origins).await.expect("an answer").body).await;
    assert!(matches!(error, Some(BodyError::Broken { .. })) && bytes.len() == 400_000, "{error:?}");
}

#[tokio::test]
async fn a_transfer_that_goes_on_does_not_queue_behind_those_that_have_not_begun() {
    let faulty = good().await;
    faulty.next([Fault::Close(100_000), Fault::Status(503), Fault::Status(503)]);
    let origins = origins_with(&[&faulty.url()], |settings| {
        settings.limit_per_origin = 1;
        settings.patience = SHORT * 100;
    });
    let first = ask(&origins).await.expect("an answer");
    let (first, second) = futures_util::future::join(all(first.body), ask(&origins)).await;
    assert!(first.1.is_none() && first.0.len() as u64 == LENGTH, "{:?}", first.1);
    assert!(second.is_ok());
    let ranged = faulty.seen().iter().map(|seen| seen.headers.contains_key(header::RANGE)).collect::<Vec<_>>();
    assert_eq!(ranged, [false, true, true, true, false], "the second came last");
}

#[tokio::test]
async fn a_reader_that_stops_waiting_in_the_middle_of_a_search_can_wait_again() {
    let faulty = good().await;
    faulty.next([Fault::Close(100_000), Fault::Silent]);
    let origins = origins_with(&[&faulty.url()], |settings| settings.head = SHORT * 3);
    let mut body = ask(&origins).await.expect("an answer").body;
    let mut bytes = Vec::new();
    loop {
        match tokio::time::timeout(SHORT, body.next()).await {
            Err(_) => assert!(faulty.seen().len() < 100, "it begins again for ever"),
            Ok(Some(item)) => bytes.extend_from_slice(&item.expect("bytes")),
            Ok(None) => break,
        }
        if faulty.seen().len() > 2 {
            break;
        }
    }
    let (rest, error) = all(body).await;
    bytes.extend(rest);
    assert!(error.is_none() && bytes.len() as u64 == LENGTH && faulty.content().has(1, 0, &bytes), "{error:?}");
}

#[tokio::test]
async fn a_burst_of_errors_is_not_seen_and_a_lasting_one_is_the_answer() {
    let faulty = good().await;
    faulty.next([Fault::Status(500), Fault::Status(502)]);
    let origins = origins(&[&faulty.url()]);
    assert_eq!(ask(&origins).await.expect("an answer").status.as_u16(), 200);
    assert_eq!((faulty.seen().len(), origins.pool_stats()[0].retries), (3, 2));
    faulty.always(Fault::Status(500));
    assert_eq!(ask(&origins).await.expect("an answer is an answer").status.as_u16(), 500);
    assert_eq!(faulty.seen().len(), 6, "asked three times");
    let headers = HeaderMap::new();
    let once = Ask { retry: false, ..Ask::get("/a", &headers) };
    assert_eq!(origins.ask(once).await.expect("an answer").status.as_u16(), 500);
    assert_eq!(faulty.seen().len(), 7);
}

#[tokio::test]
async fn retries_are_a_share_of_the_requests() {
    let faulty = good().await;
    faulty.always(Fault::Status(500));
    let origins = origins(&[&faulty.url()]);
    for _ in 0..40 {
        ask(&origins).await.expect("an answer");
    }
    let retries = faulty.seen().len() - 40;
    // Ten saved up, one for five requests; one for each second that this took, which is hardly ten.
    assert!((10..40).contains(&retries), "{retries} retries for 40 requests");
}

#[tokio::test]
async fn what_may_not_be_repeated_is_sent_once() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let (faulty, other) = (good().await, good().await);
        let origins = origins(&[&faulty.url(), &other.url()]);
        for fault in [Fault::Status(503), Fault::Unheard, Fault::Garbage] {
            faulty.next([fault.clone()]);
            let body = ByteStream::new(Some(4), stream::iter([Ok(Bytes::from_static(b"data"))]));
            let headers = HeaderMap::new();
            let ask = Ask { method: method.clone(), body: Some(body), ..Ask::get("/a", &headers) };
            let answer = origins.ask(ask).await.map(|response| response.status.as_u16());
            assert!(matches!(answer, Ok(503) | Err(OriginError::Unreachable { .. })), "{method} {fault:?}: {answer:?}");
        }
        assert_eq!((faulty.seen().len(), other.seen().len()), (3, 0), "{method}");
    }
}

#[tokio::test]
async fn what_was_not_sent_at_all_may_go_to_the_next_origin() {
    let (nobody, other) = (fake::nobody().await, good().await);
    let origins = origins(&[&nobody, &other.url()]);
    let headers = HeaderMap::new();
    let ask = || Ask { method: Method::DELETE, ..Ask::get("/a", &headers) };
    assert_eq!(origins.ask(ask()).await.expect("an answer").status.as_u16(), 200);
    let body = ByteStream::new(Some(4), stream::iter([Ok(Bytes::from_static(b"data"))]));
    let refused = origins.ask(Ask { body: Some(body), ..ask() }).await.expect_err("its content is gone");
    assert!(matches!(refused, OriginError::Unreachable { .. }), "{refused}");
}

#[tokio::test]
async fn an_origin_that_keeps_failing_is_left_alone_and_tried_again() {
    let faulty = good().await;
    faulty.always(Fault::Unheard);
    let origins = origins_with(&[&faulty.url()], |settings| settings.retries = 0);
    for target in ["/a", "/a", "/b", "/b", "/c"] {
        assert!(matches!(ask_for(&origins, target).await, Err(OriginError::Unreachable { .. })));
    }
    assert_eq!(origins.pool_stats()[0].breaker, BreakerState::Open);
    let refused = ask(&origins).await.expect_err("it is left alone");
    assert!(matches!(refused, OriginError::Open { .. }), "{refused}");
    assert_eq!(refused.answer().headers["retry-after"], "1");
    assert_eq!(faulty.seen().len(), 5, "nothing was sent");
    faulty.always(Fault::None);
    let recovered = async {
        while ask(&origins).await.is_err() {
            tokio::time::sleep(SHORT / 3).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), recovered).await.expect("it is tried again");
    assert_eq!(origins.pool_stats()[0].breaker, BreakerState::Closed);
}

#[tokio::test]
async fn one_bad_file_shuts_out_no_other() {
    for fault in [Fault::Unheard, Fault::Status(503), Fault::Close(1000)] {
        let faulty = good().await;
        let origins = origins_with(&[&faulty.url()], |settings| {
            (settings.retries, settings.resume) = (0, Duration::ZERO);
        });
        for _ in 0..30 {
            faulty.next([fault.clone()]);
            if let Ok(bad) = ask_for(&origins, "/bad").await {
                all(bad.body).await;
            }
        }
        assert_eq!(faulty.seen().len(), 30, "{fault:?}: each was sent");
        assert_eq!(origins.pool_stats()[0].breaker, BreakerState::Closed, "{fault:?}");
        assert!(all(ask(&origins).await.expect("it is well").body).await.1.is_none());
    }
}

#[tokio::test]
async fn what_one_request_tries_again_is_held_against_its_origin_once() {
    let faulty = good().await;
    faulty.always(Fault::Unheard);
    let origins = origins_with(&[&faulty.url()], |settings| settings.retries = 1);
    for target in ["/a", "/b", "/c", "/d"] {
        assert!(ask_for(&origins, target).await.is_err());
        assert_eq!(origins.pool_stats()[0].breaker, BreakerState::Closed, "{target}");
    }
    assert!(faulty.seen().len() > 5, "retries were sent");
    assert!(ask_for(&origins, "/e").await.is_err());
    assert_eq!(origins.pool_stats()[0].breaker, BreakerState::Open);
}

#[tokio::test]
async fn a_stalled_origin_leaves_another_s_objects_served() {
    let small = async || Faulty::start(Transport::Plain, 1000).await;
    let (stalled, well) = (small().await, small().await);
    stalled.always(Fault::Silent);
    let origins = origins_with(&[&stalled.url(), &well.url()], |settings| {
        (settings.limit, settings.limit_per_origin) = (10, 5);
        (settings.head, settings.patience, settings.retries) = (SHORT * 10, SHORT * 100, 0);
    });
    let download = async |number: usize| {
        let response = ask_for(&origins, &format!("/{number}")).await.expect("the other origin answers");
        assert_eq!(response.origin.to_string(), well.url());
        assert!(all(response.body).await.1.is_none());
    };
    let many = futures_util::future::join_all((0..20).map(download));
    tokio::time::timeout(Duration::from_secs(60), many).await.expect("none waits for ever");
    assert!(stalled.seen().len() < 20, "it is left alone before all have waited for it");
}

#[tokio::test]
async fn a_client_that_leaves_during_a_probe_does_not_keep_the_origin_shut() {
    let faulty = good().await;
    faulty.next([Fault::Unheard, Fault::Unheard, Fault::Unheard, Fault::Unheard, Fault::Unheard, Fault::Silent]);
    let origins = origins_with(&[&faulty.url()], |settings| settings.retries = 0);
    for target in ["/a", "/b", "/c", "/d", "/e"] {
        assert!(ask_for(&origins, target).await.is_err());
    }
    // The probe is the sixth request: it hangs, and its client leaves.
    let probed = async {
        while faulty.seen().len() < 6 {
            let _left = tokio::time::timeout(SHORT, ask(&origins)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), probed).await.expect("a probe is sent");
    assert_eq!(ask(&origins).await.expect("the next one probes").status.as_u16(), 200);
}
