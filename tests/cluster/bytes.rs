//! SEMANTICS.md 8 to 13, at a node and through a redirect to it: methods, ranges, validators, files that change.

use std::{fs, time::Duration};

use hyper::{
    Method,
    header::{self, HeaderName},
};

use crate::harness::{
    Cluster, Topology,
    client::{Answer, raw},
    get,
    samples::{self, MIB, Sample},
    tools::run,
};

const LIMIT: Duration = Duration::from_secs(20);

async fn with_sample(length: u64) -> (Cluster, Sample) {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let sample = samples::write(&cluster.root(), "a.bin", length);
    (cluster, sample)
}

async fn ask(cluster: &Cluster, sample: &Sample, name: HeaderName, value: &str) -> Answer {
    get(&cluster.url(&sample.path())).header(name, value).follow().await
}

#[tokio::test]
async fn other_methods_are_refused_with_what_is_allowed() {
    let (cluster, sample) = with_sample(1000).await;
    for role in [&cluster.gateway, &cluster.nodes[0]] {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let answer = get(&role.url(&sample.path())).method(method.clone()).send().await;
            assert_eq!(answer.status, 405, "{method} at {}", role.program.name());
            assert!(answer.header(&header::ALLOW).contains("GET"), "{}", answer.header(&header::ALLOW));
        }
    }
}

#[tokio::test]
async fn ranges_give_exactly_what_they_name() {
    let (cluster, sample) = with_sample(10_000).await;
    let whole = fs::read(cluster.root().join(&sample.name)).expect("the sample can be read");
    for (range, content_range, part) in [
        ("bytes=0-0", "bytes 0-0/10000", 0..1),
        ("bytes=100-199", "bytes 100-199/10000", 100..200),
        ("bytes=9990-", "bytes 9990-9999/10000", 9990..10_000),
        ("bytes=-10", "bytes 9990-9999/10000", 9990..10_000),
        ("bytes=9000-99999", "bytes 9000-9999/10000", 9000..10_000),
    ] {
        let answer = ask(&cluster, &sample, header::RANGE, range).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.header(&header::CONTENT_RANGE), content_range);
        let received = answer.finish().await.expect("whole");
        assert_eq!(received.sha256, samples::digest_of_bytes(&whole[part]), "{range}");
    }
    let beyond = ask(&cluster, &sample, header::RANGE, "bytes=10000-").await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header(&header::CONTENT_RANGE), "bytes */10000");
    let malformed = ask(&cluster, &sample, header::RANGE, "bytes=nonsense").await;
    assert_eq!(malformed.status, 200);
    assert_eq!(malformed.finish().await.expect("whole").sha256, sample.sha256);
}

#[tokio::test]
async fn several_ranges_come_as_parts_of_one_answer() {
    let (cluster, sample) = with_sample(10_000).await;
    let answer = ask(&cluster, &sample, header::RANGE, "bytes=0-1,9998-9999").await;
    assert_eq!(answer.status, 206);
    let kind = answer.header(&header::CONTENT_TYPE).to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect(&kind).trim_matches('"').to_owned();
    let length: u64 = answer.header(&header::CONTENT_LENGTH).parse().expect("its length is known");
    let target = cluster.workshop.path().join("parts");
    let file = target.to_str().expect("a plain path");
    // By curl too: what arrives there is the same to the byte.
    run("curl", &["-sSfL", "-r", "0-1,9998-9999", "-o", file, &cluster.url(&sample.path())], &[], LIMIT).await.ok();
    let parts = fs::read(&target).expect("curl wrote it");
    assert_eq!(answer.finish().await.expect("whole").length, length);
    assert_eq!(parts.len() as u64, length);
    let text = String::from_utf8_lossy(&parts);
    for part in ["bytes 0-1/10000", "bytes 9998-9999/10000"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!boundary.is_empty());
}

#[tokio::test]
async fn a_client_that_has_the_file_is_told_so() {
    let (cluster, sample) = with_sample(1000).await;
    let first = get(&cluster.url(&sample.path())).follow().await;
    let (validator, date) = (first.header(&header::ETAG).to_owned(), first.header(&header::LAST_MODIFIED).to_owned());
    // nginx's form: the time of the sample's last change and its length, in hexadecimal.
    assert_eq!(validator, format!("\"{:x}-{:x}\"", 1_700_000_000, 1000));
    assert_eq!(ask(&cluster, &sample, header::IF_NONE_MATCH, &validator).await.status, 304);
    assert_eq!(ask(&cluster, &sample, header::IF_MODIFIED_SINCE, &date).await.status, 304);
    assert_eq!(ask(&cluster, &sample, header::IF_NONE_MATCH, "\"other\"").await.status, 200);
    assert_eq!(ask(&cluster, &sample, header::IF_MATCH, "\"other\"").await.status, 412);
    let other_version = get(&cluster.url(&sample.path())).rest_from(10).header(header::IF_RANGE, "\"other\"");
    assert_eq!(other_version.follow().await.status, 200, "another version is sent whole");
}

#[tokio::test]
async fn a_file_that_is_replaced_goes_on_as_the_old_one_and_one_that_shrinks_ends_short() {
    let (cluster, sample) = with_sample(24 * MIB).await;
    let url = cluster.url(&sample.path());
    let mut old = get(&url).kib_per_second(64 * 1024).follow().await;
    old.receive(MIB).await;
    let new = samples::write(&cluster.root(), "new.bin", 24 * MIB);
    fs::rename(cluster.root().join(&new.name), cluster.root().join(&sample.name)).expect("an own folder");
    assert_eq!(old.finish().await.expect("whole").sha256, sample.sha256);

    let mut shrinking = get(&url).kib_per_second(64 * 1024).follow().await;
    shrinking.receive(MIB).await;
    let file = fs::File::options().write(true).open(cluster.root().join(&sample.name)).expect("an own file");
    file.set_len(2 * MIB).expect("an own file");
    assert!(shrinking.finish().await.is_err(), "it was padded, or passed for whole");
}

#[tokio::test]
async fn hidden_files_are_not_there_and_what_cannot_be_decoded_is_a_bad_request() {
    let (cluster, _) = with_sample(1).await;
    samples::write(&cluster.root(), ".git/config", 100);
    samples::write(&cluster.root(), "a/.htpasswd", 100);
    for path in ["/.git/config", "/a/.htpasswd", "/a/%2Ehtpasswd"] {
        assert_eq!(get(&cluster.nodes[0].url(path)).send().await.status, 404, "{path}");
    }
    for target in ["/a%", "/a%zz", "/%ff%fe"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: files.example\r\nConnection: close\r\n\r\n");
        let answer = raw(cluster.nodes[0].address(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{target}: {answer}");
    }
}

#[tokio::test]
async fn browsers_learn_the_type_and_the_length() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    for (name, kind) in [
        ("page.html", "text/html"),
        ("film.mp4", "video/mp4"),
        ("segment.ts", "video/mp2t"),
        ("minutes.pdf", "application/pdf"),
        ("archive.zip", "application/zip"),
        ("unknown.qqq", "application/octet-stream"),
    ] {
        let sample = samples::write(&cluster.root(), name, 500);
        let answer = get(&cluster.url(&sample.path())).follow().await;
        assert!(answer.header(&header::CONTENT_TYPE).starts_with(kind), "{name}: {:?}", answer.headers);
        assert_eq!(answer.header(&header::CONTENT_LENGTH), "500");
        assert_eq!(answer.header(&header::ACCEPT_RANGES), "bytes");
    }
}
