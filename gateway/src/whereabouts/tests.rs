use std::{fs, path::Path};

use ferry_runtime::config::{Environment, Refusal, Sources, command};
use http::HeaderValue;

use super::*;

/// What a gateway makes of a file with these lines.
fn configured(toml: &str) -> Result<Settings, Refusal> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("places.mmdb"), sample::database(7, DATABASE)).expect("a file in it");
    fs::write(folder.path().join("garbage.mmdb"), "garbage").expect("a file in it");
    let toml = toml.replace("HERE", &folder.path().display().to_string());
    let file = folder.path().join("gateway.toml");
    fs::write(&file, toml).expect("a file in it");
    gathered(&file)
}

fn gathered(file: &Path) -> Result<Settings, Refusal> {
    const CONFIG: &[ferry_runtime::config::Setting] = &[ferry_runtime::config::Setting::text("config", "FILE", "This")];
    let tables = [CONFIG, SETTINGS];
    let matches = command("gateway", "", &tables).get_matches_from(["gateway"]);
    let environment = Environment::of([("FERRY_GATEWAY__CONFIG", file)]);
    let sources = Sources::gather("gateway", &tables, &[SECTION, COSTS], &matches, &environment);
    let mut reader = sources.reader();
    let settings = read(&mut reader);
    reader.conclude(|| settings)
}

const DATABASE: &[(&str, &str, &str, &str)] =
    &[("203.0.113.0/24", "EU", "FR", ""), ("198.51.100.0/24", "NA", "US", "CA"), ("2001:db8:f::/48", "EU", "FR", "")];

/// A gateway in the north, behind proxies in 10.0.0.0/8, that knows the east and the west by everything.
const EVERYTHING: &str = r#"
    trusted-proxies = ["10.0.0.0/8", "::1"]
    client-region-header = "CF-IPCountry"
    maxmind-file = "HERE/places.mmdb"
    [[client-region]]
    region = "east"
    zone = "a"
    networks = ["192.0.2.0/24", "2001:db8::/32"]
    header-values = ["JP", "kr"]
    countries = ["FR"]
    [[client-region]]
    region = "west"
    networks = ["192.0.2.128/25"]
    header-values = ["US"]
    subdivisions = ["US-CA"]
"#;

fn whereabouts(toml: &str) -> Whereabouts {
    let settings = configured(toml).expect("a sound configuration");
    Whereabouts::new(settings, "north".parse().ok(), None)
}

/// Where a request from there, with these fields, is taken to come from: address, region, and by whose word.
fn found(whereabouts: &Whereabouts, peer: &str, fields: &[(&'static str, &'static str)]) -> String {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let peer = peer.parse().expect("an address");
    let found = whereabouts.of(peer, &map);
    if fields.is_empty() {
        assert_eq!((whereabouts.at(peer).address, whereabouts.at(peer).place), (found.address, found.place));
    }
    match found.place {
        Some((place, source)) => format!("{} {} {}", found.address, place.region, source.as_str()),
        None => format!("{} nowhere", found.address),
    }
}

#[test]
fn the_first_who_knows_decides() {
    let everything = whereabouts(EVERYTHING);
    for (peer, expected) in [
        ("192.0.2.1", "192.0.2.1 east networks"),
        ("192.0.2.200", "192.0.2.200 west networks"),
        ("::ffff:192.0.2.200", "::ffff:192.0.2.200 west networks"),
        ("2001:db8::1", "2001:db8::1 east networks"),
        ("203.0.113.1", "203.0.113.1 east maxmind"),
        ("198.51.100.1", "198.51.100.1 west maxmind"),
        ("233.252.0.1", "233.252.0.1 north gateway"),
    ] {
        assert_eq!(found(&everything, peer, &[]), expected);
    }
    let other_order = EVERYTHING.replacen('\n', "\nclient-region-order = [\"maxmind\", \"networks\"]\n", 1);
    let other_order = whereabouts(&other_order);
    assert_eq!(found(&other_order, "2001:db8:f::1", &[]), "2001:db8:f::1 east maxmind");
    assert_eq!(found(&other_order, "233.252.0.1", &[]), "233.252.0.1 nowhere");
}

