use std::ffi::OsString;

use ferry_delivery::disk::EtagForm;
use ferry_runtime::config::{Environment, command};

use super::*;

/// What `ferry node` with these flags and variables would make of it.
fn typed(flags: &[&str], variables: &[(&str, &str)]) -> Result<Config, Refusal> {
    let flags: Vec<OsString> = std::iter::once("node").chain(flags.iter().copied()).map(Into::into).collect();
    let matches = command("node", "Serves bytes", TABLES).try_get_matches_from(flags).expect("flags that exist");
    let environment = Environment::of(variables.iter().map(|(name, value)| (*name, *value)));
    read(&Sources::gather("node", TABLES, SECTIONS, &matches, &environment))
}

fn accepted(flags: &[&str], variables: &[(&str, &str)]) -> Config {
    typed(flags, variables).unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// The one fault of this configuration.
fn fault(flags: &[&str], variables: &[(&str, &str)]) -> String {
    let refusal = typed(flags, variables).expect_err("it is refused");
    assert_eq!(refusal.faults().len(), 1, "{refusal}");
    refusal.faults()[0].clone()
}

/// A file with these routes; its folder lives as long as the first value.
fn file(toml: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("node.toml");
    std::fs::write(&path, toml).expect("writable");
    let path = path.to_str().expect("a plain path").to_owned();
    (folder, path)
}

#[test]
fn a_root_is_all_that_a_node_needs() {
    let config = accepted(&["--root", "/"], &[]);
    assert_eq!(config.listen.to_string(), "0.0.0.0:8001");
    assert_eq!(config.admin_listen.to_string(), "127.0.0.1:9001");
    assert_eq!(config.backend.mode(), "filesystem");
    assert_eq!(config.storage_path, PathBuf::from("./storage"));
    assert_eq!((config.drain_grace, config.drain_limit), (Duration::from_secs(10), Duration::from_secs(3600)));
    assert!(config.coordinators.is_empty() && config.routes.is_none());
}

#[test]
fn the_mode_follows_from_what_is_set_unless_it_is_said() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_str().expect("a plain path");
    let (root, origin) = (["--root", path], ["--origin", "http://127.0.0.1:8000"]);
    let both = [root, origin].concat();
    assert_eq!(accepted(&root, &[]).backend.mode(), "filesystem");
    assert_eq!(accepted(&origin, &[]).backend.mode(), "http");
    assert_eq!(accepted(&both, &[]).backend.mode(), "hybrid");
    for mode in ["filesystem", "http", "hybrid"] {
        assert_eq!(accepted(&both, &[("BACKEND_MODE", mode)]).backend.mode(), mode);
    }
    assert!(fault(&root, &[("BACKEND_MODE", "http")]).starts_with("origin (not set)"));
    assert!(fault(&origin, &[("BACKEND_MODE", "filesystem")]).starts_with("root (not set)"));
    assert!(fault(&root, &[("BACKEND_MODE", "carrier-pigeon")]).contains("\"carrier-pigeon\" (BACKEND_MODE)"));
}

#[test]
fn with_nothing_to_serve_both_ways_out_are_named() {
    let said = fault(&[], &[]);
    assert!(said.contains("root") && said.contains("origin"), "{said}");
    let said = fault(&[], &[("MAIN_SERVER_URL", "http://main:8000")]);
    assert!(said.contains("main-server") && said.contains("root"), "{said}");
}

#[test]
fn a_root_that_cannot_be_read_is_a_fault_among_the_others() {
    let refusal = typed(&["--root", "/nowhere/at/all", "--weight", "0"], &[]).expect_err("both are wrong");
    assert_eq!(refusal.faults().len(), 2, "{refusal}");
    assert!(refusal.to_string().contains("/nowhere/at/all"), "{refusal}");
}

