//! An etcd that lets nobody in: a wrong password, a certificate that nobody trusts. One clear line, and no restart when it is mended.

use std::time::Duration;

use etcd_client::{Permission, PermissionType};

use crate::harness::{
    etcd::Etcd,
    roles::Role,
    tools::{ferry, figure},
    until,
    workshop::Workshop,
};

const BACK_WITHIN: Duration = Duration::from_secs(30);
const REFUSAL: &str = "etcd refuses us";

/// Waits until it was refused a few times, and returns the one line that says so.
async fn refused(coordinator: &mut Role) -> String {
    let url = coordinator.grpc_url();
    until("a third attempt", BACK_WITHIN, async || {
        figure(&url, "ferry_coordinator_store_failures_total").await.filter(|attempts| *attempts >= 3)
    })
    .await;
    assert!(coordinator.program.is_running(), "it waits for its supplier");
    let log = coordinator.program.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("etcd")).collect();
    let refusals: Vec<&str> = lines.iter().copied().filter(|line| line.contains(REFUSAL)).collect();
    // A machine that is too busy to check a password in time is another trouble, and another line; a third there is not.
    assert!(refusals.len() == 1 && lines.len() <= 2, "one line for all attempts:\n{log}");
    refusals[0].to_owned()
}

async fn answers_operators(coordinator: &Role) {
    let url = coordinator.grpc_url();
    until("the coordinator to answer", BACK_WITHIN, async || {
        (ferry(&["nodes", "list", "--coordinator", &url]).await.code == Some(0)).then_some(())
    })
    .await;
    let log = coordinator.program.log();
    assert!(log.contains("etcd answers again"), "{log}");
}

#[tokio::test]
async fn a_wrong_password_is_one_line_and_when_it_is_mended_all_goes_on() {
    let workshop = Workshop::open();
    let etcd = Etcd::start(&workshop).await;
    let mut operator = etcd.client().await;
    operator.user_add("root", "an operator's", None).await.expect("etcd adds");
    operator.role_add("root").await.expect("etcd adds");
    operator.user_grant_role("root", "root").await.expect("etcd grants");
    operator.user_add("ferry", "another", None).await.expect("etcd adds");
    operator.role_add("ferry").await.expect("etcd adds");
    let permission = Permission::new(PermissionType::Readwrite, "/ferry/v1/").with_prefix();
    operator.role_grant_permission("ferry", permission).await.expect("etcd grants");
    operator.user_grant_role("ferry", "ferry").await.expect("etcd grants");
    operator.auth_enable().await.expect("etcd enables");

    let store = ["--store", "etcd", "--etcd-endpoints", etcd.url(), "--etcd-user", "ferry"];
    let mut coordinator = Role::coordinator(&workshop, "coordinator", &store);
    coordinator.program.env("FERRY_COORDINATOR__ETCD_PASSWORD", "correct-horse");
    let mut coordinator = coordinator.started();
    let line = refused(&mut coordinator).await;
    assert!(line.contains("authentication failed") && line.contains(etcd.url()), "{line}");
    assert!(!coordinator.program.log().contains("correct-horse"), "the password is nobody's business");

    let root = etcd_client::ConnectOptions::new().with_user("root", "an operator's");
    let mut operator = etcd_client::Client::connect([etcd.url()], Some(root)).await.expect("etcd is up");
    operator.user_change_password("ferry", "correct-horse").await.expect("etcd changes it");
    answers_operators(&coordinator).await;
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_is_one_line_and_when_it_is_mended_all_goes_on() {
    let workshop = Workshop::open();
    let (ours, stranger) = (Authority::new(), Authority::new());
    let (certificate, key) = ours.issue();
    let (certificate, key) = (workshop.file("etcd.pem", &certificate), workshop.file("etcd.key", &key));
    let etcd = Etcd::start_over_tls(&workshop, &certificate, &key).await;
    let ca = workshop.file("ca.pem", &stranger.pem).display().to_string();

    let store = ["--store", "etcd", "--etcd-endpoints", etcd.url(), "--etcd-ca", &ca];
    let mut coordinator = Role::coordinator(&workshop, "coordinator", &store).started();
    let line = refused(&mut coordinator).await;
    assert!(line.contains("certificate") && line.contains(etcd.url()), "{line}");
    workshop.file("ca.pem", &ours.pem);
    answers_operators(&coordinator).await;
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

    /// A certificate for 127.0.0.1, and its key.
    fn issue(&self) -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("a key pair");
        let params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address is a good name");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs");
        (certificate.pem(), key.serialize_pem())
    }
}