#[test]
fn a_trusted_proxys_word_is_believed_and_nobody_elses() {
    let everything = whereabouts(EVERYTHING);
    for (peer, fields, expected) in [
        ("10.0.0.1", &[("x-forwarded-for", "192.0.2.1")][..], "192.0.2.1 east networks"),
        ("::1", &[("x-forwarded-for", "8.8.8.8, 192.0.2.200, 10.0.0.9")], "192.0.2.200 west networks"),
        ("10.0.0.1", &[("x-forwarded-for", "233.252.0.1"), ("cf-ipcountry", "us")], "233.252.0.1 west header"),
        ("10.0.0.1", &[("x-forwarded-for", "233.252.0.1"), ("cf-ipcountry", " EAST ")], "233.252.0.1 east header"),
        ("10.0.0.1", &[("x-forwarded-for", "233.252.0.1"), ("cf-ipcountry", "XX")], "233.252.0.1 north gateway"),
        ("10.0.0.1", &[("cf-ipcountry", "KR")], "10.0.0.1 east header"),
        ("10.0.0.1", &[("cf-ipcountry", "KR"), ("cf-ipcountry", "US")], "10.0.0.1 north gateway"),
        // Whoever is not trusted is himself, whatever he says.
        ("233.252.0.1", &[("x-forwarded-for", "192.0.2.1"), ("cf-ipcountry", "US")], "233.252.0.1 north gateway"),
        ("10.0.0.1", &[("forwarded", "for=192.0.2.1")], "10.0.0.1 north gateway"),
    ] {
        assert_eq!(found(&everything, peer, fields), expected, "{fields:?}");
    }
    assert!(everything.trusts("::ffff:10.0.0.1".parse().expect("an address")));
    assert!(!everything.trusts("11.0.0.1".parse().expect("an address")));
}

#[test]
fn where_nothing_is_configured_a_client_is_where_the_gateway_is() {
    let nothing = whereabouts("");
    assert_eq!(found(&nothing, "192.0.2.1", &[("x-forwarded-for", "8.8.8.8")]), "192.0.2.1 north gateway");
    let nowhere = Whereabouts::new(configured("").expect("nothing is sound"), None, "a".parse().ok());
    assert_eq!(found(&nowhere, "192.0.2.1", &[]), "192.0.2.1 nowhere");
}

#[test]
fn all_faults_are_reported_at_once() {
    let refusal = configured(
        r#"
        trusted-proxies = ["10.0.0.0/8", "10.0.0.0/8", "10.1.0.0/8"]
        client-address-header = "no header"
        maxmind-file = "HERE/garbage.mmdb"
        client-region-order = ["networks", "networks", "stars"]
        [[client-region]]
        region = "-east"
        networks = ["192.0.2.0/24"]
        header-values = ["x"]
        [[client-region]]
        region = "west"
        networks = ["::ffff:192.0.2.0/120", "192.0.2.0/33"]
        countries = ["DE", "de", "Germany"]
        header-values = ["X"]
        [[region-cost]]
        from = "east"
        to = "west"
        cost = 7
        [[region-cost]]
        from = "east"
        to = "west"
        cost = 7
        [[region-cost]]
        from = "east"
        to = "east"
        cost = 7
        [[region-cost]]
        from = "-"
        to = "east"
        cost = 7
        "#,
    )
    .expect_err("many faults");
    let faults = refusal.to_string();
    for expected in [
        "10.0.0.0/8 is listed twice",
        "\"10.1.0.0/8\": expected a network",
        "expected the name of a header field",
        "expected a MaxMind database: it is no MaxMind database",
        "networks is listed twice",
        "\"stars\": expected networks, header, maxmind or gateway",
        "client-region[0].region = \"-east\": expected 1 to 63",
        "192.0.2.0/24 is listed twice",
        "client-region[1].networks = \"192.0.2.0/33\": expected a network",
        "client-region[1].countries = \"de\": is listed twice",
        "client-region[1].countries = \"Germany\": expected a code of ISO 3166-1",
        "header-values want a client-region-header",
        "client-region.header-values: \"x\" is listed twice",
        "region-cost: the cost from east to west is listed twice",
        "region-cost: the cost from east to itself is always 0",
        "region-cost[3].from = \"-\": expected 1 to 63",
    ] {
        assert!(faults.contains(expected), "{expected:?} is not among {faults}");
    }
}

#[test]
fn what_nobody_would_act_on_is_a_fault() {
    for (toml, expected) in [
        ("client-region-header = \"x-region\"", "nobody is believed"),
        ("trusted-proxies = [\"::1\"]\nclient-region-header = \"x-region\"", "expected a [[client-region]]"),
        ("maxmind-file = \"HERE/places.mmdb\"", "countries, continents or subdivisions"),
        ("[[client-region]]\nregion = \"east\"\ncountries = [\"DE\"]", "want a maxmind-file"),
        ("maxmind-file = \"HERE/nothing.mmdb\"", "it cannot be read: No such file"),
    ] {
        let faults = configured(toml).expect_err("a fault").to_string();
        assert!(faults.contains(expected), "{expected:?} is not in {faults}");
    }
}