#[test]
fn the_seeds_names_make_an_origin() {
    let seed = [
        ("BACKEND_MODE", "http"),
        ("BACKEND_HOST", "172.17.0.1"),
        ("BACKEND_PORT", "8443"),
        ("BACKEND_USE_HTTPS", "True"),
        ("BACKEND_SSL_VERIFY", "False"),
        ("PROXY_HOST_HEADER", "files.example"),
        ("HTTP_CONNECTOR_LIMIT", "200"),
        ("HTTP_CONNECTOR_LIMIT_PER_HOST", "50"),
        ("HTTP_KEEPALIVE_TIMEOUT", "60"),
        ("HTTP_CONNECT_TIMEOUT", "15"),
        ("HTTP_TOTAL_TIMEOUT", "120"),
        ("BACKEND_FILESYSTEM_SENDFILE", "True"),
        ("BACKEND_FILESYSTEM_BUFFER_SIZE", "65536"),
    ];
    let Backend::Http(settings) = accepted(&[], &seed).backend else { panic!("http") };
    let [origin] = settings.origins.as_slice() else { panic!("one origin: {settings:?}") };
    assert_eq!(origin.base.to_string(), "https://172.17.0.1:8443");
    assert!(matches!(origin.trust, ferry_delivery::origin::Trust::Anyone));
    assert_eq!(origin.host.as_ref().expect("a host"), "files.example");
    assert_eq!((settings.limit, settings.limit_per_origin), (200, 50));
    let seconds = [settings.keep_alive, settings.connect, settings.head].map(|limit| limit.as_secs());
    assert_eq!(seconds, [60, 15, 120]);
}

#[test]
fn an_origin_given_as_a_url_wins_over_the_seeds_names() {
    let variables = [("BACKEND_HOST", "elsewhere")];
    let Backend::Http(settings) = accepted(&["--origin", "http://here:8000"], &variables).backend else {
        panic!("http")
    };
    assert_eq!(settings.origins[0].base.to_string(), "http://here:8000");
}

#[test]
fn several_origins_keep_their_order() {
    let (_folder, path) = file("origins = [\"http://a\", \"http://b/base\"]\n");
    let Backend::Http(settings) = accepted(&["--config", &path], &[]).backend else { panic!("http") };
    let bases: Vec<_> = settings.origins.iter().map(|origin| origin.base.to_string()).collect();
    assert_eq!(bases, ["http://a", "http://b/base"]);
    assert!(fault(&["--config", &path, "--origin", "http://c"], &[]).starts_with("origin = "));
}

#[test]
fn host_and_port_replace_a_part_of_the_listener_each() {
    let listen = |flags: &[&str]| accepted(&[&["--root", "/"], flags].concat(), &[]).listen.to_string();
    assert_eq!(listen(&["--port", "9000"]), "0.0.0.0:9000");
    assert_eq!(listen(&["--host", "127.0.0.1"]), "127.0.0.1:8001");
    assert_eq!(listen(&["--host", "localhost", "--port", "80", "--listen", "10.0.0.1:1"]), "127.0.0.1:80");
    assert_eq!(listen(&["--host", "::1"]), "[::1]:8001");
    assert!(fault(&["--root", "/", "--host", "far away"], &[]).starts_with("host = \"far away\""));
}

#[test]
fn an_address_that_means_everybodys_own_machine_is_refused_with_a_coordinator_elsewhere() {
    let near = ["--root", "/", "--coordinators", "http://127.0.0.1:7000,http://localhost:7001,http://[::1]:7002"];
    let far = ["--root", "/", "--coordinators", "http://127.0.0.1:7000,http://10.0.0.9:7000"];
    let with = |base: &[&'static str], flags: &[&'static str]| [base, flags].concat();
    for useless in
        [&[][..], &["--node-address", "localhost:8001"], &["--node-address", "127.0.0.1:80"], &["--host", "127.0.0.1"]]
    {
        accepted(&with(&near, useless), &[]);
        let said = fault(&with(&far, useless), &[]);
        assert!(said.starts_with("node-address"), "{said}");
    }
    for useful in [["--node-address", "node1.example:8001"], ["--listen", "10.0.0.1:8001"]] {
        accepted(&with(&far, &useful), &[]);
    }
    assert!(fault(&with(&far, &["--node-address", "nowhere"]), &[]).contains("HOST:PORT"));
}

#[test]
fn a_listener_is_called_by_its_address_or_localhost() {
    for (listen, name) in [
        ("0.0.0.0:8001", "localhost:8001"),
        ("[::]:80", "localhost:80"),
        ("10.0.0.1:1", "10.0.0.1:1"),
        ("[::1]:8", "[::1]:8"),
    ] {
        assert_eq!(shown(listen.parse().expect("an address")).as_str(), name);
    }
}

