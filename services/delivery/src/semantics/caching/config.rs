//! What operators say about caching: a [`Policy`], setting by setting.

use std::time::Duration;

use ferry_runtime::config::{Reader, Setting};

use super::policy::{Policy, SetCookie};

/// The table of them. They matter most to people who write a file, so none is a flag.
pub const SETTINGS: &[Setting] = &[
    Setting::switch(
        "cache-heed-clients",
        "Whether clients' no-cache, no-store, max-age, min-fresh and max-stale count",
    )
    .default("false")
    .no_flag(),
    Setting::text(
        "cache-heuristic",
        "PERCENT",
        "Of the time since its last change, how much a file is fresh that says nothing",
    )
    .default("10")
    .no_flag(),
    Setting::text("cache-heuristic-max", "TIME", "The longest that such a file is").default("24h").no_flag(),
    Setting::text("cache-missing", "TIME", "How long a 404, 405, 410, 414 or 501 is kept that says nothing")
        .default("10s")
        .no_flag(),
    Setting::text("cache-errors", "TIME", "How long an answer of 500 and above is kept that says nothing")
        .default("0s")
        .no_flag(),
    Setting::text(
        "cache-negative-max",
        "TIME",
        "The longest that an answer of 400 and above is fresh, whatever it says",
    )
    .default("5m")
    .no_flag(),
    Setting::text("cache-max", "TIME", "The longest that any other answer is").default("365days").no_flag(),
    Setting::text(
        "cache-stale-if-error",
        "TIME",
        "How long a stale file stands in for an origin that fails and said nothing about that",
    )
    .default("24h")
    .no_flag(),
    Setting::text(
        "cache-stale-while-revalidate",
        "TIME",
        "How long a stale file is given out while it is validated, where the origin says nothing about that",
    )
    .default("0s")
    .no_flag(),
    Setting::text("cache-set-cookie", "refuse|strip|keep", "What becomes of answers that set a cookie")
        .default("refuse")
        .no_flag(),
    Setting::switch("cache-surrogate-control", "Whether Surrogate-Control counts").default("false").no_flag(),
    Setting::switch("cache-post", "Whether an answer to POST that names itself is kept for GET")
        .default("false")
        .no_flag(),
];

/// Checks what was said. Each fault is left with the reader.
pub fn read(reader: &mut Reader<'_>) -> Option<Policy> {
    let heuristic_percent: Option<u32> = reader.require("cache-heuristic");
    if heuristic_percent.is_some_and(|percent| percent > 100) {
        reader.fault("cache-heuristic", "expected a share of at most 100");
    }
    let mut time = |name: &str| reader.require::<Duration>(name);
    let heuristic_cap = time("cache-heuristic-max");
    let (missing, errors) = (time("cache-missing"), time("cache-errors"));
    let (negative_cap, cap) = (time("cache-negative-max"), time("cache-max"));
    let (on_error, meanwhile) = (time("cache-stale-if-error"), time("cache-stale-while-revalidate"));
    let set_cookie = match reader.require::<String>("cache-set-cookie").as_deref() {
        Some("refuse") => Some(SetCookie::Refuse),
        Some("strip") => Some(SetCookie::Strip),
        Some("keep") => Some(SetCookie::Keep),
        Some(_) => {
            reader.fault("cache-set-cookie", "expected \"refuse\", \"strip\" or \"keep\"");
            None
        }
        None => None,
    };
    Some(Policy {
        heed_clients: reader.switch("cache-heed-clients"),
        heuristic_percent: heuristic_percent?,
        heuristic_cap: heuristic_cap?,
        missing: missing?,
        errors: errors?,
        negative_cap: negative_cap?,
        cap: cap?,
        stale_if_error: on_error?,
        stale_while_revalidate: meanwhile?,
        set_cookie: set_cookie?,
        surrogate_control: reader.switch("cache-surrogate-control"),
        store_post: reader.switch("cache-post"),
    })
}

#[cfg(test)]
mod tests {
    use ferry_runtime::config::{COMMON, Environment, Refusal, Sources, command};

    use super::*;

    /// What a role with these lines of TOML would make of it.
    fn said(toml: &str) -> Result<Policy, Refusal> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("role.toml");
        std::fs::write(&file, toml).expect("a file");
        let tables = [COMMON, SETTINGS];
        let matches = command("role", "", &tables).get_matches_from(["role", &format!("--config={}", file.display())]);
        let sources = Sources::gather("role", &tables, &[], &matches, &Environment::of([("", ""); 0]));
        let mut reader = sources.reader();
        let policy = read(&mut reader);
        reader.conclude(|| policy)
    }

    #[test]
    fn the_defaults_are_those_of_the_policy() {
        assert_eq!(said("").unwrap_or_else(|refusal| panic!("{refusal}")), Policy::default());
    }

    #[test]
    fn everything_can_be_said() {
        let toml = "cache-heed-clients = true\ncache-heuristic = 20\ncache-heuristic-max = \"1h\"\ncache-missing = \"1s\"\n\
                    cache-errors = \"2s\"\ncache-negative-max = \"3s\"\ncache-max = \"4s\"\ncache-stale-if-error = \"5s\"\n\
                    cache-stale-while-revalidate = \"6s\"\ncache-set-cookie = \"strip\"\ncache-surrogate-control = true\ncache-post = true\n";
        let expected = Policy {
            heed_clients: true,
            heuristic_percent: 20,
            heuristic_cap: Duration::from_hours(1),
            missing: Duration::from_secs(1),
            errors: Duration::from_secs(2),
            negative_cap: Duration::from_secs(3),
            cap: Duration::from_secs(4),
            stale_if_error: Duration::from_secs(5),
            stale_while_revalidate: Duration::from_secs(6),
            set_cookie: SetCookie::Strip,
            surrogate_control: true,
            store_post: true,
        };
        assert_eq!(said(toml).unwrap_or_else(|refusal| panic!("{refusal}")), expected);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_all_at_once() {
        let refusal =
            said("cache-heuristic = 101\ncache-missing = \"soon\"\ncache-set-cookie = \"eat\"\n").expect_err("refused");
        let faults = refusal.faults();
        for name in ["cache-heuristic", "cache-missing", "cache-set-cookie"] {
            assert!(faults.iter().any(|fault| fault.starts_with(name)), "{name}: {faults:?}");
        }
        assert_eq!(faults.len(), 3, "{faults:?}");
    }
}
