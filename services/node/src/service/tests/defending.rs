//! A node sends a request on that another one serves better (P4, P6): two nodes, and a test that follows their redirects by hand.

use std::{
    fs::File,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use ferry_core::tokens::{Endpoint, NodeGrant, seal};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use super::site::{Live, Reply, Site, ask, grant};
use crate::agent::twin::{Twin, ring};

/// More than all buffers between a node and a client that does not read.
const BIG: usize = 24 << 20;

/// Two nodes, each with a root of its own.
struct Pair {
    sites: [Site; 2],
    nodes: [Live; 2],
}

impl Pair {
    async fn start(flags: &[&str]) -> Self {
        let (sites, twin) = ([Site::new(), Site::new()], Twin::start("c1").await);
        let second = [flags, &["--node-id", "n2"]].concat();
        let nodes = [sites[0].start_with(&twin, flags).await, sites[1].start_with(&twin, &second).await];
        Self { sites, nodes }
    }

    /// Path and query of a redirect to the first node, or else to the second.
    fn redirect(&self, grant: &NodeGrant) -> String {
        let endpoint = |(number, node): (usize, &Live)| Endpoint {
            node: format!("n{}", number + 1).parse().expect("a name"),
            authority: node.address.to_string().parse().expect("an address"),
            secure: false,
        };
        let candidates = self.nodes.iter().enumerate().map(endpoint).collect();
        let token = seal(&ring().current, &NodeGrant { candidates, ..grant.clone() }).expect("it fits");
        format!("/{}?ferry={token}", grant.key)
    }

    /// Where the answer sends on to, if that is the second node.
    fn sent_on<'r>(&self, reply: &'r Reply) -> Option<&'r str> {
        let place = format!("http://{}", self.nodes[1].address);
        reply.field("location").strip_prefix(&place).filter(|_| reply.status == 302)
    }

    async fn figure(&self, name: &str) -> String {
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let page = String::from_utf8(ask(self.nodes[0].admin, request).await.body).expect("text");
        page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    }

    async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
    }
}

/// A file that was changed so many seconds after 1970, and its entity tag.
fn file(site: &Site, name: &str, content: &[u8], modified: u64) -> String {
    site.file(name, content);
    let path: &Path = &site.folder.path().join("root").join(name);
    let file = File::options().append(true).open(path).expect("our own file");
    file.set_modified(UNIX_EPOCH + Duration::from_secs(modified)).expect("our own file");
    format!("\"{modified:x}-{:x}\"", content.len())
}

async fn get(node: &Live, target: &str, fields: &str) -> Reply {
    ask(node.address, &format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}Connection: close\r\n\r\n")).await
}

