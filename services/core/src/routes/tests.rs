use proptest::prelude::*;
use serde::Deserialize;

use super::*;

const DEFAULTS: Defaults = Defaults { access: Some(Access::Open), query: QueryRule::Ignore };

#[derive(Deserialize)]
struct File {
    route: Vec<RouteSpec>,
}

fn specs(toml: &str) -> Vec<RouteSpec> {
    toml::from_str::<File>(toml).expect("good TOML").route
}

fn compile(toml: &str) -> Routes {
    Routes::compile(&specs(toml), &DEFAULTS).expect("good routes")
}

fn faults(toml: &str, defaults: &Defaults) -> Vec<String> {
    let faults = Routes::compile(&specs(toml), defaults).expect_err("a fault");
    faults.iter().map(ToString::to_string).collect()
}

/// Key, origin target and file name of what a target means.
fn meaning(routes: &Routes, target: &str) -> Option<(String, String, Option<String>)> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let path = ObjectPath::from_target(path).expect("a good path");
    routes
        .match_target(&path, query)
        .map(|found| (found.key.to_string(), found.origin_target().into_owned(), found.filename))
}

fn key_and_target(routes: &Routes, target: &str) -> Option<(String, String)> {
    meaning(routes, target).map(|(key, target, _)| (key, target))
}

fn pair(one: &str, other: &str) -> Option<(String, String)> {
    Some((one.to_owned(), other.to_owned()))
}

#[test]
fn a_route_without_templates_takes_the_path_as_it_is() {
    let routes = compile("[[route]]\nmatch = '/{path*}'");
    assert_eq!(key_and_target(&routes, "/a%20b/c%2B.zip?x=1"), pair("a b/c+.zip", "/a%20b/c+.zip"));
    assert!(!routes.guarded());
}

#[test]
fn the_meetings_are_called_as_the_first_frontend_calls_them() {
    let routes = Routes::compile(&Routes::meetings(Access::Open), &DEFAULTS).expect("a good preset");
    let direct = "/api/v1/meetings/7%203/download-package-direct";
    let expected = ("meeting_files/7 3/package.zip".to_owned(), direct.to_owned(), Some("meeting_7 3.zip".to_owned()));
    assert_eq!(meaning(&routes, "/api/v1/meetings/7%203/download-package"), Some(expected.clone()));
    assert_eq!(meaning(&routes, direct), Some(expected));
    for other in ["/api/v1/meetings/status/token", "/api/v1/meetings/7/data", "/api/v1/meetings/download-package"] {
        assert_eq!(meaning(&routes, other), None, "{other} is not a download");
    }
    let deliver = |target: &str| {
        let path = ObjectPath::from_target(target).expect("a good path");
        let found = routes.match_target(&path, None).expect("a meeting");
        assert_eq!(found.route.content_type(), Some("application/zip"));
        found.deliver
    };
    assert_eq!(deliver("/api/v1/meetings/7/download-package"), Deliver::Redirect);
    assert_eq!(deliver(direct), Deliver::Proxy);
}

#[test]
fn the_first_route_that_fits_decides() {
    let routes = compile(
        "[[route]]\nmatch = '/video/free/{path*}'\n\
         [[route]]\nmatch = '/video/{path*}'\naccess = 'signed'\n\
         [[route]]\nmatch = '/{path*}'",
    );
    let access = |target: &str| {
        let path = ObjectPath::from_target(target).expect("a good path");
        let found = routes.match_target(&path, None).expect("everything matches");
        (found.route.index(), found.access)
    };
    assert_eq!(access("/video/free/a.ts"), (0, Access::Open));
    assert_eq!(access("/video/a.ts"), (1, Access::Signed));
    assert_eq!(access("/%76ideo/a.ts"), (1, Access::Signed), "an encoded letter leads around no guard");
    assert_eq!(access("/video"), (2, Access::Open));
    assert!(routes.guarded());
}