#[test]
fn signed_routes_want_a_key_where_nobody_else_has_one() {
    let (_folder, path) = file("root = \"/\"\n[[route]]\nmatch = \"/{path*}\"\naccess = \"signed\"\n");
    assert!(fault(&["--config", &path], &[]).starts_with("user-key-file (not set)"));
    accepted(&["--config", &path, "--user-key-file", "/some/key"], &[]);
    accepted(&["--config", &path, "--coordinators", "http://127.0.0.1:7000"], &[]);
    let both = ["--config", &path, "--coordinators", "http://127.0.0.1:7000", "--user-key-file", "/some/key"];
    assert!(fault(&both, &[]).starts_with("user-key-file = "));
}

#[test]
fn methods_pass_on_where_there_is_an_origin_and_whoever_asks_may() {
    let (_folder, path) = file("[[route]]\nmatch = \"/{path*}\"\nmethods = \"all\"\n");
    let origin = ["--config", &path, "--origin", "http://127.0.0.1:1"];
    let routes = accepted(&origin, &[]).routes.expect("routes");
    assert!(routes.iter().all(|route| *route.methods() == Methods::All));
    accepted(&[&origin[..], &["--coordinators", "http://127.0.0.1:7000"]].concat(), &[]);
    let said = fault(&["--config", &path, "--root", "/"], &[]);
    assert!(said.contains("route[0].methods = (some): expected nothing") && said.contains("no origin"), "{said}");
    let signed = "origin = \"http://o\"\n[[route]]\nmatch = \"/{path*}\"\naccess = \"signed\"\nmethods = [\"POST\"]\n";
    let (_folder, path) = file(signed);
    accepted(&["--config", &path, "--user-key-file", "/some/key"], &[]);
    let said = fault(&["--config", &path, "--coordinators", "http://127.0.0.1:7000"], &[]);
    assert!(said.contains("route[0].methods") && said.contains("token"), "{said}");
}

#[test]
fn a_cache_is_told_by_flags_and_by_variables() {
    let origin = ["--origin", "http://origin"];
    let flags = [&origin[..], &["--cache", "/flag", "--cache-size", "1GiB"]].concat();
    let cache = accepted(&flags, &[("FERRY_NODE__CACHE", "/variable")]).cache.expect("a cache");
    assert_eq!((cache.directory, cache.store.space.bytes), (PathBuf::from("/flag"), 1 << 30));
    let variables = [("FERRY_NODE__CACHE", "/variable"), ("FERRY_NODE__CACHE_FINISH", "1MiB")];
    let cache = accepted(&origin, &variables).cache.expect("a cache");
    assert_eq!((cache.directory, cache.finish), (PathBuf::from("/variable"), 1 << 20));
    assert!(accepted(&["--root", "/"], &[]).cache.is_none());
    assert!(fault(&["--root", "/"], &[("FERRY_NODE__CACHE_SIZE", "1GB")]).starts_with("cache-size = "));
}

#[test]
fn faults_of_routes_are_reported_together_with_the_rest() {
    let (_folder, path) = file(
        "weight = 0\n[[route]]\nmatch = \"no slash\"\n[[route]]\nmatch = \"/{path*}\"\naccess = \"main-server\"\n",
    );
    let refusal = typed(&["--config", &path], &[]).expect_err("all of it is wrong").to_string();
    for part in ["weight", "route[0].match", "route[1].access", "nothing to serve"] {
        assert!(refusal.contains(part), "{part}: {refusal}");
    }
}

#[test]
fn entity_tags_are_made_of_what_an_operator_says() {
    let made_of = |flags: &[&str]| accepted(&[&["--root", "/"], flags].concat(), &[]).disk.settings.etag;
    assert_eq!([made_of(&[]), made_of(&["--etag", "digest"])], [EtagForm::MtimeSize, EtagForm::Digest]);
    let said = fault(&["--root", "/", "--etag", "inode"], &[]);
    assert!(said.contains("mtime-size") && said.contains("digest"), "{said}");
}

