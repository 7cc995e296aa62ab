//! What operators see on the admin listener.

use ferry_proto::v1::{self, node_service_client::NodeServiceClient};
use ferry_runtime::{admin::AdminError, coordinators::dial};
use tonic::Status;

use super::site::{LIMIT, Live, Reply, Site, ask};
use crate::{StartError, agent::twin::Twin};

pub(super) async fn page(node: &Live, path: &str) -> Reply {
    ask(node.admin, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

pub(super) fn inspector(node: &Live) -> NodeServiceClient<tonic::transport::Channel> {
    let url = format!("http://{}", node.admin).parse().expect("a URL");
    NodeServiceClient::new(dial(&url, None).expect("a plain URL"))
}

#[tokio::test]
async fn a_node_tells_of_itself_over_grpc() {
    let (site, twin) = (Site::new(), Twin::start("c1").await);
    let node = site.start_with(&twin, &["--region", "eu", "--weight", "50"]).await;
    let status = inspector(&node).get_status(v1::GetStatusRequest {}).await.expect("an answer").into_inner();
    let facts = status.facts.expect("facts");
    assert_eq!((&*facts.node_id, &*facts.region, facts.weight), ("n1", "eu", 50));
    assert_eq!(facts.address, node.address.to_string(), "the free port that it got");
    assert_eq!(facts.admin_address, node.admin.to_string());
    assert_eq!((&*status.backend_mode, status.draining), ("filesystem", false));
    let [link] = &status.coordinators[..] else { panic!("one link: {:?}", status.coordinators) };
    assert_eq!((&*link.coordinator_id, link.connected, &*link.trouble), ("c1", true, ""));
    let transfers = inspector(&node).list_transfers(v1::ListTransfersRequest {}).await.expect("an answer");
    assert!(transfers.into_inner().transfers.is_empty());
    node.stop().await;
}

#[tokio::test]
async fn trouble_with_a_coordinator_is_shown_to_operators_and_not_to_clients() {
    let (site, twin) = (Site::new(), Twin::start("c1").await);
    twin.reply(Err(Status::already_exists("this node id is taken")));
    let url = twin.url.to_string();
    let node = site.start(&["--coordinators", &url]).await;
    let shown = async {
        loop {
            let health = page(&node, "/health").await.json();
            if health["coordinators"][0]["trouble"] == "this node id is taken" {
                return health;
            }
        }
    };
    let health = tokio::time::timeout(LIMIT, shown).await.expect("the trouble in time");
    assert_eq!(health["status"], "healthy", "it goes on serving");
    assert!(node.get("/health").await.json().get("coordinators").is_none());
    node.stop().await;
}

#[tokio::test]
async fn the_origin_pool_and_the_figures_can_be_looked_at() {
    let site = Site::new();
    let node = site.start(&["--origin", "http://127.0.0.1:1"]).await;
    assert!(matches!(node.get("/a").await.status, 502..=504));
    let pools = page(&node, "/debug/http-client").await.json();
    assert_eq!(pools["origins"][0]["origin"], "http://127.0.0.1:1");
    assert_eq!(pools["origins"][0]["in_flight"], 0);
    assert_eq!(pools["origins"][0]["breaker"], "closed");
    assert_eq!(pools["origins"][0]["addresses"][0]["address"], "127.0.0.1:1");
    let pool = inspector(&node).get_origin_pool(v1::GetOriginPoolRequest {}).await.expect("an answer").into_inner();
    assert_eq!(pool.origins[0].limit, 30);
    assert_eq!((pool.origins[0].connections, pool.origins[0].breaker.as_str()), (0, "closed"));
    assert!(pool.origins[0].failures >= 1 && pool.origins[0].retries >= 1, "it was tried more than once: {pool:?}");
    assert_eq!(node.get("/%").await.status, 400);
    let figures = String::from_utf8(page(&node, "/metrics").await.body).expect("text");
    for name in [
        "ferry_node_refusals_total{reason=\"encoding\"} 1",
        "ferry_node_coordinators_connected 0",
        "ferry_node_draining 0",
        "ferry_node_delivery_sent_bytes",
        "ferry_node_delivery_origin_well{origin=\"http://127.0.0.1:1\"} 1",
        "ferry_node_delivery_requests_total{status=\"502\"} 1",
    ] {
        assert!(figures.contains(name), "{name} is not in:\n{figures}");
    }
    node.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let (one, other) = (Site::new(), Site::new());
    let node = one.start(&[]).await;
    let (clients, admin) = (node.address.to_string(), node.admin.to_string());
    let refused = other.try_start(&["--listen", &clients]).await.err().expect("taken");
    assert!(matches!(refused, StartError::Listen(_)) && refused.to_string().contains(&clients), "{refused}");
    let refused = other.try_start(&["--admin-listen", &admin]).await.err().expect("taken");
    assert!(matches!(refused, StartError::Admin(AdminError::Bind { .. })), "{refused}");
    node.stop().await;
}