#[test]
fn the_query_is_part_of_the_key_as_far_as_the_route_says() {
    let routes = compile(
        "[[route]]\nmatch = '/ignored/{path*}'\nquery = 'ignore'\n\
         [[route]]\nmatch = '/kept/{path*}'\nquery = 'keep'\n\
         [[route]]\nmatch = '/named/{path*}'\nquery = ['w', 'h']\norigin = '/scale?name={path}'\n\
         [[route]]\nmatch = '/signed/{path*}'\nquery = 'keep'\naccess = 'signed'",
    );
    for (target, key, origin) in [
        ("/ignored/a?b=1&ferry=x", "ignored/a", "/ignored/a"),
        ("/kept/a?b=1&ferry=x&token=theirs", "kept/a?b=1&token=theirs", "/kept/a?b=1&token=theirs"),
        ("/named/a&b/c?h=2&x=3&w=1", "named/a&b/c?w=1&h=2", "/scale?name=a%26b/c&w=1&h=2"),
        ("/signed/a?uid=u&b=1&expires=9&token=t&kid=k&scope=/s/&ferry=x", "signed/a?b=1", "/signed/a?b=1"),
    ] {
        assert_eq!(key_and_target(&routes, target), pair(key, origin), "{target}");
    }
}

#[test]
fn a_playlist_comes_from_the_gateway_and_all_of_its_stream_from_one_place() {
    let routes = compile("[[route]]\nmatch = '/{path*}'\n");
    let of = |target: &str| {
        let path = ObjectPath::from_target(target).expect("a good path");
        let found = routes.match_target(&path, None).expect("everything matches");
        (found.deliver, found.affinity().into_owned())
    };
    for piece in ["seg_1.ts", "seg_1.M4S", "init.mp4", "enc.key"] {
        assert_eq!(of(&format!("/hls/42/{piece}")), (Deliver::Redirect, "hls/42/".to_owned()), "{piece}");
    }
    for playlist in ["index.m3u8", "index.MPD"] {
        assert_eq!(of(&format!("/hls/42/{playlist}")), (Deliver::Proxy, "hls/42/".to_owned()), "{playlist}");
    }
    for whole in ["film.mp4", "package.zip", "ts", "m3u8"] {
        assert_eq!(of(&format!("/hls/42/{whole}")), (Deliver::Redirect, format!("hls/42/{whole}")), "{whole}");
    }
    let told = compile("[[route]]\nmatch = '/{path*}'\ndeliver = 'redirect'");
    let playlist = ObjectPath::from_target("/a.m3u8").expect("a good path");
    assert_eq!(told.match_target(&playlist, None).expect("matches").deliver, Deliver::Redirect);
}

#[test]
fn values_that_would_lead_elsewhere_match_nothing() {
    // `x.` is a fine segment of a request; what a template makes of its parts need not be.
    for (what, key, origin) in [("key", "k/{a}.", "/o"), ("origin", "k/f", "/{a}./f")] {
        let routes = compile(&format!("[[route]]\nmatch = '/x{{a}}'\nkey = '{key}'\norigin = '{origin}'"));
        assert!(key_and_target(&routes, "/xb").is_some());
        assert_eq!(key_and_target(&routes, "/x."), None, "{what}");
    }
}

