//! Streaming in both directions: a process's memory grows neither with the size of files nor with slow clients.

use crate::harness::{
    Cluster, Topology, get,
    origin::Origin,
    program::Program,
    samples::{self, MIB, Sample},
    workshop::Workshop,
};

/// Below what a node asks of one origin at a time (30).
const SLOW_READERS: usize = 24;
/// What so many transfers may cost together, far below one file of 200 MiB.
const ALLOWANCE: u64 = 64 * MIB;

/// The most memory that the process ever had, in bytes (proc(5), VmHWM).
fn peak(program: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).expect("an own child");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM is in it");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kib * 1024
}

/// Clients that begin to read the same large file at once, and hardly go on; one of them wants all of it.
async fn serve_slow_readers(url: &str, sample: &Sample) {
    let mut slow = Vec::new();
    for _ in 0..SLOW_READERS {
        let mut reader = get(url).kib_per_second(256).send().await;
        assert_eq!(reader.status, 200);
        reader.receive(64 * 1024).await;
        slow.push(reader);
    }
    let whole = get(url).send().await.finish().await.expect("whole");
    assert_eq!(whole.sha256, sample.sha256);
    for reader in &mut slow {
        reader.receive(128 * 1024).await;
    }
}

#[tokio::test]
async fn slow_readers_of_a_large_file_cost_a_node_little_memory() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let sample = samples::large(&cluster.root());
    let before = peak(&cluster.nodes[0].program);
    serve_slow_readers(&cluster.nodes[0].url(&sample.path()), &sample).await;
    let grown = peak(&cluster.nodes[0].program).saturating_sub(before);
    assert!(grown < ALLOWANCE, "the node grew by {} MiB", grown / MIB);
}

#[tokio::test]
async fn slow_readers_of_an_origins_large_file_cost_a_node_little_memory() {
    let workshop = Workshop::open();
    let behind = workshop.folder("behind");
    let sample = samples::large(&behind);
    let origin = Origin::start(&workshop, behind).await;
    let cluster = Cluster::start_in(workshop, Topology::nodes(1).origin(&origin.url())).await;
    let before = peak(&cluster.nodes[0].program);
    serve_slow_readers(&cluster.nodes[0].url(&sample.path()), &sample).await;
    let grown = peak(&cluster.nodes[0].program).saturating_sub(before);
    assert!(grown < ALLOWANCE, "the node grew by {} MiB", grown / MIB);
}
