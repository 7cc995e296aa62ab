//! `ferry get`: a download that comes to its end whatever happens to the nodes, to the network, or to itself.

use std::{fs, path::PathBuf, time::Duration};

use crate::harness::{
    Cluster, Topology,
    program::Program,
    samples::{self, MIB, Sample, digest_of},
    tools::ferry,
    until,
};

const LIMIT: Duration = Duration::from_secs(60);

/// `ferry get` of a sample, slowly enough for something to happen meanwhile.
fn slow_get(cluster: &Cluster, sample: &Sample) -> Program {
    let mut program = Program::new("get", env!("CARGO_BIN_EXE_ferry"), cluster.workshop.path());
    let target = target(cluster).display().to_string();
    program.args(&["get", &cluster.url(&sample.path()), "-o", &target, "--limit-rate", "4MiB"]);
    program
}

fn target(cluster: &Cluster) -> PathBuf {
    cluster.workshop.folder("downloads").join("film")
}

/// Waits until so many bytes of the file are there.
async fn until_has(cluster: &Cluster, bytes: u64) {
    let part = target(cluster).with_extension("part");
    until("a part of the file", LIMIT, async || {
        fs::metadata(&part).is_ok_and(|part| part.len() >= bytes).then_some(())
    })
    .await;
}

/// Which node has a transfer under way.
async fn serving(cluster: &Cluster, sample: &Sample) -> usize {
    let address = cluster.ask(&sample.path()).await.target().expect("a redirect");
    cluster.nodes.iter().position(|node| node.address() == address).expect("one of the nodes")
}

#[tokio::test]
async fn a_download_outlives_the_node_that_serves_it() {
    let mut cluster = Cluster::start(Topology::nodes(2)).await;
    let sample = samples::write(&cluster.root(), "film", 16 * MIB);
    let victim = serving(&cluster, &sample).await;
    let mut get = slow_get(&cluster, &sample);
    get.start();
    until_has(&cluster, 2 * MIB).await;
    cluster.nodes[victim].program.kill().await;
    assert!(get.exit(LIMIT).await.success(), "{}", get.log());
    assert_eq!(digest_of(&target(&cluster)), sample.sha256);
    assert!(get.log().contains(cluster.nodes[victim].address()), "it says who failed: {}", get.log());
}

#[tokio::test]
async fn a_download_that_was_killed_goes_on_where_it_stopped() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let sample = samples::write(&cluster.root(), "film", 16 * MIB);
    let mut get = slow_get(&cluster, &sample);
    get.start();
    until_has(&cluster, 2 * MIB).await;
    get.kill().await;
    assert!(!target(&cluster).exists(), "a part is not the file");
    // What is there already is not asked for again: it may be something that no node has any more.
    let path = target(&cluster);
    let mut part = fs::read(path.with_extension("part")).expect("a part");
    let marked = part.len() / 2;
    part[marked] ^= 0xff;
    fs::write(path.with_extension("part"), &part).expect("an own file");
    get.start();
    assert!(get.exit(LIMIT).await.success(), "{}", get.log());
    let whole = fs::read(&path).expect("it is there");
    let right = fs::read(cluster.root().join("film")).expect("the sample");
    let different: Vec<usize> = (0..right.len()).filter(|&at| whole.get(at) != right.get(at)).collect();
    assert_eq!(different, [marked], "all else is as it should be");
}

#[tokio::test]
async fn it_writes_to_a_pipe_and_says_in_its_exit_code_what_went_wrong() {
    let mut cluster = Cluster::start(Topology::nodes(1)).await;
    fs::write(cluster.root().join("words.txt"), "to be continued").expect("the root can be written");
    let url = |path: &str| cluster.url(path);
    let piped = ferry(&["get", "-q", "-o", "-", &url("/words.txt")]).await.ok();
    assert_eq!((piped.stdout.as_str(), piped.stderr.as_str()), ("to be continued", ""));

    let code = async |arguments: &[&str]| ferry(arguments).await.code;
    assert_eq!(code(&["get", "-o", "-", &url("/missing")]).await, Some(8));
    assert_eq!(code(&["get", "-o", "/nowhere/file", &url("/words.txt")]).await, Some(3));
    assert_eq!(code(&["get", "ftp://gateway/words.txt"]).await, Some(64));
    assert_eq!(code(&["get", "-H", "nonsense", &url("/words.txt")]).await, Some(64));
    let url = url("/words.txt");
    cluster.gateway.program.kill().await;
    assert_eq!(code(&["get", "-o", "-", "--give-up-after", "1s", &url]).await, Some(4));
}
