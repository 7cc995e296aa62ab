//! What only a server can do: freeze, die, come back, compact, forget a lease, and refuse.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use etcd_client::{Permission, PermissionType};
use ferry_store::{Credentials, Error, Etcd, EtcdOptions, EtcdTls, Expected, Store};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    server::Server,
    support::{Background, Watcher, create, put, soon},
};

fn store(server: &Server) -> Arc<Etcd> {
    Arc::new(Etcd::new(EtcdOptions::new([server.endpoint()])).expect("the options are good"))
}

fn one_line(error: &Error) -> String {
    let text = error.to_string();
    assert!(!text.contains('\n') && text.len() < 200, "{text}");
    text
}

#[tokio::test]
async fn a_store_begins_before_its_etcd() {
    let mut server = Server::start().await;
    let store = store(&server);
    server.kill();
    let error = soon("an answer", store.get("k")).await.expect_err("etcd is away");
    assert!(matches!(error, Error::Unavailable { .. }) && one_line(&error).contains(&server.endpoint()), "{error}");
    let mut watcher = Watcher::new(&*store, "");
    watcher.until("the loss", |watcher| watcher.view.lost().is_some()).await;
    server.restart().await;
    watcher.begin().await;
    create(&*store, "k", "x").await;
    watcher.until("the change", |watcher| watcher.value("k").is_some()).await;
}

#[tokio::test]
async fn a_frozen_etcd_is_noticed() {
    let server = Server::start().await;
    let store = store(&server);
    let mut watcher = Watcher::new(&*store, "");
    watcher.begin().await;
    server.freeze();
    let frozen = Instant::now();
    watcher.until("the loss", |watcher| watcher.view.lost().is_some()).await;
    assert!(frozen.elapsed() < Duration::from_secs(6), "noticed after {:?}", frozen.elapsed());
    let asked = Instant::now();
    let answer = store.compare_and_swap("k", Expected::Absent, put("x")).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
    assert!(asked.elapsed() < Duration::from_secs(4), "answered after {:?}", asked.elapsed());
    server.thaw();
    watcher.until("its return", |watcher| watcher.view.lost().is_none()).await;
    create(&*store, "later", "x").await;
    watcher.until("the change", |watcher| watcher.value("later").is_some()).await;
}

