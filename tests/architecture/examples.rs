//! The example configurations of `deploy/` are ones that the product accepts.

use std::{fs, path::Path, process::Command};

/// The roles, each with its example `deploy/examples/ROLE.toml`.
const ROLES: [&str; 3] = ["coordinator", "gateway", "node"];

/// `ferry check-config`. What the example leaves to its place is given here: a root that is on this machine, and the address
/// that compose.yaml has for each node.
fn check(role: &str, file: &Path) -> std::process::Output {
    let text = fs::read_to_string(file).expect("the example can be read");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferry"));
    command.args(["check-config", role, "--config"]).arg(file);
    if text.lines().any(|line| line.starts_with("root ")) {
        command.args(["--root", env!("CARGO_MANIFEST_DIR")]);
    }
    command.env_clear(); // the developer's own MAIN_SERVER_URL must not decide
    if role == "node" && file.parent().is_some_and(|folder| folder.ends_with("compose")) {
        command.env("NODE_ADDRESS", "192.0.2.1:8001");
    }
    command.output().expect("the program starts")
}

#[test]
fn every_example_is_accepted() {
    for role in ROLES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        for place in ["examples", "compose"] {
            for entry in fs::read_dir(folder.join(place)).expect("the folder of examples is there") {
                let path = entry.expect("the folder can be read").path();
                let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
                if !(name.starts_with(role) && name.ends_with(".toml")) {
                    continue;
                }
                let output = check(role, &path);
                assert!(
                    output.status.success(),
                    "{} is refused:\n{}",
                    path.display(),
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
        assert!(folder.join(format!("examples/{role}.toml")).is_file(), "there is no example for {role}");
    }
}

/// Without this, a `check-config` that accepts everything would pass the test above.
#[test]
fn an_example_with_an_unknown_key_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for role in ROLES {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("deploy/examples/{role}.toml"));
        let text = fs::read_to_string(example).expect("the example can be read");
        let changed = folder.path().join(format!("{role}.toml"));
        fs::write(&changed, format!("lisden = \"127.0.0.1:1\"\n{text}")).expect("a file in a temporary folder");
        let output = check(role, &changed);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{role}: {message}");
        assert!(message.contains("lisden"), "{role}: {message}");
    }
}
