//! The meetings: an unchanged frontend asks for `/api/v1/meetings/{id}/download-package` and gets the package.

use std::time::Duration;

use crate::harness::{
    Cluster, Topology, get,
    samples::{self, MIB, digest_of},
    tools::run,
};

/// The preset alone makes nothing else a download; the harness looks for the nodes with a route of its own.
async fn meetings() -> Cluster {
    let probe = "[[route]]\nmatch = \"/which-node/{path*}\"\naccess = \"open\"\n";
    Cluster::start(Topology::nodes(2).routes(probe).gateway_flags(&["--meetings", "open"])).await
}

#[tokio::test]
async fn a_package_is_found_below_the_root_and_saved_under_its_meetings_name() {
    let cluster = meetings().await;
    let package = samples::write(&cluster.root(), "meeting_files/m-42/package.zip", 3 * MIB);
    let url = cluster.url("/api/v1/meetings/m-42/download-package");
    let redirect = get(&url).send().await;
    assert_eq!(redirect.status, 302);
    let location = redirect.location().expect("a redirect");
    assert!(location.contains("/api/v1/meetings/m-42/download-package?ferry="), "{location}");

    let downloads = cluster.workshop.folder("downloads");
    let folder = downloads.to_str().expect("a plain path");
    // -J: the name that the server gives, as browsers do.
    run("curl", &["-sSfLOJ", "--output-dir", folder, &url], &[], Duration::from_secs(20)).await.ok();
    let saved = downloads.join("meeting_m-42.zip");
    assert_eq!(digest_of(&saved), package.sha256);
    std::fs::remove_file(&saved).expect("an own file");
    let ferry = ["-C", folder, env!("CARGO_BIN_EXE_ferry"), "get", &url];
    run("env", &ferry, &[], Duration::from_secs(20)).await.ok();
    assert_eq!(digest_of(&saved), package.sha256);

    assert_eq!(get(&cluster.url("/api/v1/meetings/none/download-package")).follow().await.status, 404);
    assert_eq!(get(&cluster.url("/meeting_files/m-42/package.zip")).follow().await.status, 404, "only by its URL");
}

/// A meeting's id is one segment of the path: nothing that it holds makes it more.
#[tokio::test]
async fn a_meetings_id_names_no_other_file() {
    let cluster = meetings().await;
    samples::write(&cluster.root(), "secret/package.zip", 1000);
    for id in ["..%2Fsecret", "%2e%2e", "..%2f..%2fetc", "a%00b"] {
        let status = get(&cluster.url(&format!("/api/v1/meetings/{id}/download-package"))).follow().await.status;
        assert!(matches!(status.as_u16(), 400 | 404), "{id}: {status}");
    }
}