#[tokio::test]
async fn an_idle_watch_is_left_in_peace() {
    let server = Server::start().await;
    let mut watcher = Watcher::new(&*store(&server), "");
    watcher.begin().await;
    // Longer than etcd takes to close a connection for pinging too often (seen after 8 s with pings every 2 s).
    let quiet = tokio::time::timeout(Duration::from_secs(15), watcher.step()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test]
async fn a_killed_etcd_that_returns_is_followed_again() {
    let mut server = Server::start().await;
    let store = store(&server);
    create(&*store, "before", "x").await;
    let mut watcher = Watcher::new(&*store, "");
    watcher.begin().await;
    server.kill();
    watcher.until("the loss", |watcher| watcher.view.lost().is_some()).await;
    assert!(watcher.value("before").is_some(), "the last words stand");
    server.restart().await;
    watcher.until("the second listing", |watcher| watcher.resets == 2).await;
    create(&*store, "after", "x").await;
    watcher.until("a later change", |watcher| watcher.value("after").is_some()).await;
    assert!(watcher.value("before").is_some());
}

#[tokio::test]
async fn a_watch_that_missed_a_compaction_reads_everything_again() {
    /// Together more than fits between etcd and a watch that is not polled: the connection's window of 2 MiB, and the
    /// 1024 messages that etcd keeps for each watch.
    const CHANGES: usize = 2500;
    const VALUE_BYTES: usize = 4096;
    let server = Server::start().await;
    let store = store(&server);
    let mut watcher = Watcher::new(&*store, "");
    watcher.begin().await;
    let large = "x".repeat(VALUE_BYTES);
    let mut revision = create(&*store, "busy", &large).await;
    for _ in 0..CHANGES {
        let swapped = store.compare_and_swap("busy", Expected::Revision(revision), put(&large)).await;
        revision = swapped.expect("nobody else changes it");
    }
    let compaction = i64::try_from(revision).expect("small");
    server.client().await.compact(compaction, None).await.expect("etcd compacts");
    watcher.until("the second listing", |watcher| watcher.resets == 2).await;
    assert!(one_line(&watcher.losses[0]).contains("compacted"), "{:?}", watcher.losses);
    assert_eq!(watcher.view.entries()["busy"].revision, revision);
    create(&*store, "last", "x").await;
    watcher.until("a later change", |watcher| watcher.value("last").is_some()).await;
}

#[tokio::test]
async fn a_presence_returns_after_its_lease_was_revoked() {
    let server = Server::start().await;
    let store = store(&server);
    let ttl = Duration::from_secs(3);
    let _presence = Background::run(store.present("me", Bytes::from("x"), ttl, CancellationToken::new()));
    let mut watcher = Watcher::new(&*store, "");
    watcher.until("the presence", |watcher| watcher.value("me").is_some()).await;
    let mut client = server.client().await;
    let lease = client.get("/ferry/v1/me", None).await.expect("readable").kvs()[0].lease();
    assert_ne!(lease, 0, "it is leased");
    client.lease_revoke(lease).await.expect("etcd revokes");
    watcher.until("its end", |watcher| watcher.value("me").is_none()).await;
    watcher.until("its return", |watcher| watcher.value("me").is_some()).await;
}

#[tokio::test]
async fn a_presence_returns_after_somebody_deleted_or_overwrote_it() {
    let server = Server::start().await;
    let store = store(&server);
    let ttl = Duration::from_secs(2);
    let _presence = Background::run(store.present("me", Bytes::from("x"), ttl, CancellationToken::new()));
    let mut watcher = Watcher::new(&*store, "");
    watcher.until("the presence", |watcher| watcher.value("me").is_some()).await;
    let mut client = server.client().await;
    client.delete("/ferry/v1/me", None).await.expect("etcd deletes");
    watcher.until("its end", |watcher| watcher.value("me").is_none()).await;
    watcher.until("its return", |watcher| watcher.value("me") == Some(b"x")).await;
    client.put("/ferry/v1/me", "other", None).await.expect("etcd puts");
    watcher.until("the other", |watcher| watcher.value("me") == Some(b"other")).await;
    watcher.until("its return", |watcher| watcher.value("me") == Some(b"x")).await;
}

#[tokio::test]
async fn a_presence_returns_after_etcd_was_frozen_beyond_its_lease() {
    let server = Server::start().await;
    let store = store(&server);
    let ttl = Duration::from_secs(2);
    let stop = CancellationToken::new();
    let presence = Background::run(store.present("me", Bytes::from("x"), ttl, stop.clone()));
    let mut watcher = Watcher::new(&*store, "");
    watcher.until("the presence", |watcher| watcher.value("me").is_some()).await;
    server.freeze();
    tokio::time::sleep(ttl * 3).await; // the span itself is what is tested
    server.thaw();
    watcher.until("its return", |watcher| watcher.view.lost().is_none() && watcher.value("me").is_some()).await;
    // It is also kept, not only there: a whole lease later it still stands.
    tokio::time::sleep(ttl * 2).await;
    assert!(store.get("me").await.expect("readable").is_some());
    stop.cancel();
    presence.ended().await;
    assert_eq!(store.get("me").await, Ok(None));
}

#[tokio::test]
async fn a_withdrawal_does_not_wait_for_an_etcd_that_is_away() {
    let server = Server::start().await;
    let store = store(&server);
    let stop = CancellationToken::new();
    let presence = Background::run(store.present("me", Bytes::from("x"), Duration::from_secs(5), stop.clone()));
    let mut watcher = Watcher::new(&*store, "");
    watcher.until("the presence", |watcher| watcher.value("me").is_some()).await;
    server.freeze();
    let begun = Instant::now();
    stop.cancel();
    presence.ended().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "it took {:?}", begun.elapsed());
}

#[tokio::test]
async fn prefixes_keep_clusters_apart() {
    let server = Server::start().await;
    let of = |prefix: &str| {
        let options = EtcdOptions { prefix: prefix.into(), ..EtcdOptions::new([server.endpoint()]) };
        Etcd::new(options).expect("the options are good")
    };
    let (one, other) = (of("/one/"), of("/other/"));
    let mut watcher = Watcher::new(&one, "");
    watcher.begin().await;
    create(&other, "k", "theirs").await;
    assert_eq!(one.get("k").await, Ok(None));
    assert!(one.list("").await.expect("readable").entries.is_empty());
    create(&one, "k", "ours").await;
    watcher.until("ours", |watcher| watcher.value("k").is_some()).await;
    assert_eq!(watcher.value("k"), Some(&b"ours"[..]));
    assert_eq!(other.get("k").await.expect("readable").expect("there").value, "theirs");
}

