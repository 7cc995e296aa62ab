//! HLS, made by ffmpeg and played by ffmpeg: a playlist, its segments, each asked for through the gateway.

use std::time::Duration;

use crate::harness::{
    Cluster, Topology, get,
    samples::describe,
    tools::{Outcome, run},
};

const LIMIT: Duration = Duration::from_secs(60);

async fn ffmpeg(arguments: &[&str]) -> Outcome {
    let mut all = vec!["-nostdin", "-v", "error"];
    all.extend(arguments);
    run("ffmpeg", &all, &[], LIMIT).await.ok()
}

#[tokio::test]
async fn a_player_gets_every_frame_of_a_stream() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let folder = cluster.root().join("video/talk");
    std::fs::create_dir_all(&folder).expect("the root can be written");
    let playlist = folder.join("index.m3u8");
    let playlist = playlist.to_str().expect("a plain path");
    let source = "testsrc=duration=8:size=320x180:rate=25";
    let encode = ["-f", "lavfi", "-i", source, "-c:v", "mpeg2video", "-g", "25", "-b:v", "800k"];
    let cut = ["-f", "hls", "-hls_time", "1", "-hls_list_size", "0", playlist];
    ffmpeg(&[encode.as_slice(), &cut].concat()).await;

    let segments: Vec<_> = folder.read_dir().expect("ffmpeg wrote there").filter_map(Result::ok).collect();
    assert!(segments.len() > 6, "only {} files", segments.len());
    for segment in segments {
        let name = format!("video/talk/{}", segment.file_name().to_str().expect("a plain name"));
        let sample = describe(&cluster.root(), &name);
        let received = get(&cluster.url(&sample.path())).follow().await.finish().await.expect("whole");
        assert_eq!(received.sha256, sample.sha256, "{name}");
    }

    let from_disk = ffmpeg(&["-i", playlist, "-map", "0:v", "-f", "framemd5", "-"]).await;
    let url = cluster.url("/video/talk/index.m3u8");
    let from_cluster = ffmpeg(&["-i", &url, "-map", "0:v", "-f", "framemd5", "-"]).await;
    assert!(from_disk.stdout.lines().count() > 200, "ffmpeg decoded hardly a frame");
    assert_eq!(from_cluster.stdout, from_disk.stdout);
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
