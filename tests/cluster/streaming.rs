//! HLS, made by ffmpeg and played by ffmpeg: SEMANTICS.md 4, the gateway answers for the playlist, so that each segment is
//! asked for there, and a player outlives a node.

use std::time::Duration;

use crate::harness::{
    Cluster, Topology, get,
    samples::describe,
    video::{ffmpeg, frames, stream},
};

#[tokio::test]
async fn a_player_gets_every_frame_of_a_stream() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let playlist = stream(&cluster.root()).await;
    let segments = cluster.root().join("video/talk").read_dir().expect("ffmpeg wrote there").filter_map(Result::ok);
    let segments: Vec<_> = segments.map(|entry| entry.file_name()).collect();
    assert!(segments.len() > 6, "only {segments:?}");
    for segment in segments {
        let name = format!("video/talk/{}", segment.to_str().expect("a plain name"));
        let sample = describe(&cluster.root(), &name);
        let answer = cluster.ask(&sample.path()).await;
        assert_eq!(answer.status, if name.ends_with(".m3u8") { 200 } else { 302 }, "{name}");
        let received = get(&cluster.url(&sample.path())).follow().await.finish().await.expect("whole");
        assert_eq!(received.sha256, sample.sha256, "{name}");
    }
    assert_eq!(frames(&cluster.url("/video/talk/index.m3u8")).await, frames(&playlist).await);
}

#[tokio::test]
async fn a_player_outlives_each_of_the_nodes() {
    let mut cluster = Cluster::start(Topology::nodes(2)).await;
    let expected = frames(&stream(&cluster.root()).await).await;
    for (dead, left) in [(0, 1), (1, 0)] {
        cluster.nodes[dead].program.kill().await;
        cluster.until_listed(&[left], Duration::from_secs(5)).await;
        assert_eq!(frames(&cluster.url("/video/talk/index.m3u8")).await, expected);
        cluster.nodes[dead].program.start();
        cluster.until_listed(&[0, 1], Duration::from_secs(20)).await;
    }
}

#[tokio::test]
async fn a_player_that_seeks_gets_the_range_it_asks_for() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let film = cluster.root().join("film.mp4");
    let film = film.to_str().expect("a plain path");
    // The index is at the end, as cameras leave it: a player has to seek.
    let source = "testsrc=duration=5:size=320x180:rate=25";
    ffmpeg(&["-f", "lavfi", "-i", source, "-c:v", "mpeg4", "-g", "25", film]).await;
    let seek = |input: String| async move { ffmpeg(&["-ss", "3", "-i", &input, "-f", "framemd5", "-"]).await.stdout };
    let from_disk = seek(film.to_owned()).await;
    assert!(from_disk.lines().count() > 40, "ffmpeg decoded hardly a frame");
    assert_eq!(seek(cluster.url("/film.mp4")).await, from_disk);
}