#[tokio::test]
async fn a_wrong_password_is_refused_in_one_line() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.user_add("root", "right", None).await.expect("etcd adds");
    client.role_add("root").await.expect("etcd adds");
    client.user_grant_role("root", "root").await.expect("etcd grants");
    client.user_add("reader", "right", None).await.expect("etcd adds");
    client.role_add("elsewhere").await.expect("etcd adds");
    let permission = Permission::new(PermissionType::Readwrite, "/elsewhere").with_prefix();
    client.role_grant_permission("elsewhere", permission).await.expect("etcd grants");
    client.user_grant_role("reader", "elsewhere").await.expect("etcd grants");
    client.auth_enable().await.expect("etcd enables");

    let with = |credentials: Option<(&str, &str)>| {
        let credentials =
            credentials.map(|(user, password)| Credentials { user: user.into(), password: password.into() });
        Etcd::new(EtcdOptions { credentials, ..EtcdOptions::new([server.endpoint()]) }).expect("the options are good")
    };
    create(&with(Some(("root", "right"))), "k", "x").await;
    for (credentials, why) in [
        (Some(("root", "wrong")), "authentication failed"),
        (Some(("nobody", "right")), "authentication failed"),
        (Some(("reader", "right")), "permission denied"),
        (None, "user name is empty"),
    ] {
        let store = with(credentials);
        let error = store.get("k").await.expect_err("refused");
        assert!(matches!(error, Error::Refused { .. }) && one_line(&error).contains(why), "{error}");
        assert!(!one_line(&error).contains("right"), "{error}");
        let mut watcher = Watcher::new(&store, "");
        watcher.until("the refusal", |watcher| matches!(watcher.view.lost(), Some(Error::Refused { .. }))).await;
    }
}

#[tokio::test]
async fn mutual_tls_is_spoken_and_strangers_are_refused() {
    let authority = Authority::new();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("writable");
        path
    };
    let (certificate, key) = authority.issue();
    let ca = file("ca.pem", &authority.pem);
    let (certificate, key) = (file("cert.pem", &certificate), file("key.pem", &key));
    let shown = |path: &std::path::Path| path.display().to_string();
    let server = Server::start_with(vec![
        "--client-cert-auth".into(),
        format!("--trusted-ca-file={}", shown(&ca)),
        format!("--cert-file={}", shown(&certificate)),
        format!("--key-file={}", shown(&key)),
    ])
    .await;
    let with = |ca, identity| {
        let tls = Some(EtcdTls { ca, identity });
        Etcd::new(EtcdOptions { tls, ..EtcdOptions::new([server.endpoint()]) }).expect("the options are good")
    };

    let known = with(ca.clone(), Some((certificate.clone(), key.clone())));
    soon("etcd to lead", async { while known.get("k").await.is_err() {} }).await;
    create(&known, "k", "x").await;

    let stranger = file("stranger.pem", &Authority::new().pem);
    for (store, what) in [
        (with(stranger, Some((certificate, key))), "an authority that did not sign etcd's certificate"),
        (with(directory.path().join("missing.pem"), None), "a missing file"),
    ] {
        let error = store.get("k").await.expect_err(what);
        assert!(matches!(error, Error::Refused { .. }), "{what}: {error}");
        one_line(&error);
    }
    // TLS 1.3 says it after the handshake, and a reset may overtake the alert: then the next attempt tells.
    let nobody = with(ca, None);
    let told = async {
        while !one_line(&nobody.get("k").await.expect_err("no certificate of ours"))
            .to_lowercase()
            .contains("certificate")
        {}
    };
    soon("the reason to be told", told).await;
}

/// A certificate authority that exists for one test.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().expect("a key pair");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names are good names");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("it signs itself").pem();
        Self { issuer: rcgen::Issuer::new(params, key), pem }
    }

    /// A certificate for 127.0.0.1, good for both sides, and its key.
    fn issue(&self) -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("a key pair");
        let params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address is a good name");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs");
        (certificate.pem(), key.serialize_pem())
    }
}
