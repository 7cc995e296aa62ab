//! SEMANTICS.md 15: a node sends a request on that another one serves better, and cuts nothing that runs.

use std::{fs::File, os::unix::fs::symlink, time::Duration};

use hyper::{StatusCode, header};

use crate::harness::{
    Cluster, Topology, get,
    samples::{self, MIB},
    tools::figure,
    until,
    workshop::Workshop,
};

const WITHIN: Duration = Duration::from_secs(20);

/// The gateway's redirect for that path, as it leads to that node: it is the first choice, or an alternate under the same token.
async fn redirect_to(cluster: &Cluster, node: usize, path: &str) -> String {
    let answer = cluster.ask(path).await;
    let links = answer.headers.get_all(header::LINK).iter().map(|link| link.to_str().expect("plain text"));
    let links = links.filter_map(|link| Some(link.strip_prefix('<')?.split_once('>')?.0));
    let mut urls = answer.location().into_iter().chain(links);
    urls.find(|url| url.contains(cluster.nodes[node].address())).expect("both nodes are named").to_owned()
}

#[tokio::test]
async fn a_file_that_one_node_lacks_comes_from_another_and_one_that_all_lack_is_not_found() {
    let cluster = Cluster::start(Topology::nodes(2).own_roots()).await;
    let sample = samples::write(&cluster.root_of(1), "only-there.bin", MIB);
    let location = redirect_to(&cluster, 0, &sample.path()).await;
    let onward = get(&location).send().await;
    assert!(onward.location().expect("sent on").contains(cluster.nodes[1].address()));
    assert_eq!(get(&location).follow().await.finish().await.expect("whole").sha256, sample.sha256);
    let nowhere = redirect_to(&cluster, 0, "/none.bin").await;
    assert_eq!(get(&nowhere).follow().await.status, StatusCode::NOT_FOUND);
    let sent_on = figure(&cluster.nodes[0].grpc_url(), "ferry_node_sent_on_total{reason=\"lacking\"}").await;
    assert_eq!(sent_on, Some(3));
}

/// P3: each node has a disk of its own, and none of them the file.
#[tokio::test]
async fn a_file_that_no_node_has_comes_from_the_gateway_that_has_it() {
    let workshop = Workshop::open();
    let own = workshop.folder("own");
    let sample = samples::write(&own, "only-here.bin", MIB);
    let flags = ["--root", own.to_str().expect("plain text"), "--public-url", "http://gateway.invalid"];
    let cluster = Cluster::start_in(workshop, Topology::nodes(2).own_roots().gateway_flags(&flags)).await;
    let first = get(&redirect_to(&cluster, 0, &sample.path()).await).send().await;
    let second = get(first.location().expect("sent on")).send().await;
    let home = second.location().and_then(|url| url.strip_prefix("http://gateway.invalid")).expect("sent home");
    let answer = get(&cluster.url(home)).send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.finish().await.expect("whole").sha256, sample.sha256);
}

#[tokio::test]
async fn a_node_with_as_many_transfers_as_it_may_have_finishes_them_and_sends_the_next_on() {
    let cluster = Cluster::start(Topology::nodes(2).node_flags(&["--shared-root", "--max-transfers", "2"])).await;
    let sample = samples::write(&cluster.root(), "big.iso", 24 * MIB);
    let location = cluster.ask(&sample.path()).await.location().expect("a redirect").to_owned();
    let full = cluster.nodes.iter().position(|node| location.contains(node.address())).expect("one of the nodes");
    let slow = || get(&location).kib_per_second(4 * 1024).send();
    let (mut one, mut two) = (slow().await, slow().await);
    one.receive(MIB).await;
    two.receive(MIB).await;
    let next = get(&location).send().await;
    let onward = next.location().expect("sent on").to_owned();
    assert!(onward.contains(cluster.nodes[1 - full].address()), "{onward}");
    assert_eq!(get(&onward).send().await.status, StatusCode::OK);
    let direct = get(&cluster.nodes[full].url(&sample.path())).send().await;
    assert_eq!(direct.status, StatusCode::SERVICE_UNAVAILABLE, "it was sent by nobody who knows others");
    assert!(!direct.header(&header::RETRY_AFTER).is_empty());
    for transfer in [one, two] {
        assert_eq!(transfer.finish().await.expect("whole").sha256, sample.sha256);
    }
    assert_eq!(get(&location).send().await.status, StatusCode::OK, "there is room again");
}

