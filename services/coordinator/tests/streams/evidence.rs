//! What nodes say of redirects comes to the gateways that made them.

use super::*;

fn redirect(tag: u16, rest: u64) -> u64 {
    ferry_core::tokens::RedirectId::tagged(tag, rest).0
}

fn evidence(complete: Vec<u64>) -> v1::AttendRequest {
    let arrivals = v1::Arrivals { network: vec![192, 0, 2], complete, ..Default::default() };
    let evidence = v1::Evidence { arrivals: vec![arrivals], ..Default::default() };
    v1::AttendRequest { body: Some(attend_request::Body::Evidence(evidence)) }
}

/// A gateway whose redirects have this tag.
async fn listen(running: &Running, tag: u32) -> Streaming<v1::RoutingUpdate> {
    let gateway_id = format!("g{tag}");
    let request = v1::WatchRequest { version: 1, gateway_id, redirect_tag: Some(tag), ..Default::default() };
    RoutingServiceClient::new(running.channel.clone()).watch(request).await.expect("a stream").into_inner()
}

/// The redirects that the next evidence names, and whose word it is.
async fn heard(updates: &mut Streaming<v1::RoutingUpdate>) -> (String, Vec<u64>) {
    loop {
        let update = tokio::time::timeout(LIMIT, updates.message()).await.expect("in time").expect("no fault");
        let Some(routing_update::Body::Evidence(said)) = update.expect("the stream stands").body else { continue };
        let arrivals = said.evidence.expect("there").arrivals;
        return (said.node_id, arrivals.into_iter().flat_map(|arrivals| arrivals.complete).collect());
    }
}

#[tokio::test]
async fn a_gateway_hears_what_became_of_its_redirects_and_of_no_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder).await;
    let node = join(&running, "a", 1, 1).await;
    let (mut first, mut second) = (listen(&running, 1).await, listen(&running, 2).await);
    node.say.send(evidence(vec![redirect(1, 5), redirect(2, 6), redirect(3, 7)])).await.expect("room");
    assert_eq!(heard(&mut first).await, ("a".to_owned(), vec![redirect(1, 5)]));
    assert_eq!(heard(&mut second).await, ("a".to_owned(), vec![redirect(2, 6)]));
    running.stop().await;
}
