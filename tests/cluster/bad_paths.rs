//! P8: a path never leaves its root, whatever its encoding, its symbolic links or a race. Sent raw: no client in between
//! that would tidy the path up.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::Duration,
};

use crate::harness::{
    Cluster, Topology, client::raw, get, roles::Role, samples, tools::run, until, workshop::Workshop,
};

const SECRET: &str = "not for you";

/// Targets that mean, to one decoder or another, the file beside the root.
const ATTEMPTS: [&str; 14] = [
    "/../secret.txt",
    "/a/../../secret.txt",
    "/./../secret.txt",
    "/%2e%2e/secret.txt",
    "/%2E%2E%2Fsecret.txt",
    "/..%2fsecret.txt",
    "/..%5csecret.txt",
    "/..\\secret.txt",
    "/%252e%252e%252fsecret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "//../secret.txt",
    "/..;/secret.txt",
    "/a.bin%00/../../secret.txt",
    "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
];

fn request(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: files.example\r\nConnection: close\r\n\r\n").into_bytes()
}

fn assert_harmless(answer: &str, target: &str) {
    assert!(answer.starts_with("HTTP/1.1 "), "{target}: {answer}");
    assert!(!answer.contains(SECRET) && !answer.contains("root:"), "{target} left the root: {answer}");
    assert!(!answer.starts_with("HTTP/1.1 5"), "{target}: a client's fault is no fault of the server: {answer}");
}

#[tokio::test]
async fn no_spelling_of_a_path_leaves_the_root_of_a_node() {
    let workshop = Workshop::open();
    let root = workshop.folder("files");
    workshop.file("secret.txt", SECRET);
    let sample = samples::write(&root, "a.bin", 1000);
    let mut node = Role::lone_node(&workshop, "node").root(&root).started();
    until("the node to serve", Duration::from_secs(10), async || get(&node.url(&sample.path())).try_send().await.ok())
        .await;
    for target in ATTEMPTS {
        assert_harmless(&raw(node.address(), &request(target)).await, target);
    }
    assert!(node.program.is_running());
    assert_eq!(get(&node.url(&sample.path())).send().await.status, 200);
}

#[tokio::test]
async fn no_spelling_of_a_path_leaves_the_root_of_the_fallback() {
    let workshop = Workshop::open();
    let root = workshop.folder("files");
    workshop.file("secret.txt", SECRET);
    let flags = ["--root", root.to_str().expect("a plain path")];
    let cluster = Cluster::start_in(workshop, Topology::nodes(0).gateway_flags(&flags)).await;
    for target in ATTEMPTS {
        assert_harmless(&raw(cluster.gateway.address(), &request(target)).await, target);
    }
}

#[tokio::test]
async fn no_header_is_split_by_what_a_path_holds() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    for target in ["/a%0d%0aX-Evil:%201", "/a%0aSet-Cookie:%20a=b", "/a?x=%0d%0aX-Evil:%201"] {
        let answer = raw(cluster.gateway.address(), &request(target)).await;
        assert_harmless(&answer, target);
        let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
        assert!(!head.lines().any(|line| line.starts_with("x-evil:") || line.starts_with("set-cookie:")), "{answer}");
    }
}

#[tokio::test]
async fn a_symbolic_link_out_of_the_root_leads_nowhere() {
    let workshop = Workshop::open();
    let root = workshop.folder("files");
    let secret = workshop.file("secret.txt", SECRET);
    symlink(&secret, root.join("link.txt")).expect("a link in the root");
    symlink(workshop.path(), root.join("out")).expect("a link in the root");
    symlink("../secret.txt", root.join("relative.txt")).expect("a link in the root");
    let node = Role::lone_node(&workshop, "node").root(&root).started();
    until("the node to serve", Duration::from_secs(10), async || get(&node.url("/x")).try_send().await.ok()).await;
    for path in ["/link.txt", "/out/secret.txt", "/relative.txt"] {
        let answer = get(&node.url(path)).send().await;
        assert!(matches!(answer.status.as_u16(), 403 | 404), "{path}: {}", answer.status);
    }
}

#[tokio::test]
async fn a_folder_and_a_pipe_are_no_files() {
    let workshop = Workshop::open();
    let root = workshop.folder("files");
    fs::create_dir(root.join("folder")).expect("the root can be written");
    let pipe = root.join("pipe");
    run("mkfifo", &[pipe.to_str().expect("a plain path")], &[], Duration::from_secs(5)).await.ok();
    let node = Role::lone_node(&workshop, "node").root(&root).started();
    until("the node to serve", Duration::from_secs(10), async || get(&node.url("/x")).try_send().await.ok()).await;
    for path in ["/folder", "/folder/", "/pipe", "/"] {
        let answer = get(&node.url(path)).send().await;
        assert!(matches!(answer.status.as_u16(), 403 | 404), "{path}: {}", answer.status);
    }
}

#[tokio::test]
async fn a_root_that_is_missing_or_no_folder_or_not_readable_is_refused_at_the_start() {
    let workshop = Workshop::open();
    let file = workshop.file("a-file", "");
    let closed = workshop.folder("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("an own folder");
    for root in [Path::new("/nowhere/at/all"), &file, &closed] {
        let mut node = Role::lone_node(&workshop, "node").root(root);
        node.program.without_override();
        let mut node = node.started();
        assert_eq!(node.program.exit(Duration::from_secs(10)).await.code(), Some(64), "{}", root.display());
        assert!(node.program.log().contains(root.to_str().expect("a plain path")), "{}", node.program.log());
    }
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("so that it can be cleaned up");
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_refused_and_the_node_goes_on() {
    let workshop = Workshop::open();
    let root = workshop.folder("files");
    let sample = samples::write(&root, "a.bin", 1000);
    samples::write(&root, "closed.bin", 1000);
    fs::set_permissions(root.join("closed.bin"), fs::Permissions::from_mode(0o000)).expect("an own file");
    let mut node = Role::lone_node(&workshop, "node").root(&root);
    node.program.without_override();
    let mut node = node.started();
    until("the node to serve", Duration::from_secs(10), async || get(&node.url("/x")).try_send().await.ok()).await;
    let status = get(&node.url("/closed.bin")).send().await.status.as_u16();
    assert!(matches!(status, 403 | 404), "{status}");
    assert_eq!(get(&node.url(&sample.path())).send().await.status, 200);
    assert!(node.program.is_running());
}