#[tokio::test]
async fn a_node_whose_next_client_would_get_too_little_sends_it_on_and_finishes_what_runs() {
    let flags = ["--shared-root", "--capacity", "200KiB", "--min-client-rate", "100KiB"];
    let cluster = Cluster::start(Topology::nodes(2).node_flags(&flags)).await;
    let sample = samples::write(&cluster.root(), "big.iso", 24 * MIB);
    let location = cluster.ask(&sample.path()).await.location().expect("a redirect").to_owned();
    let full = cluster.nodes.iter().position(|node| location.contains(node.address())).expect("one of the nodes");
    let slow = || get(&location).kib_per_second(1024).send();
    let (one, two) = (slow().await, slow().await);
    let transfers = async { tokio::join!(one.finish(), two.finish()) };
    let next = async {
        until("two clients to be as many as it serves well", WITHIN, async || {
            (figure(&cluster.nodes[full].grpc_url(), "ferry_node_full").await? == 1).then_some(())
        })
        .await;
        let onward = get(&location).send().await.location().expect("sent on").to_owned();
        assert!(onward.contains(cluster.nodes[1 - full].address()), "{onward}");
        assert_eq!(get(&onward).send().await.status, StatusCode::OK);
    };
    let ((one, two), ()) = tokio::join!(transfers, next);
    for transfer in [one, two] {
        assert_eq!(transfer.expect("whole").sha256, sample.sha256);
    }
}

/// The kernel's own files open like others, and some of them cannot be read: to the node, that is a disk that fails.
#[tokio::test]
async fn what_a_disk_does_not_give_comes_from_another_node() {
    let workshop = Workshop::open();
    symlink("/sys/class/net/lo", workshop.path().join("files-0")).expect("a new link");
    let mut cluster = Cluster::start_in(workshop, Topology::nodes(2).own_roots()).await;
    cluster.nodes[0].program.tolerate("the disk does not do its work");
    let sample = samples::write(&cluster.root_of(1), "speed", 1000);
    let location = redirect_to(&cluster, 0, &sample.path()).await;
    let first = get(&location).send().await;
    assert!(first.location().expect("sent on").contains(cluster.nodes[1].address()));
    assert_eq!(get(&location).follow().await.finish().await.expect("whole").sha256, sample.sha256);
    let sent_on = figure(&cluster.nodes[0].grpc_url(), "ferry_node_sent_on_total{reason=\"disk\"}").await;
    assert_eq!(sent_on, Some(2));
}

/// P4: `etag = "digest"`, on disks whose times differ, begun on one node and resumed on the other.
#[tokio::test]
async fn a_download_is_resumed_on_a_node_whose_copy_has_another_time() {
    let cluster = Cluster::start(Topology::nodes(2).own_roots().node_flags(&["--etag", "digest"])).await;
    let sample = samples::write(&cluster.root_of(0), "a.bin", 8 * MIB);
    let copy = cluster.root_of(1).join(&sample.name);
    std::fs::copy(cluster.root_of(0).join(&sample.name), &copy).expect("room for a copy");
    let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    File::options().append(true).open(&copy).and_then(|file| file.set_modified(hour_ago)).expect("our own file");
    let tag = async |node: usize| {
        until("the file to be read", WITHIN, async || {
            let answer = get(&cluster.nodes[node].url(&sample.path())).send().await;
            let tag = answer.headers.get(header::ETAG)?.to_str().expect("plain").to_owned();
            Some(tag)
        })
        .await
    };
    let known = tag(0).await;
    assert_eq!(tag(1).await, known);

    let mut begun = get(&cluster.nodes[0].url(&sample.path())).kib_per_second(4096).send().await;
    begun.receive(2 * MIB).await;
    drop(begun);
    let rest = get(&cluster.nodes[1].url(&sample.path())).rest_from(2 * MIB).header(header::IF_RANGE, &known);
    let rest = rest.send().await;
    assert_eq!(rest.status, StatusCode::PARTIAL_CONTENT);
    let whole = std::fs::read(&copy).expect("the copy can be read");
    assert_eq!(rest.finish().await.expect("whole").sha256, samples::digest_of_bytes(&whole[2 * 1024 * 1024..]));
}
