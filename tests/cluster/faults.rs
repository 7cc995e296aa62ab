//! One fault after another while clients download: whoever resumes what broke off gets every file, and every byte.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::{StatusCode, header};
use rustix::process::Signal;
use tokio::{task::JoinSet, time::sleep};

use crate::harness::{
    Cluster, Topology, get,
    samples::{self, MIB, Sample},
};

const CLIENTS: u64 = 4;
/// How long one download may take, however often it breaks off. A frozen node keeps its client for 20 s.
const DELIVERED_WITHIN: Duration = Duration::from_secs(60);
const BETWEEN_FAULTS: Duration = Duration::from_millis(1500);
/// As download programs do, before they try again.
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// Downloads as a stubborn client does: what broke off is resumed under the validator that it began with.
async fn download(url: &str, sample: &Sample) {
    let deadline = Instant::now() + DELIVERED_WITHIN;
    let (mut bytes, mut validator) = (Vec::new(), String::new());
    loop {
        let mut request = get(url);
        if !bytes.is_empty() {
            request = request.rest_from(bytes.len() as u64).header(header::IF_RANGE, &validator);
        }
        if let Ok(answer) = request.try_follow().await {
            let whole = answer.status == StatusCode::OK;
            if whole || answer.status == StatusCode::PARTIAL_CONTENT {
                if whole {
                    bytes.clear();
                }
                answer.header(&header::ETAG).clone_into(&mut validator);
                if answer.append_to(&mut bytes).await.is_ok() {
                    break;
                }
            }
        }
        assert!(Instant::now() < deadline, "{url} did not arrive within {DELIVERED_WITHIN:?}");
        sleep(BETWEEN_TRIES).await;
    }
    assert_eq!(samples::digest_of_bytes(&bytes), sample.sha256, "{url}");
}

/// One round: each supplier and each node in turn dies, or hangs, and comes back.
async fn round(cluster: &mut Cluster, number: usize) {
    let node = number % cluster.nodes.len();
    match number % 4 {
        0 => {
            cluster.nodes[node].program.kill().await;
            sleep(BETWEEN_FAULTS).await;
            cluster.nodes[node].program.start();
        }
        1 => {
            cluster.nodes[node].program.signal(Signal::STOP);
            sleep(4 * BETWEEN_FAULTS).await;
            cluster.nodes[node].program.signal(Signal::CONT);
        }
        2 => {
            let coordinator = number / 4 % cluster.coordinators.len();
            cluster.coordinators[coordinator].program.kill().await;
            sleep(BETWEEN_FAULTS).await;
            cluster.coordinators[coordinator].program.start();
        }
        _ => {
            let etcd = cluster.etcd.as_mut().expect("this cluster has one");
            etcd.program.kill().await;
            sleep(BETWEEN_FAULTS).await;
            etcd.resume().await;
        }
    }
    sleep(BETWEEN_FAULTS).await;
}

async fn no_download_fails_for(time: Duration) {
    let mut cluster = Cluster::start(Topology::nodes(3).coordinators_on_etcd(2)).await;
    let files: Vec<Sample> =
        (0..8).map(|number| samples::write(&cluster.root(), &format!("{number}.bin"), 2 * MIB)).collect();
    let (stop, delivered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (stop, delivered) = (Arc::clone(&stop), Arc::clone(&delivered));
        let files: Vec<_> = files.iter().map(|file| (cluster.url(&file.path()), file.clone())).collect();
        clients.spawn(async move {
            for (url, sample) in files.iter().cycle().skip(client as usize) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                download(url, sample).await;
                delivered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let began = Instant::now();
    let mut number = 0;
    while began.elapsed() < time {
        round(&mut cluster, number).await;
        number += 1;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.expect("no download failed");
    }
    assert!(number >= 4, "only {number} rounds of faults");
    assert!(delivered.load(Ordering::Relaxed) > time.as_secs(), "hardly anything was downloaded");
    cluster.until_listed(&[0, 1, 2], Duration::from_secs(20)).await;
}

#[tokio::test]
async fn no_download_fails_while_each_part_fails_once() {
    no_download_fails_for(Duration::from_secs(18)).await;
}

#[tokio::test]
#[ignore = "long: twenty minutes of faults"]
async fn no_download_fails_while_parts_fail_for_twenty_minutes() {
    no_download_fails_for(Duration::from_secs(20 * 60)).await;
}
