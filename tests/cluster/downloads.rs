//! Real files, fetched with the programs that people have: every byte is compared by SHA-256.

use std::{path::Path, time::Duration};

use crate::harness::{
    Cluster, Topology, get,
    roles::Role,
    samples::{self, Sample, digest_of},
    tools::run,
};

const LIMIT: Duration = Duration::from_secs(90);
const SMALL_FILES: usize = 2000;

fn assert_same(downloads: &Path, sample: &Sample, file: &str) {
    assert_eq!(digest_of(&downloads.join(file)), sample.sha256, "{file}");
}

#[tokio::test]
async fn curl_wget_and_aria2_with_16_connections_get_the_same_200_mib() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let sample = samples::large(&cluster.root());
    let (url, downloads) = (cluster.url(&sample.path()), cluster.workshop.folder("downloads"));
    let file = downloads.join("large");
    let (folder, target) = (downloads.to_str().expect("a plain path"), file.to_str().expect("a plain path"));

    let aria2 = ["-x16", "-s16", "-k1M", "--console-log-level=warn", "-d", folder, "-o", "large", &url];
    let tools: [(&str, &[&str]); 3] =
        [("curl", &["-sSfL", "-o", target, &url]), ("wget", &["-nv", "-O", target, &url]), ("aria2c", &aria2)];
    for (tool, arguments) in tools {
        run(tool, arguments, &[], LIMIT).await.ok();
        assert_eq!(digest_of(&file), sample.sha256, "{tool}");
        // One at a time: a small machine's disk has no room for three.
        std::fs::remove_file(&file).expect("an own file");
    }
}

#[tokio::test]
async fn a_download_that_broke_off_is_resumed_where_it_stopped() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let sample = samples::program(&cluster.root());
    let downloads = cluster.workshop.folder("downloads");
    let target = downloads.join("program");
    let whole = std::fs::read(cluster.root().join(&sample.name)).expect("the sample can be read");
    for (tool, arguments) in [("curl", vec!["-sSfL", "-C", "-", "-o"]), ("wget", vec!["-nv", "-c", "-O"])] {
        std::fs::write(&target, &whole[..whole.len() / 3]).expect("a third of it is there already");
        let mut arguments = arguments;
        let url = cluster.url(&sample.path());
        arguments.extend([target.to_str().expect("a plain path"), &url]);
        run(tool, &arguments, &[], LIMIT).await.ok();
        assert_same(&downloads, &sample, "program");
    }
}

#[tokio::test]
async fn thousands_of_small_files_arrive() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let files = samples::many(&cluster.root(), SMALL_FILES);
    let downloads = cluster.workshop.folder("downloads");
    let list: String =
        files.iter().map(|sample| format!("{}\n out={}\n", cluster.url(&sample.path()), sample.name)).collect();
    let list = cluster.workshop.file("list", &list);
    let folder = downloads.to_str().expect("a plain path");
    let list = list.to_str().expect("a plain path");
    run("aria2c", &["-q", "-j16", "--allow-overwrite=true", "-d", folder, "-i", list], &[], LIMIT).await.ok();
    for sample in &files {
        assert_same(&downloads, sample, &sample.name);
    }
}

#[tokio::test]
async fn names_with_spaces_signs_and_chinese_arrive_under_their_names() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let downloads = cluster.workshop.folder("downloads");
    let folder = downloads.to_str().expect("a plain path");
    for sample in samples::named_by_people(&cluster.root()) {
        let url = cluster.url(&sample.path());
        run("wget", &["-nv", "--restrict-file-names=nocontrol", "-P", folder, &url], &[], LIMIT).await.ok();
        let name = sample.name.rsplit('/').next().expect("a name");
        // wget names the file by the URL that it was redirected to, whose query is the node's token.
        let saved = downloads.read_dir().expect("the folder can be read").filter_map(Result::ok);
        let saved = saved.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let saved = saved.into_iter().find(|saved| saved.starts_with(name));
        assert_same(&downloads, &sample, &saved.unwrap_or_else(|| panic!("{name} was not saved")));
    }
}

/// SEMANTICS.md 1: what caches must not keep, and where a redirect leads.
#[tokio::test]
async fn a_redirect_leads_to_the_same_path_on_a_node_and_is_not_kept() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let sample = &samples::named_by_people(&cluster.root())[2];
    let answer = cluster.ask(&sample.path()).await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header(&hyper::header::CACHE_CONTROL), "private, no-store");
    let location = answer.location().expect("a redirect has a Location").to_owned();
    let nodes: Vec<&str> = cluster.nodes.iter().map(Role::address).collect();
    let expected = nodes.iter().any(|node| location.starts_with(&format!("http://{node}{}?ferry=", sample.path())));
    assert!(expected, "{location} is not that path on one of {nodes:?}");

    let head = get(&cluster.url(&sample.path())).method(hyper::Method::HEAD).follow().await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header(&hyper::header::CONTENT_LENGTH), sample.length.to_string());
    assert_eq!(head.finish().await.expect("a HEAD has no body").length, 0);
}

/// P4, SEMANTICS.md 10.
#[tokio::test]
async fn two_nodes_with_the_same_file_give_it_the_same_validator() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let sample = samples::write(&cluster.root(), "same.bin", 100_000);
    let mut validators = Vec::new();
    for node in &cluster.nodes {
        validators.push(get(&node.url(&sample.path())).send().await.header(&hyper::header::ETAG).to_owned());
    }
    assert!(!validators[0].is_empty(), "there is no ETag");
    assert_eq!(validators[0], validators[1]);
}
