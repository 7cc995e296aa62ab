//! A node with a cache, and the programs that people download and watch with: whatever asks, and in whatever pieces, gets every byte
//! as the origin has it, and the origin is asked as little as can be. None of them asks twice: what fails is seen here.

use std::{fs, path::PathBuf, time::Duration};

use ferry_delivery::origin::faulty::{Fault, Faulty, Transport};
use sha2::{Digest as _, Sha256};

use crate::harness::{
    origin::Origin,
    roles::Role,
    samples::{self, MIB, digest_of},
    tools::run,
    video::{frames, stream},
    workshop::Workshop,
};

const LIMIT: Duration = Duration::from_secs(60);
/// Large enough that no socket's buffer has much of it.
const LENGTH: u64 = 48 * MIB;

async fn node(workshop: &Workshop, origin: &str) -> Role {
    let kept = workshop.folder("kept");
    let flags = ["--origin", origin, "--cache", kept.to_str().expect("a plain path"), "--drain-grace", "0s"];
    Role::lone_node(workshop, "cache").flags(&flags).started().listening().await
}

/// A cold cache in front of one object that stays fresh for an hour.
struct Bench {
    node: Role,
    origin: Faulty,
    downloads: PathBuf,
    sha256: String,
    workshop: Workshop, // last: it is the folder of all of them
}

impl Bench {
    async fn cold() -> Self {
        let (workshop, origin) = (Workshop::open(), Faulty::start(Transport::Plain, LENGTH).await);
        origin.say("cache-control", "max-age=3600");
        let node = node(&workshop, &origin.url()).await;
        let sha256 = samples::hex(&Sha256::digest(origin.content().bytes(1, 0..LENGTH)));
        Self { node, origin, downloads: workshop.folder("downloads"), sha256, workshop }
    }

    fn url(&self) -> String {
        self.node.url("/film.bin")
    }

    /// Where a download of that name goes.
    fn target(&self, name: &str) -> String {
        self.downloads.join(name).to_str().expect("a plain path").to_owned()
    }

    /// Puts a third of the object where a download of that name goes on.
    fn begun(&self, name: &str) {
        fs::write(self.target(name), self.origin.content().bytes(1, 0..LENGTH / 3)).expect("the test's own folder");
    }

    async fn curl(&self, name: &str) {
        run("curl", &["-sSfL", "-C", "-", "-o", &self.target(name), &self.url()], &[], LIMIT).await.ok();
        self.compare(name);
    }

    async fn wget(&self, name: &str) {
        run("wget", &["-nv", "--tries=1", "-c", "-O", &self.target(name), &self.url()], &[], LIMIT).await.ok();
        self.compare(name);
    }

    async fn aria2(&self, name: &str, connections: u8) {
        let (at_once, parts) = (format!("-x{connections}"), format!("-s{connections}"));
        let folder = self.downloads.to_str().expect("a plain path");
        let rest =
            ["-k1M", "--max-tries=1", "--console-log-level=warn", "--allow-overwrite=true", "-d", folder, "-o", name];
        let url = self.url();
        run("aria2c", &[&[at_once.as_str(), &parts], rest.as_slice(), &[&url]].concat(), &[], LIMIT).await.ok();
        self.compare(name);
    }

    fn compare(&self, name: &str) {
        assert_eq!(digest_of(&self.downloads.join(name)), self.sha256, "{name}");
    }
}

#[tokio::test]
async fn three_programs_that_come_at_once_to_a_cold_object_cost_the_origin_one_copy_of_it() {
    let bench = Bench::cold().await;
    tokio::join!(bench.curl("by-curl"), bench.wget("by-wget"), bench.aria2("by-aria2", 1));
    // A request to the origin that is ended early costs what the sockets hold; a second copy would be twice the length.
    assert!(
        bench.origin.sent() < LENGTH + LENGTH / 2,
        "{} of {LENGTH}: {:?}",
        bench.origin.sent(),
        bench.origin.seen()
    );
}

#[tokio::test]
async fn aria2_with_16_connections_fills_the_cache_for_those_who_come_later() {
    let bench = Bench::cold().await;
    bench.aria2("by-aria2", 16).await;
    let (sent, asked) = (bench.origin.sent(), bench.origin.seen().len());
    // Sixteen requests that are ended early, where somebody else's bytes begin.
    assert!(sent < 2 * LENGTH, "the origin sent {sent} bytes for {LENGTH}");
    bench.curl("by-curl").await;
    bench.wget("by-wget").await;
    assert_eq!((bench.origin.sent(), bench.origin.seen().len()), (sent, asked), "{:?}", bench.origin.seen());
}

#[tokio::test]
async fn downloads_that_broke_off_elsewhere_are_resumed_on_a_cold_cache() {
    let bench = Bench::cold().await;
    bench.begun("by-curl");
    bench.begun("by-wget");
    bench.curl("by-curl").await;
    bench.wget("by-wget").await;
    // What nobody wanted yet is there for whoever wants it.
    bench.aria2("by-aria2", 4).await;
    assert!(bench.origin.sent() < 2 * LENGTH, "the origin sent {} bytes for {LENGTH}", bench.origin.sent());
}

#[tokio::test]
async fn nobody_sees_an_origin_that_breaks_off_while_the_cache_fills() {
    let bench = Bench::cold().await;
    bench.origin.next([Fault::Close(5 * MIB), Fault::Unheard, Fault::Reset(3 * MIB), Fault::Status(503)]);
    tokio::join!(bench.curl("by-curl"), bench.wget("by-wget"));
    let asked = bench.origin.seen().len();
    assert!(asked >= 5, "all of that happened: {:?}", bench.origin.seen());
    bench.aria2("by-aria2", 16).await;
    assert_eq!(bench.origin.seen().len(), asked, "what came in pieces is whole");
}

#[tokio::test]
async fn what_a_node_fetched_is_there_after_its_restart() {
    let mut bench = Bench::cold().await;
    bench.curl("before").await;
    let asked = bench.origin.seen().len();
    assert!(bench.node.program.stop(Duration::from_secs(20)).await.success());
    bench.node.program.start();
    bench.node = bench.node.listening().await;
    bench.wget("after").await;
    assert_eq!(bench.origin.seen().len(), asked, "{:?}", bench.origin.seen());
    assert!(bench.workshop.path().join("kept").is_dir());
}

#[tokio::test]
async fn a_player_gets_every_frame_of_a_cold_stream_and_the_origin_hears_of_the_first_only() {
    let workshop = Workshop::open();
    let behind = workshop.folder("behind");
    let expected = frames(&stream(&behind).await).await;
    let origin = Origin::start(&workshop, behind).await;
    let node = node(&workshop, &origin.url()).await;
    let playlist = node.url("/video/talk/index.m3u8");
    assert_eq!(frames(&playlist).await, expected);
    let asked = origin.seen().len();
    assert!(asked > 7, "the playlist and its segments: {:?}", origin.seen());
    assert_eq!(frames(&playlist).await, expected);
    assert_eq!(origin.seen().len(), asked, "{:?}", &origin.seen()[asked..]);
}
