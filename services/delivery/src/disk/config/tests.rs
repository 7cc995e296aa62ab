use ferry_runtime::config::{COMMON, Environment, Refusal, Sources, command};

use super::*;

/// What a role with these flags, variables and lines of TOML would make of it.
fn said(flags: &[&str], variables: &[(&str, &str)], toml: &str) -> Result<DiskConfig, Refusal> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("role.toml");
    std::fs::write(&file, toml).expect("a file");
    let tables = [COMMON, SETTINGS];
    let config = format!("--config={}", file.display());
    let matches = command("role", "", &tables).get_matches_from(["role", &config].iter().chain(flags));
    let environment = Environment::of(variables.iter().copied());
    let sources = Sources::gather("role", &tables, &[CONTENT_TYPES], &matches, &environment);
    let mut reader = sources.reader();
    let config = read(&mut reader);
    reader.conclude(|| config)
}

fn accepted(flags: &[&str], variables: &[(&str, &str)], toml: &str) -> DiskConfig {
    said(flags, variables, toml).unwrap_or_else(|refusal| panic!("{refusal}"))
}

#[test]
fn by_default_a_root_is_served_strictly() {
    let DiskConfig { settings, index } = accepted(&[], &[], "");
    assert_eq!((settings.symlinks, settings.dotfiles), (Symlinks::Off, Dotfiles::Hidden));
    assert_eq!(settings.sending, Sending { sendfile: true, buffer_bytes: 64 * 1024 });
    assert_eq!((settings.open_files, settings.precompressed.len(), index), (10_000, 0, None));
}

#[test]
fn the_seeds_names_mean_what_they_meant() {
    let variables = [("BACKEND_FILESYSTEM_SENDFILE", "False"), ("BACKEND_FILESYSTEM_BUFFER_SIZE", "131072")];
    let sending = accepted(&[], &variables, "").settings.sending;
    assert_eq!(sending, Sending { sendfile: false, buffer_bytes: 128 * 1024 });
}

#[test]
fn everything_can_be_said() {
    let toml = "open-files = 0\nprecompressed = [\"zstd\", \"br\"]\n[content-types]\nm3u = \"text/plain\"\nXyz = \"model/x; a=b\"";
    let flags = ["--symlinks=beneath-root", "--dotfiles=served", "--index=index.html"];
    let DiskConfig { settings, index } = accepted(&flags, &[], toml);
    assert_eq!((settings.symlinks, settings.dotfiles), (Symlinks::BeneathRoot, Dotfiles::Served));
    assert_eq!((settings.open_files, index.as_deref()), (0, Some("index.html")));
    assert_eq!(settings.precompressed, [Coding::Zstd, Coding::Brotli]);
    assert_eq!(settings.types.by_name("a.m3u"), "text/plain");
    assert_eq!(settings.types.by_name("a.xyz"), "model/x; a=b");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (toml, fault) in [
        ("buffer-size = \"1KiB\"", "buffer-size = "),
        ("buffer-size = \"1GiB\"", "buffer-size = "),
        ("open-files = -1", "open-files = "),
        ("symlinks = \"on\"", "symlinks = "),
        ("dotfiles = \"maybe\"", "dotfiles = "),
        ("index = \"a/b\"", "index = "),
        ("index = \"..\"", "index = "),
        ("index = \".htaccess\"", "index = "),
        ("index = \"\"", "index = "),
        ("precompressed = [\"br\", \"lzma\"]", "precompressed = "),
        ("[content-types]\ntxt = \"text\"", "content-types.txt = "),
        ("[content-types]\ntxt = \"text/plain\\r\\nX: y\"", "content-types.txt = "),
        ("[content-types]\n\".txt\" = \"text/plain\"", "content-types."),
        ("[content-types]\ntxt = 5", "content-types"),
    ] {
        let refusal = said(&[], &[], toml).expect_err(toml);
        assert!(refusal.faults().iter().any(|found| found.starts_with(fault)), "{toml}: {refusal}");
    }
}