#[test]
fn the_main_server_s_names_are_the_seed_s() {
    let config = accepted(&["--root", "/"], &[("MAIN_SERVER_URL", "http://main:8000"), ("SYNC_INTERVAL", "60")]);
    assert_eq!((config.main_server.is_some(), config.sync_interval), (true, Duration::from_secs(60)));
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    for (flags, name) in [
        (["--weight", "10001"], "weight"),
        (["--capacity", "0"], "capacity"),
        (["--max-transfers", "0"], "max-transfers"),
        (["--drain-limit", "soon"], "drain-limit"),
        (["--node-id", "a b"], "node-id"),
        (["--admin-listen", "0.0.0.0:9001"], "admin-listen"),
    ] {
        let said = fault(&[&["--root", "/"], flags.as_slice()].concat(), &[]);
        assert!(said.starts_with(&format!("{name} = ")), "{said}");
    }
    assert!(fault(&["--origin", "http://o"], &[("HTTP_CONNECTOR_LIMIT", "0")]).starts_with("http-connector-limit = "));
    assert!(fault(&["--root", "/"], &[("BACKEND_FILESYSTEM_BUFFER_SIZE", "1")]).starts_with("buffer-size = "));
}

#[test]
fn patience_with_origins_is_the_operator_s() {
    let (_folder, path) = file(
        "origin = \"https://o\"\norigin-idle-timeout = \"7s\"\norigin-retries = 0\norigin-retry-timeout = \"8s\"\n\
         origin-resume-timeout = \"0\"\norigin-dns-refresh = \"9s\"\norigin-queue = 5\norigin-queue-timeout = \"1s\"\norigin-http2 = false\n",
    );
    let Backend::Http(settings) = accepted(&["--config", &path], &[]).backend else { panic!("http") };
    let times = [settings.idle, settings.total, settings.resume, settings.refresh, settings.patience];
    assert_eq!(times.map(|time| time.as_secs()), [7, 8, 0, 9, 1]);
    assert_eq!((settings.retries, settings.waiting, settings.origins[0].http2), (0, 5, false));
}

#[test]
fn what_origins_must_prove_and_be_called_is_checked() {
    let refused = |toml: &str| {
        let (_folder, path) = file(&format!("origin = \"https://o\"\n{toml}\n"));
        fault(&["--config", &path], &[])
    };
    assert!(refused("origin-ca = \"/no/such/file\"").starts_with("origin-ca = "));
    assert!(refused("origin-ca = \"/dev/null\"\nbackend-ssl-verify = false").contains("not verified"));
    for bad in ["a b", "user@host", "host/path"] {
        assert!(refused(&format!("proxy-host-header = \"{bad}\"")).starts_with("proxy-host-header = "), "{bad}");
    }
}

#[test]
fn buckets_want_all_of_their_credentials() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hush\n").expect("a file");
    let read = |lines: &str| {
        let lines = lines.replace("SECRET", &secret.display().to_string());
        file(&format!("origin = \"https://bucket.example\"\n{lines}\n"))
    };
    let (_folder, path) =
        read("origin-s3-region = \"r\"\norigin-s3-key-id = \"id\"\norigin-s3-secret-file = \"SECRET\"");
    let Backend::Http(settings) = accepted(&["--config", &path], &[]).backend else { panic!("http") };
    let credentials = settings.origins[0].s3.as_ref().expect("credentials");
    assert_eq!((credentials.region.as_str(), credentials.secret.as_str()), ("r", "hush"));
    for (lines, name) in [
        ("origin-s3-region = \"r\"", "origin-s3-region"),
        ("origin-s3-region = \"r\"\norigin-s3-key-id = \"id\"", "origin-s3-region"),
        ("origin-s3-secret-file = \"SECRET\"", "origin-s3-secret-file"),
        ("origin-s3-secret-file = \"/no/such/file\"", "origin-s3-secret-file"),
    ] {
        let (_folder, path) = read(lines);
        assert!(fault(&["--config", &path], &[]).starts_with(&format!("{name} = ")), "{lines}");
    }
    let (_folder, path) = read("");
    let Backend::Http(settings) = accepted(&["--config", &path], &[("AWS_ACCESS_KEY_ID", "id")]).backend else {
        panic!("http")
    };
    assert!(settings.origins[0].s3.is_none(), "a key in the environment alone means no bucket");
}
