//! A film, made and shown by ffmpeg.

use std::{path::Path, time::Duration};

use super::tools::{Outcome, run};

const LIMIT: Duration = Duration::from_secs(60);

/// Runs ffmpeg to its end, which must be a good one.
pub(crate) async fn ffmpeg(arguments: &[&str]) -> Outcome {
    let mut all = vec!["-nostdin", "-v", "error"];
    all.extend(arguments);
    run("ffmpeg", &all, &[], LIMIT).await.ok()
}

/// A stream of eight segments in `video/talk` below that root, and the file of its playlist, `index.m3u8`.
pub(crate) async fn stream(root: &Path) -> String {
    let folder = root.join("video/talk");
    std::fs::create_dir_all(&folder).expect("the root can be written");
    let playlist = folder.join("index.m3u8").to_str().expect("a plain path").to_owned();
    let source = "testsrc=duration=8:size=320x180:rate=25";
    let encode = ["-f", "lavfi", "-i", source, "-c:v", "mpeg2video", "-g", "25", "-b:v", "800k"];
    let cut = ["-f", "hls", "-hls_time", "1", "-hls_list_size", "0", &playlist];
    ffmpeg(&[encode.as_slice(), &cut].concat()).await;
    playlist
}

/// A digest of every frame that a player shows.
pub(crate) async fn frames(input: &str) -> String {
    let frames = ffmpeg(&["-i", input, "-map", "0:v", "-f", "framemd5", "-"]).await.stdout;
    assert!(frames.lines().count() > 200, "ffmpeg decoded hardly a frame");
    frames
}