/// A transfer that waits for its client.
async fn begin(node: &Live, target: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small window");
    let mut client = socket.connect(node.address).await.expect("it listens");
    client.write_all(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.expect("sent");
    let mut status = [0; 15];
    client.read_exact(&mut status).await.expect("the answer begins");
    assert_eq!(&status, b"HTTP/1.1 200 OK");
    client
}

#[tokio::test]
async fn what_one_node_lacks_another_has_and_what_nobody_has_is_not_found() {
    let pair = Pair::start(&[]).await;
    pair.sites[1].file("a", b"here");
    let first = pair.nodes[0].get(&pair.redirect(&grant("a"))).await;
    let onward = pair.sent_on(&first).expect("sent on");
    assert_eq!(pair.nodes[1].get(onward).await.body, b"here");

    let nobody = pair.nodes[0].get(&pair.redirect(&grant("none"))).await;
    let onward = pair.sent_on(&nobody).expect("sent on");
    let home = pair.nodes[1].get(onward).await;
    assert!(home.field("location").starts_with("https://files.example/none?ferry="), "the gateway may know others");
    let been_home =
        NodeGrant { tried: ["n1", "n2"].map(|name| name.parse().expect("a name")).to_vec(), ..grant("none") };
    assert_eq!(pair.nodes[1].get(&pair.redirect(&been_home)).await.status, 404, "home once");
    let asked_by_a_gateway = NodeGrant { hops: 1, home: None, ..grant("none") };
    assert_eq!(pair.nodes[0].get(&pair.redirect(&asked_by_a_gateway)).await.status, 404, "for itself");
    assert_eq!(pair.nodes[0].get("/none").await.status, 404, "no token, nowhere to go");
    assert_eq!(pair.figure("ferry_node_sent_on_total{reason=\"lacking\"}").await, "2");
    pair.stop().await;
}

#[tokio::test]
async fn where_all_read_the_same_files_a_missing_one_is_not_found_at_once() {
    let pair = Pair::start(&["--shared-root"]).await;
    assert_eq!(pair.nodes[0].get(&pair.redirect(&grant("none"))).await.status, 404);
    pair.stop().await;
}

#[tokio::test]
async fn another_version_than_the_promised_one_is_looked_for_elsewhere_and_given_whole_at_last() {
    let pair = Pair::start(&[]).await;
    let old = file(&pair.sites[0], "a", b"old version", 1000);
    let new = file(&pair.sites[1], "a", b"new", 2000);
    let promised = |validator: &str| grant_of(&pair, validator);
    let rest = "Range: bytes=1-\r\n";

    assert_eq!(get(&pair.nodes[0], &promised(&old), rest).await.body, b"ld version", "the promised one");
    for fields in ["", rest] {
        let first = get(&pair.nodes[0], &promised(&new), fields).await;
        let onward = pair.sent_on(&first).expect("sent on");
        let answer = get(&pair.nodes[1], onward, fields).await;
        assert_eq!((answer.status, answer.field("etag")), (if fields.is_empty() { 200 } else { 206 }, &*new));
    }
    // A third version was promised, and nobody has it.
    for (fields, expected) in [
        ("", (200, &b"new"[..])),
        (rest, (200, b"new")),
        (&format!("{rest}If-Range: {old}\r\n"), (200, b"new")),
        (&format!("{rest}If-Range: {new}\r\n"), (206, b"ew")),
        ("Range: bytes=5-\r\n", (200, b"new")),
    ] {
        let first = get(&pair.nodes[0], &promised("\"third-1\""), fields).await;
        let onward = pair.sent_on(&first).expect("sent on");
        let answer = get(&pair.nodes[1], onward, fields).await;
        assert_eq!((answer.status, &*answer.body), expected, "{fields}");
    }
    let refused = format!("{rest}If-Match: {old}\r\n");
    let onward = get(&pair.nodes[0], &promised(&new), &refused).await;
    let onward = pair.sent_on(&onward).expect("the client and the redirect disagree");
    assert_eq!(get(&pair.nodes[1], onward, &refused).await.status, 412);
    pair.stop().await;
}

fn grant_of(pair: &Pair, validator: &str) -> String {
    pair.redirect(&NodeGrant { validator: Some(validator.to_owned()), ..grant("a") })
}

#[tokio::test]
async fn as_many_transfers_as_there_may_be_go_on_and_the_next_goes_elsewhere() {
    let pair = Pair::start(&["--max-transfers", "1"]).await;
    for site in &pair.sites {
        site.file("big", &vec![7; BIG]);
    }
    let redirect = pair.redirect(&grant("big"));
    let mut slow = begin(&pair.nodes[0], &redirect).await;
    let next = pair.nodes[0].get(&redirect).await;
    let onward = pair.sent_on(&next).expect("sent on").to_owned();
    let head = format!("HEAD {redirect} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(ask(pair.nodes[0].address, &head).await.status, 200, "a HEAD is no transfer");
    let untold = pair.nodes[0].get("/big").await;
    assert_eq!((untold.status, untold.field("retry-after")), (503, "2"), "no token, nowhere to go");

    let second = begin(&pair.nodes[1], &onward).await;
    let home = pair.nodes[1].get(&onward).await;
    assert!(home.field("location").starts_with("https://files.example/big?ferry="), "the gateway may know others");
    let been_home =
        NodeGrant { tried: ["n1", "n2"].map(|name| name.parse().expect("a name")).to_vec(), ..grant("big") };
    let again = pair.nodes[1].get(&pair.redirect(&been_home)).await;
    assert_eq!((again.status, again.field("retry-after")), (503, "2"), "home once");

    let mut rest = vec![0; BIG];
    slow.read_exact(&mut rest).await.expect("nothing that runs is cut");
    drop((slow, second));
    assert_eq!(pair.figure("ferry_node_sent_on_total{reason=\"transfers\"}").await, "1");
    pair.stop().await;
}

#[tokio::test]
async fn a_link_that_is_shared_out_takes_no_more_clients_while_another_node_does() {
    let pair = Pair::start(&["--capacity", "100KB", "--min-client-rate", "50KB"]).await;
    for site in &pair.sites {
        site.file("big", &vec![7; BIG]);
    }
    let redirect = pair.redirect(&grant("big"));
    let [one, two] = [begin(&pair.nodes[0], &redirect).await, begin(&pair.nodes[0], &redirect).await];
    tokio::select! {
        () = read_on(one) => panic!("it takes half a minute"),
        () = read_on(two) => panic!("it takes half a minute"),
        () = goes_elsewhere_while_it_can(&pair, &redirect) => {}
    }
    pair.stop().await;
}

/// Reads 800 KB per second.
async fn read_on(mut transfer: TcpStream) {
    let (mut some, mut pace) = ([0; 16_000], tokio::time::interval(Duration::from_millis(20)));
    while transfer.read(&mut some).await.expect("it is not cut") > 0 {
        pace.tick().await;
    }
}

async fn goes_elsewhere_while_it_can(pair: &Pair, redirect: &str) {
    let full = async {
        while pair.figure("ferry_node_full ").await != "1" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::site::LIMIT, full).await.expect("two share it");
    let next = pair.nodes[0].get(redirect).await;
    let onward = pair.sent_on(&next).expect("sent on");
    assert_eq!(get(&pair.nodes[1], onward, "Range: bytes=0-9\r\n").await.status, 206);
    assert_eq!(get(&pair.nodes[0], "/big", "Range: bytes=0-9\r\n").await.status, 206, "no token: it serves");
    let hopped = pair.redirect(&NodeGrant { hops: 1, tried: vec!["n2".parse().expect("a name")], ..grant("big") });
    assert_eq!(get(&pair.nodes[0], &hopped, "Range: bytes=0-9\r\n").await.status, 206, "it serves rather than fails");
}

/// P4, P10: whoever resumes before a node has read its file gets the whole, and after that the rest.
#[tokio::test]
async fn a_download_goes_on_at_a_node_whose_copy_has_another_time() {
    let pair = Pair::start(&["--etag", "digest"]).await;
    file(&pair.sites[0], "a", b"the same bytes", 1000);
    file(&pair.sites[1], "a", b"the same bytes", 2000);
    let tag = tag_of(&pair.nodes[0]).await;
    let resume = format!("Range: bytes=9-\r\nIf-Range: {tag}\r\n");
    let early = get(&pair.nodes[1], "/a", &resume).await;
    assert!(matches!((early.status, &*early.body), (200, b"the same bytes") | (206, b"bytes")), "{}", early.status);
    assert_eq!(tag_of(&pair.nodes[1]).await, tag);
    let resumed = get(&pair.nodes[1], "/a", &resume).await;
    assert_eq!((resumed.status, &*resumed.body), (206, &b"bytes"[..]));
    let promised = grant_of(&pair, &tag);
    assert_eq!(get(&pair.nodes[0], &promised, "Range: bytes=9-\r\n").await.body, b"bytes", "as the redirect has it");
    file(&pair.sites[1], "a", b"the same words", 2000);
    let changed = get(&pair.nodes[1], "/a", &resume).await;
    assert_eq!((changed.status, &*changed.body), (200, &b"the same words"[..]));
    pair.stop().await;
}

/// The entity tag of a file, once the node knows it.
async fn tag_of(node: &Live) -> String {
    let known = async {
        loop {
            let answer = node.get("/a").await;
            assert_eq!((answer.status, &*answer.body), (200, &b"the same bytes"[..]));
            if answer.field("repr-digest").starts_with("sha-256=:") {
                break answer.field("etag").to_owned();
            }
            assert_eq!(answer.field("etag"), "", "nothing is known of it yet");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(super::site::LIMIT, known).await.expect("it is read")
}
