//! core ← {proto, store, runtime} ← delivery ← {coordinator, node, gateway} ← ferry: the three services meet only on
//! the wire, and what decides knows nothing of what acts.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata, Package};

use crate::metadata;

/// For each crate, all crates of the workspace that it may use in what it ships.
const ALLOWED: [(&str, &[&str]); 11] = [
    ("ferry-core", &[]),
    ("ferry-proto", &["ferry-core"]),
    ("ferry-store", &["ferry-core"]),
    ("ferry-runtime", &["ferry-core"]),
    ("ferry-delivery", &["ferry-core", "ferry-runtime"]),
    ("ferry-coordinator", &["ferry-core", "ferry-proto", "ferry-runtime", "ferry-store"]),
    ("ferry-node", &["ferry-core", "ferry-proto", "ferry-runtime", "ferry-delivery"]),
    ("ferry-gateway", &["ferry-core", "ferry-proto", "ferry-runtime", "ferry-delivery"]),
    (
        "ferry",
        &[
            "ferry-coordinator",
            "ferry-core",
            "ferry-delivery",
            "ferry-gateway",
            "ferry-node",
            "ferry-proto",
            "ferry-runtime",
            "ferry-store",
        ],
    ),
    // It measures the program as anybody has it: of what is inside it knows the wire alone.
    ("ferry-bench", &["ferry-proto"]),
    // It makes the world go wrong around what decides; nothing of the rim is in it.
    ("ferry-simulation", &["ferry-core"]),
];

/// What core must never reach, not even through others: a runtime, the wire, a random source, the disk or a socket.
/// (ring brings getrandom for keys that it makes; core only has it compute MACs.)
const BANNED_BELOW_CORE: [&str; 9] =
    ["tokio", "tokio-util", "prost", "tonic", "hyper", "http", "rand", "rustix", "etcd-client"];

fn used_by(package: &Package) -> BTreeSet<&str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
        .collect()
}

fn member<'a>(metadata: &'a Metadata, name: &str) -> &'a Package {
    metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name.as_str() == name)
        .unwrap_or_else(|| panic!("the workspace has no crate {name}"))
}

#[test]
fn every_crate_uses_only_what_lies_below_it() {
    let metadata = metadata();
    let members: BTreeSet<&str> = metadata.workspace_packages().iter().map(|package| package.name.as_str()).collect();
    let ruled: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    assert_eq!(members, ruled, "a crate without a rule here, or a rule without its crate");

    for (name, allowed) in ALLOWED {
        let used = used_by(member(&metadata, name));
        let wrong: Vec<_> = used.intersection(&members).filter(|used| !allowed.contains(used)).collect();
        assert!(wrong.is_empty(), "{name} must not use {wrong:?}");
    }
}

#[test]
fn what_decides_reaches_no_clock_no_wire_and_no_disk() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().expect("metadata was asked for with its dependencies");
    let mut reached = BTreeSet::new();
    let mut ahead = vec![&member(&metadata, "ferry-core").id];
    while let Some(id) = ahead.pop() {
        let node = resolve.nodes.iter().find(|node| &node.id == id).expect("every package is a node of the graph");
        for dependency in &node.deps {
            let ships = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if ships && reached.insert(&dependency.pkg) {
                ahead.push(&dependency.pkg);
            }
        }
    }
    let names: BTreeSet<&str> = reached.iter().map(|id| metadata[*id].name.as_str()).collect();
    let wrong: Vec<_> = BANNED_BELOW_CORE.iter().filter(|banned| names.contains(**banned)).collect();
    assert!(wrong.is_empty(), "ferry-core reaches {wrong:?}");
}

#[test]
fn plain_cargo_run_has_one_program_to_run() {
    let metadata = metadata();
    let programs: Vec<&str> = metadata
        .workspace_default_packages()
        .into_iter()
        .flat_map(|package| &package.targets)
        .filter(|target| target.is_bin())
        .map(|target| target.name.as_str())
        .collect();
    assert_eq!(programs, ["ferry"]);
}