#[test]
fn all_faults_of_all_routes_are_reported_at_once() {
    let found = faults(
        "[[route]]\nmatch = 'video'\naccess = 'main-server'\ndeliver = 'push'\nquery = 'some'\ncontent-type = ''\n\
         [[route]]\nmatch = '/m/{id}'\nkey = '/{id}'\norigin = 'http://evil/{id}'\nfilename = '{nid}.zip'\n\
         cache-control = \"a\\nb\"\nquery = ['w', 'w']\naccess = 'Open'\n\
         [[route]]\nmatch = '/p/{path*}'\nfilename = '{path}'\nquery = ['ferry']\n\
         [[route]]\nmatch = '/q'\naccess = 'signed'\nquery = ['token']\nkey = '../x'\norigin = '/a b'",
        &DEFAULTS,
    );
    let starts = [
        "route[0].match = \"video\": expected a pattern that begins with '/'",
        "route[0].access = \"main-server\": expected \"open\" or \"signed\": this build cannot ask",
        "route[0].deliver = \"push\": expected \"redirect\" or \"proxy\"",
        "route[0].query = \"some\": expected \"ignore\", \"keep\" or a list",
        "route[0].content-type = \"\": expected the value of a header",
        "route[1].access = \"Open\": expected \"open\" or \"signed\"",
        "route[1].query = [\"w\", \"w\"]: expected every name once",
        "route[1].cache-control = \"a\\nb\": expected the value of a header",
        "route[1].key = \"/{id}\": expected a path below a root",
        "route[1].origin = \"http://evil/{id}\": expected a request target",
        "route[1].filename = \"{nid}.zip\": expected only the pattern's variables: {id}",
        "route[2].query = [\"ferry\"]: expected none of ferry's own parameters",
        "route[2].filename = \"{path}\": expected one name",
        "route[3].query = [\"token\"]: expected none of ferry's own parameters",
        "route[3].key = \"../x\": expected a path below a root",
        "route[3].origin = \"/a b\": expected a request target",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (fault, start) in found.iter().zip(starts) {
        assert!(fault.starts_with(start), "{fault}\nis not\n{start}");
    }
}

#[test]
fn what_passes_on_to_an_origin_is_what_a_route_lists() {
    let routes = compile(
        "[[route]]\nmatch = '/none/{path*}'\n\
         [[route]]\nmatch = '/some/{path*}'\nmethods = ['POST', 'M-SEARCH']\nrequest-headers = ['Accept-Language', 'x-a']\n\
         [[route]]\nmatch = '/all/{path*}'\nmethods = 'all'\nrequest-headers = 'all'",
    );
    let passes = |target: &str| {
        let path = ObjectPath::from_target(target).expect("a good path");
        let route = routes.match_target(&path, None).expect("a route").route;
        let methods = ["GET", "POST", "M-SEARCH", "PUT", "TRACE"].map(|method| route.methods().pass(method));
        let fields = ["accept-language", "x-a", "x-b", "cookie"].map(|field| route.request_fields().pass(field));
        (methods, fields)
    };
    assert_eq!(passes("/none/a"), ([true, false, false, false, false], [false, false, false, false]));
    assert_eq!(passes("/some/a"), ([true, true, true, false, false], [true, true, false, false]));
    assert_eq!(passes("/all/a"), ([true, true, true, true, false], [true, true, true, false]));
}

#[test]
fn what_must_not_pass_on_is_a_fault_of_the_route() {
    let methods = "route[0].methods = ";
    let headers = "route[0].request-headers = ";
    for (line, start) in [
        ("methods = 'some'", methods),
        ("methods = ['GET', 'TRACE']", methods),
        ("methods = ['CONNECT']", methods),
        ("methods = ['PO ST']", methods),
        ("methods = ['']", methods),
        ("request-headers = 'none'", headers),
        ("request-headers = ['accept', 'Cookie']", headers),
        ("request-headers = ['X-Forwarded-Host']", headers),
        ("request-headers = ['x_a']", headers),
        ("request-headers = ['a b']", headers),
        ("request-headers = ['']", headers),
        ("request-headers = ['Host']", headers),
    ] {
        let found = faults(&format!("[[route]]\nmatch = '/{{path*}}'\n{line}"), &DEFAULTS);
        assert!(found.len() == 1 && found[0].starts_with(start), "{line}: {found:?}");
    }
}

#[test]
fn a_route_that_can_never_be_reached_is_a_fault() {
    for (earlier, later) in [("/{path*}", "/a/b"), ("/a/{x}", "/a/{y}"), ("/a/{x}", "/a/b_{y}.zip")] {
        let found = faults(&format!("[[route]]\nmatch = '{earlier}'\n[[route]]\nmatch = '{later}'"), &DEFAULTS);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("route[1].match = \"{later}\": expected a pattern that route[0]")));
    }
}

