//! The four layers, and what an operator reads when something is wrong.

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    time::Duration,
};

use ferry_runtime::config::{COMMON, Common, Environment, Provenance, Refusal, Setting, Sources, command};
use serde::Deserialize;

const SETTINGS: &[Setting] = &[
    Setting::text("listen", "ADDRESS:PORT", "Where clients connect").default("0.0.0.0:8001"),
    Setting::text("beat-every", "TIME", "How often the node says that it lives").default("1s"),
    Setting::text("dead-after", "TIME", "When a silent node is down").default("4s"),
    Setting::text("sync-interval", "TIME", "How often to sync").env(&["SYNC_INTERVAL"]).default("300"),
    Setting::list("coordinators", "URL", "Where the coordinators are"),
    Setting::text("origin-headers", "TEXT", "Sent to the origin").secret(),
    Setting::switch("verify", "Whether certificates are verified").env(&["BACKEND_SSL_VERIFY"]).default("true"),
];

/// A node's configuration, as if typed.
#[derive(Default)]
struct Typed {
    flags: Vec<&'static str>,
    variables: Vec<(&'static str, OsString)>,
    file: Option<(tempfile::TempDir, PathBuf)>,
}

impl Typed {
    fn flags(mut self, flags: &[&'static str]) -> Self {
        self.flags.extend(flags);
        self
    }

    fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    fn file(mut self, toml: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("node.toml");
        fs::write(&path, toml).expect("written");
        self.variables.push(("FERRY_NODE__CONFIG", path.clone().into()));
        self.file = Some((directory, path));
        self
    }

    fn gather(&self) -> Sources {
        let tables = [COMMON, SETTINGS];
        let command = command("node", "Serves bytes", &tables);
        let matches =
            command.try_get_matches_from(std::iter::once(&"node").chain(&self.flags)).expect("flags that exist");
        let environment = Environment::of(self.variables.iter().map(|(name, value)| (*name, value)));
        Sources::gather("node", &tables, &["route", "origins"], &matches, &environment)
    }

    /// The faults, with the file's path cut down to its name.
    fn refused(&self, refusal: &Refusal) -> String {
        let directory = self.file.as_ref().map_or("?", |(directory, _)| directory.path().to_str().expect("UTF-8"));
        refusal.to_string().replace(directory, "/etc/ferry")
    }
}

fn listen(typed: &Typed) -> (SocketAddr, Provenance) {
    let sources = typed.gather();
    let mut reader = sources.reader();
    let (address, origin) = (reader.require("listen"), reader.origin_of("listen"));
    (reader.conclude(|| address).expect("a sound configuration"), origin)
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let port = |typed: &Typed| listen(typed).0.port();
    assert_eq!(listen(&Typed::default()), ("0.0.0.0:8001".parse().expect("valid"), Provenance::Default));

    let file = Typed::default().file("listen = '0.0.0.0:2'");
    assert_eq!(port(&file), 2);
    assert!(matches!(listen(&file).1, Provenance::File(path) if path.ends_with("node.toml")));

    let environment = file.variable("FERRY_NODE__LISTEN", "0.0.0.0:3");
    assert_eq!(listen(&environment).1, Provenance::Variable("FERRY_NODE__LISTEN".to_owned()));
    assert_eq!(port(&environment), 3);

    let flags = environment.flags(&["--listen", "0.0.0.0:4"]);
    assert_eq!(listen(&flags).1, Provenance::Flag("listen"));
    assert_eq!(port(&flags), 4);
}

#[test]
fn ferrys_own_variable_wins_over_the_seeds() {
    let interval = |typed: &Typed| {
        let sources = typed.gather();
        sources.reader().get::<Duration>("sync-interval").expect("it has a default")
    };
    let seed = Typed::default().variable("SYNC_INTERVAL", "60");
    assert_eq!(interval(&seed), Duration::from_secs(60));
    assert_eq!(interval(&seed.variable("FERRY_NODE__SYNC_INTERVAL", "5m")), Duration::from_secs(300));
}

#[test]
fn an_empty_variable_is_not_set() {
    let typed = Typed::default().variable("FERRY_NODE__LISTEN", "");
    assert_eq!(listen(&typed).1, Provenance::Default);
}

#[test]
fn lists_come_from_every_layer() {
    let coordinators = |typed: &Typed| typed.gather().reader().list::<String>("coordinators");
    assert!(coordinators(&Typed::default()).is_empty());
    assert_eq!(coordinators(&Typed::default().file("coordinators = ['a', 'b']")), ["a", "b"]);
    assert_eq!(coordinators(&Typed::default().variable("FERRY_NODE__COORDINATORS", "a, b,")), ["a", "b"]);
    assert_eq!(
        coordinators(&Typed::default().flags(&["--coordinators", "a", "--coordinators", "b,c"])),
        ["a", "b", "c"]
    );
}

#[test]
fn switches_are_understood_as_the_seeds_write_them() {
    let verify = |typed: Typed| typed.gather().reader().switch("verify");
    assert!(verify(Typed::default()));
    for off in ["False", "false", "0", "no", "OFF"] {
        assert!(!verify(Typed::default().variable("BACKEND_SSL_VERIFY", off)), "{off}");
    }
    assert!(!verify(Typed::default().file("verify = false")));
    assert!(verify(Typed::default().file("verify = false").flags(&["--verify"])));
    assert!(!verify(Typed::default().file("verify = true").flags(&["--verify=false"])));
}

#[test]
fn numbers_and_times_may_be_plain_in_toml() {
    let typed = Typed::default().file("sync-interval = 90\nworkers = 0x10\ntrace-sample = 0.5\n");
    let sources = typed.gather();
    let mut reader = sources.reader();
    assert_eq!(reader.get::<Duration>("sync-interval"), Some(Duration::from_secs(90)));
    let common = Common::read(&mut reader).expect("sound");
    assert_eq!(common.workers.map(std::num::NonZeroUsize::get), Some(16));
    assert_eq!(common.trace_sample, 0.5);
    reader.finish().expect("nothing is wrong");
}

#[test]
fn all_faults_are_told_at_once_with_where_they_came_from() {
    let typed = Typed::default()
        .file("listen = \"8080\"\nlisen = 1\nworkers = 0\n")
        .variable("FERRY_NODE__BEAT_EVERY", "9s")
        .variable("FERRY_NODE__BEAT_EVRY", "1s")
        .flags(&["--log-format", "xml"]);
    let sources = typed.gather();
    let mut reader = sources.reader();
    Common::read(&mut reader);
    let listen: Option<SocketAddr> = reader.require("listen");
    let beat = reader.require::<Duration>("beat-every").expect("9s is a time");
    let dead = reader.require::<Duration>("dead-after").expect("the default is a time");
    if beat > dead / 3 {
        reader.fault("beat-every", format!("must be at most a third of dead-after ({dead:?})"));
    }
    let refusal = reader.conclude(|| listen).expect_err("six faults");
    assert_eq!(
        typed.refused(&refusal),
        "ferry node: configuration refused (6 faults)\n  \
         FERRY_NODE__BEAT_EVRY: unknown variable; did you mean FERRY_NODE__BEAT_EVERY?\n  \
         lisen (/etc/ferry/node.toml, line 2): unknown key; did you mean listen?\n  \
         workers = 0 (/etc/ferry/node.toml): expected a whole number, at least 1\n  \
         log-format = \"xml\" (--log-format): expected text or json\n  \
         listen = \"8080\" (/etc/ferry/node.toml): expected ADDRESS:PORT, such as 0.0.0.0:8080\n  \
         beat-every = \"9s\" (FERRY_NODE__BEAT_EVERY): must be at most a third of dead-after (4s)"
    );
}

/// The refusal after `read` had its way.
fn refusal(typed: &Typed, read: impl FnOnce(&mut ferry_runtime::config::Reader<'_>)) -> String {
    let sources = typed.gather();
    let mut reader = sources.reader();
    read(&mut reader);
    typed.refused(&reader.finish().expect_err("something is wrong"))
}

#[test]
fn one_fault_is_one_fault_however_often_it_is_met() {
    let typed = Typed::default().flags(&["--listen", "nowhere"]);
    let text = refusal(&typed, |reader| {
        for _ in 0..2 {
            assert_eq!(reader.get::<SocketAddr>("listen"), None);
        }
    });
    assert_eq!(
        text,
        "ferry node: configuration refused (1 fault)\n  \
         listen = \"nowhere\" (--listen): expected ADDRESS:PORT, such as 0.0.0.0:8080"
    );
}

#[test]
fn a_setting_that_must_be_set_is_missed() {
    let text = refusal(&Typed::default(), |reader| assert_eq!(reader.require::<PathBuf>("tls-cert"), None));
    assert!(text.ends_with("\n  tls-cert (not set): expected a path"), "{text}");
}

#[test]
fn each_item_of_a_list_has_its_own_fault() {
    let typed = Typed::default().variable("FERRY_NODE__COORDINATORS", "http://a:1,b,http://c:1,d");
    let text = refusal(&typed, |reader| {
        reader.list::<ferry_runtime::config::BaseUrl>("coordinators");
    });
    let shown = "coordinators = \"http://a:1,b,http://c:1,d\" (FERRY_NODE__COORDINATORS)";
    let expected = "expected http://HOST[:PORT] or https://HOST[:PORT]";
    assert_eq!(
        text,
        format!(
            "ferry node: configuration refused (2 faults)\n  {shown}: \"b\": {expected}\n  {shown}: \"d\": {expected}"
        )
    );
}

#[test]
fn a_long_value_is_cut_short() {
    let typed = Typed::default().variable("FERRY_NODE__LISTEN", "é".repeat(10_000));
    let text = refusal(&typed, |reader| {
        reader.get::<SocketAddr>("listen");
    });
    assert!(text.chars().count() < 400, "{text}");
}

#[test]
fn secrets_are_not_echoed() {
    let typed = Typed::default().variable("FERRY_NODE__ORIGIN_HEADERS", "hunter2");
    let text = refusal(&typed, |reader| reader.fault("origin-headers", "expected NAME: VALUE"));
    assert!(
        text.ends_with("\n  origin-headers = (secret) (FERRY_NODE__ORIGIN_HEADERS): expected NAME: VALUE"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_not_there_is_a_fault_of_config() {
    let typed = Typed::default().flags(&["--config", "/nowhere/node.toml"]);
    assert_eq!(
        refusal(&typed, |_| {}),
        "ferry node: configuration refused (1 fault)\n  \
         config = \"/nowhere/node.toml\" (--config): No such file or directory (os error 2)"
    );
}

#[test]
fn a_file_without_an_end_does_not_fill_the_memory() {
    let text = refusal(&Typed::default().flags(&["--config", "/dev/zero"]), |_| {});
    assert!(text.contains("longer than any configuration"), "{text}");
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let text = refusal(&Typed::default().file("workers = 1\nlisten = \n"), |_| {});
    assert!(text.contains("\n  /etc/ferry/node.toml, line 2: "), "{text}");
}

#[test]
fn values_of_the_wrong_kind_are_faults() {
    let typed = Typed::default().file("listen = ['0.0.0.0:1']\ncoordinators = { a = 1 }\ndead-after = 2026-01-01\n");
    let text = refusal(&typed, |reader| {
        reader.get::<SocketAddr>("listen");
        reader.list::<String>("coordinators");
    });
    assert_eq!(
        text,
        "ferry node: configuration refused (3 faults)\n  \
         coordinators (/etc/ferry/node.toml, line 2): expected a text, a number, true or false, or an array of those\n  \
         dead-after (/etc/ferry/node.toml, line 3): expected a text, a number, true or false, or an array of those\n  \
         listen = ['0.0.0.0:1'] (/etc/ferry/node.toml): expected one ADDRESS:PORT, not a list"
    );
}

#[test]
fn a_value_that_is_not_utf_8_is_a_fault() {
    let broken = || OsString::from_vec(vec![b'a', 0xff]);
    let text = refusal(&Typed::default().variable("SYNC_INTERVAL", broken()), |_| {});
    assert!(text.ends_with("\n  sync-interval (SYNC_INTERVAL): the value is not UTF-8"), "{text}");
}

#[test]
fn half_an_identity_is_a_fault() {
    let text = refusal(&Typed::default().flags(&["--tls-cert", "a.pem", "--tls-listen", "0.0.0.0:443"]), |reader| {
        Common::read(reader);
    });
    assert!(text.contains("tls-cert = \"a.pem\" (--tls-cert): wants tls-key beside it"), "{text}");
    assert!(text.contains("tls-listen = \"0.0.0.0:443\" (--tls-listen): wants tls-cert and tls-key"), "{text}");
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Route {
    r#match: String,
    access: Option<String>,
}

#[test]
fn sections_are_read_as_types() {
    let typed = Typed::default()
        .file("origins = ['http://a']\n[[route]]\nmatch = '/a'\n[[route]]\nmatch = '/b'\naccess = 'open'\n");
    let sources = typed.gather();
    let mut reader = sources.reader();
    let routes: Vec<Route> = reader.tables("route").expect("two routes");
    assert_eq!(routes.iter().map(|route| route.r#match.as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
    assert_eq!(reader.section::<Vec<String>>("origins"), Some(vec!["http://a".to_owned()]));
    reader.finish().expect("sound");
}

#[test]
fn each_table_of_a_section_has_its_own_fault_and_line() {
    let typed = Typed::default()
        .file("[[route]]\nmatch = '/a'\nacces = 'open'\n\n[[route]]\nmatch = 3\n\n[[route]]\naccess = 'x'\n");
    let text = refusal(&typed, |reader| assert_eq!(reader.tables::<Route>("route"), None));
    assert_eq!(
        text,
        "ferry node: configuration refused (3 faults)\n  \
         route (/etc/ferry/node.toml, line 3): unknown field `acces`, expected `match` or `access`\n  \
         route (/etc/ferry/node.toml, line 6): invalid type: integer `3`, expected a string\n  \
         route (/etc/ferry/node.toml, line 8): missing field `match`"
    );
}

#[test]
fn help_names_variables_and_defaults() {
    let help = command("node", "Serves bytes", &[SETTINGS]).term_width(200).render_help().to_string();
    assert!(
        help.contains("How often to sync [env: SYNC_INTERVAL, FERRY_NODE__SYNC_INTERVAL] [default: 300]"),
        "{help}"
    );
    assert!(!help.contains("origin-headers"), "a secret has no flag: {help}");
}

#[test]
fn the_file_can_be_named_by_flag() {
    let typed = Typed::default().file("listen = '0.0.0.0:2'");
    let path: &Path = &typed.file.as_ref().expect("a file").1;
    let leaked: &'static str = path.to_str().expect("UTF-8").to_owned().leak();
    assert_eq!(listen(&Typed::default().flags(&["--config", leaked])).0.port(), 2);
}