#[test]
fn with_a_main_server_behind_every_route_says_who_may_fetch() {
    let defaults = Defaults { access: None, ..DEFAULTS };
    let found = faults("[[route]]\nmatch = '/a'\n[[route]]\nmatch = '/b'\naccess = 'open'", &defaults);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("route[0].access = (nothing): expected \"open\" or \"signed\""), "{found:?}");
}

#[test]
fn an_unknown_key_of_a_route_is_refused_where_it_is_read() {
    let refused = toml::from_str::<File>("[[route]]\nmatch = '/a'\nacess = 'signed'").err().expect("a typing error");
    assert!(refused.to_string().contains("acess"), "{refused}");
    let refused = toml::from_str::<File>("[[route]]\nmatch = '/a'\nquery = 3").err().expect("no query rule");
    assert!(refused.to_string().contains("list of parameter names"), "{refused}");
}

#[test]
fn a_routes_hash_is_the_same_everywhere_and_tells_what_matters() {
    let hash = |toml: &str| compile(toml).iter().next().expect("one route").hash();
    let plain = hash("[[route]]\nmatch = '/a/{x}'");
    assert_eq!(plain, 8_288_627_962_312_459_229, "gateways and nodes of other builds compare with this number");
    assert_eq!(plain, hash("[[route]]\nmatch = '/a/{x}'\ndeliver = 'proxy'\naccess = 'open'\nquery = 'ignore'"));
    for other in [
        "match = '/a/{y}'",
        "match = '/a/{x}'\nkey = '{x}'",
        "match = '/a/{x}'\norigin = '/{x}'",
        "match = '/a/{x}'\nfilename = '{x}'",
        "match = '/a/{x}'\naccess = 'signed'",
        "match = '/a/{x}'\nquery = 'keep'",
        "match = '/a/{x}'\nquery = ['keep']",
        "match = '/a/{x}'\nmethods = 'all'",
        "match = '/a/{x}'\nmethods = ['all']",
        "match = '/a/{x}'\nrequest-headers = 'all'",
        "match = '/a/{x}'\nrequest-headers = ['all']",
        "match = '/a/{x}'\ncontent-type = '{x}'",
        "match = '/a/{x}'\ncache-control = '{x}'",
    ] {
        assert_ne!(hash(&format!("[[route]]\n{other}")), plain, "{other}");
    }
}

proptest! {
    /// R1 for whatever can be asked for.
    #[test]
    fn a_key_is_always_a_path_below_its_root(target in "(/[a-z.%20{}~é]{0,5}){1,5}", query in "[ -~]{0,30}") {
        let routes = compile(
            "[[route]]\nmatch = '/a/{x}/{y*}'\nkey = '{x}.{x}/{y}'\norigin = '/o/{x}.{y}'\nquery = 'keep'\n\
             [[route]]\nmatch = '/{x}'\nkey = '{x}{x}'\norigin = '/{x}?q={x}'\nquery = ['a']\n\
             [[route]]\nmatch = '/{path*}'\nquery = 'keep'",
        );
        if let Ok(path) = ObjectPath::from_target(&target)
            && let Some(found) = routes.match_target(&path, Some(&query))
        {
            prop_assert_eq!(ObjectPath::from_decoded(found.key.path.as_str()), Ok(found.key.path.clone()));
            let origin_target = found.origin_target();
            prop_assert!(origin_target.bytes().all(|b| b.is_ascii_graphic()), "{origin_target}");
            prop_assert!(!found.key.canonical().contains('\n') || found.key.query.is_some());
            let target_path = origin_target.split('?').next().unwrap_or_default();
            prop_assert!(!target_path.split('/').any(|segment| matches!(segment, "." | "..")), "{target_path}");
        }
    }
}
