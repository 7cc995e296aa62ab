//! What one client sends never changes what another one gets, beyond the rules.

use ferry_core::{
    object::ObjectPath,
    routes::{Access, Defaults, NamesSpec, QueryRule, RouteSpec, Routes},
};
use futures_util::future::join_all;
use http::{HeaderName, HeaderValue, Method};

use super::{
    world::{Got, Setup, World, range},
    *,
};
use crate::{
    cache::found,
    delivery::{Backend, Delivery, Object},
    metrics::Metrics,
    origin::faulty::Fault,
    request::Content,
    stream::ByteStream,
    transfers::Transfers,
};

/// Five blocks and a bit.
const LENGTH: u64 = 90_000;
const BLOCK: u32 = 16 << 10;

/// What an attacker adds to a request, hoping that it comes back to somebody else.
const UNKEYED: &[(&str, &str)] = &[
    ("host", "evil.example"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-for", "192.0.2.66"),
    ("x-forwarded-proto", "nothttps"),
    ("x-forwarded-port", "1"),
    ("x-forwarded-prefix", "/evil"),
    ("x-real-ip", "192.0.2.66"),
    ("forwarded", "host=evil.example"),
    ("x-original-url", "/admin"),
    ("x-rewrite-url", "/admin"),
    ("x-http-method-override", "DELETE"),
    ("cookie", "session=evil"),
    ("authorization", "Basic ZXZpbDpldmls"),
    ("origin", "https://evil.example"),
    ("referer", "https://evil.example/"),
    ("user-agent", "evil"),
    ("accept", "text/evil"),
    ("accept-encoding", "gzip, evil"),
    ("accept-language", "ev-IL"),
    ("connection", "etag, cache-control, x-evil"),
    ("te", "trailers"),
    ("upgrade", "h2c"),
    ("via", "1.1 evil"),
    ("x-evil", "yes"),
    ("surrogate-capability", "evil"),
    ("max-forwards", "0"),
    ("expect", "100-continue"),
];

async fn world() -> World {
    let mut setup = Setup::of(LENGTH);
    setup.store.block_bytes = BLOCK;
    let world = World::of(setup).await;
    world.origin.say("cache-control", "max-age=60");
    world
}

fn delivery(world: &World) -> Delivery {
    let backend = Backend::Http { origins: world.origins.clone(), cache: Some(world.cache.clone()) };
    Delivery::new(backend, Transfers::new(), Metrics::default())
}

/// As a route makes an object of a request: the default one, where all of the query counts.
fn routed(request: &Request) -> Option<Object> {
    let all = RouteSpec {
        r#match: "/{path*}".to_owned(),
        request_headers: Some(NamesSpec::Names(Vec::new())),
        ..RouteSpec::default()
    };
    let defaults = Defaults { access: Some(Access::Open), query: QueryRule::Keep };
    let routes = Routes::compile(&[all], &defaults).expect("good routes");
    let path = ObjectPath::from_target(request.target.path()).ok()?;
    let found = routes.match_target(&path, request.target.query())?;
    let origin_target = found.origin_target().into_owned();
    Some(Object::new(found.key, origin_target))
}

fn request(method: Method, target: &str, fields: &[(&str, &str)]) -> Request {
    let mut request = Request::internal(method, target).expect("a request");
    for (name, value) in fields {
        let name: HeaderName = name.parse().expect("a name");
        request.headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    request
}

/// What the cache gives whoever asks plainly; nobody else is asked.
async fn kept(world: &World, target: &str) -> Got {
    let asked = world.origin.seen().len();
    let got = world.get(target).await;
    assert!(got.is_whole(world, 1), "{got:?}");
    assert_eq!(world.origin.seen().len(), asked, "{got:?}");
    got
}

#[tokio::test]
async fn what_is_in_no_key_reaches_no_origin() {
    for field in UNKEYED {
        let world = world().await;
        let delivery = delivery(&world);
        let evil = request(Method::GET, "/a", &[*field]);
        let answer = delivery.deliver(&evil, &routed(&evil).expect("it is routed")).await;
        let first = Got::of(answer).await;
        world.idle().await;
        let plain = request(Method::GET, "/a", &[]);
        let second = Got::of(delivery.deliver(&plain, &routed(&plain).expect("it is routed")).await).await;
        assert!(first.is_whole(&world, 1) && second.is_whole(&world, 1), "{field:?}: {second:?}");
        assert_eq!(second.field("cache-status"), "ferry;hit;ttl=60", "{field:?}");
        let seen = world.origin.seen();
        assert_eq!(seen.len(), 1, "{field:?}");
        let sent = format!("{} {:?}", seen[0].target, seen[0].headers);
        assert!(!sent.contains("evil") && !sent.contains("192.0.2.66"), "{field:?}: {sent}");
        let kept = format!("{second:?}");
        assert!(!kept.contains("evil") && !kept.contains("192.0.2.66"), "{field:?}: {kept}");
    }
}

#[tokio::test]
async fn a_target_has_its_own_key() {
    let world = world().await;
    let delivery = delivery(&world);
    let targets = ["/a", "/a?x=1", "/a?x=1&y=2", "/a?x=2", "/A", "/a%3Fx=1", "/a%20", "/a;x", "/a?x=1%0A", "/a?x=%00"];
    for target in targets {
        let request = request(Method::GET, target, &[]);
        let got = Got::of(delivery.deliver(&request, &routed(&request).expect("it is routed")).await).await;
        assert!(got.field("cache-status").contains("uri-miss"), "{target}: {got:?}");
        world.idle().await;
    }
    let seen: std::collections::HashSet<_> = world.origin.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!((seen.len(), world.truth().await.len()), (targets.len(), targets.len()), "{seen:?}");
    for nothing in ["/a%0Ab", "/a%00", "/a%0D", "/a%7F", "/%2e%2e/a", "/a%2Fb", "//a"] {
        assert!(routed(&request(Method::GET, nothing, &[])).is_none(), "{nothing}");
    }
}

#[tokio::test]
async fn a_request_with_content_is_no_question_for_the_cache() {
    let world = world().await;
    let delivery = delivery(&world);
    let mut fat = request(Method::GET, "/a", &[("content-type", "application/x-www-form-urlencoded")]);
    fat.content = Content::of(ByteStream::new(Some(4), futures_util::stream::iter([Ok("x=66".into())])));
    let got = Got::of(delivery.deliver(&fat, &routed(&fat).expect("it is routed")).await).await;
    world.idle().await;
    assert!(world.truth().await.is_empty(), "{got:?} is not kept");
    assert!(world.origin.seen().iter().all(|seen| seen.body.is_empty()), "nor sent to an origin of files");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let request = request(method.clone(), "/a", &[]);
        let got = Got::of(delivery.deliver(&request, &routed(&request).expect("it is routed")).await).await;
        assert!(got.status() == 405 || method == Method::OPTIONS, "{method}: {got:?}");
    }
    assert!(world.truth().await.is_empty());
    assert!(world.get("a").await.is_whole(&world, 1));
}

/// Ranges that no honest client sends, of an object of [`LENGTH`] bytes.
fn odd_ranges() -> Vec<String> {
    let many: Vec<String> = (0..2_000).map(|at| format!("{at}-{}", at + 50_000)).collect();
    [
        "bytes=0-18446744073709551615",
        "bytes=18446744073709551615-",
        "bytes=18446744073709551616-",
        "bytes=99999999999999999999999-",
        "bytes=-0",
        "bytes=-1",
        "bytes=-18446744073709551615",
        "bytes=--5",
        "bytes=-",
        "bytes=",
        "bytes=5-4",
        "bytes=0-0,-1",
        "bytes=0-,0-,0-",
        "bytes=0-89999,0-89999,0-89999",
        "bytes=89999-",
        "bytes=90000-",
        "bytes=95000-",
        "bytes=4000000-",
        "bytes=0-0\t,\t5-9",
        "BYTES=7-20000",
        "lines=1-2",
        "bytes 0-5",
        "bytes=+1-2",
        "bytes=0x10-0x20",
        "bytes=1-2-3",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([format!("bytes={}", many.join(","))])
    .collect()
}

#[tokio::test]
async fn odd_ranges_get_what_is_there_and_leave_it_true() {
    for fault in [Fault::None, Fault::Weak, Fault::Chunked, Fault::Whole] {
        for odd in odd_ranges() {
            let world = world().await;
            world.origin.always(fault.clone());
            let fields = [("range", odd.clone())];
            let (evil, whole) = tokio::join!(world.ask("a", &fields), world.get("a"));
            let what = format!("{fault:?}, {}", &odd[..odd.len().min(60)]);
            assert!(matches!(evil.status(), 200 | 206 | 416), "{what}: {evil:?}");
            let (bytes, complete) = evil.received();
            // Several parts may be more than the whole, by the lines between them.
            assert!(complete && (bytes.len() as u64) < LENGTH + 10_000, "{what}: {} bytes", bytes.len());
            assert!(whole.is_whole(&world, 1), "{what}: {whole:?}");
            world.idle().await;
            world.truth().await;
            assert!(world.get("a").await.is_whole(&world, 1), "{what}");
            world.idle().await;
            kept(&world, "a").await;
            assert!(world.origin.sent() <= 4 * LENGTH, "{what}: the origin sent {}", world.origin.sent());
        }
    }
}

#[tokio::test]
async fn a_part_that_nobody_can_have_does_not_keep_others_from_waiting_together() {
    for fault in [Fault::None, Fault::Weak] {
        let world = world().await;
        world.origin.always(fault.clone());
        let odd = world.ask("a", &[range(4_000_000, 4_000_001)]).await;
        assert_eq!(odd.status(), 416);
        if fault == Fault::Weak {
            assert!(world.ask("a", &[range(5, 9)]).await.has(&world, 1, 5, 5), "a part that is not kept");
        }
        let (asked, sent) = (world.origin.seen().len(), world.origin.sent());
        let answers = join_all((0..10).map(|_| world.get("a"))).await;
        assert!(answers.iter().all(|got| got.is_whole(&world, 1)));
        assert_eq!((world.origin.seen().len(), world.origin.sent()), (asked + 1, sent + LENGTH), "{fault:?}");
    }
}

#[tokio::test]
async fn who_waits_for_the_whole_does_not_suffer_from_who_asks_for_no_part() {
    for (fault, odd) in [(Fault::None, range(4_000_000, 4_000_001)), (Fault::Weak, range(5, 9))] {
        let world = world().await;
        world.origin.always(fault.clone());
        let begun = world.ask("a", std::slice::from_ref(&odd));
        let others = async {
            world.until(|world| world.cache.stats().waiting == 1).await;
            join_all((0..10).map(|_| world.get("a"))).await
        };
        world.origin.next([Fault::Late(std::time::Duration::from_millis(300)).and(fault.clone())]);
        let (_, answers) = tokio::join!(begun, others);
        assert!(answers.iter().all(|got| got.is_whole(&world, 1)));
        assert!(world.origin.seen().len() <= 3 && world.origin.sent() <= 2 * LENGTH, "{fault:?}");
        kept(&world, "a").await;
    }
}

#[tokio::test]
async fn a_head_makes_nothing_of_what_is_kept() {
    let world = world().await;
    world.send(Method::HEAD, "a", &[range(0, 5), ("if-none-match", "\"x\"".to_owned())]).await;
    assert!(world.truth().await.is_empty());
    world.get("a").await;
    world.idle().await;
    for fields in [vec![], vec![range(0, 5)], vec![("if-match", "\"x\"".to_owned())]] {
        world.send(Method::HEAD, "a", &fields).await;
        kept(&world, "a").await;
    }
    // A HEAD that is answered by another version makes what is kept stale, and no more.
    world.pass(61);
    world.origin.next([Fault::Renewed]);
    let head = world.send(Method::HEAD, "a", &[]).await;
    assert_eq!(head.field("etag"), world.origin.content().etag(2));
    assert!(world.get("a").await.is_whole(&world, 2));
    // One that fails takes nothing away.
    world.pass(61);
    world.origin.next([Fault::Status(404)]);
    assert_eq!(world.send(Method::HEAD, "a", &[]).await.status(), 404);
    assert!(world.get("a").await.is_whole(&world, 2));
}

#[tokio::test]
async fn answers_that_set_cookies_are_for_nobody_else() {
    let world = world().await;
    world.origin.say("set-cookie", "session=secret");
    for _ in 0..2 {
        let got = world.get("a").await;
        assert!(got.is_whole(&world, 1) && got.field("set-cookie").is_empty(), "{got:?}");
    }
    assert!(world.truth().await.is_empty());
}

#[tokio::test]
async fn answers_to_other_questions_are_not_kept() {
    for fault in [
        Fault::StatusWith(206, "content-range", "bytes 0-0/1"),
        Fault::StatusWith(304, "etag", "\"evil\""),
        Fault::Redirect("http://evil.example/".to_owned()),
        Fault::StatusWith(301, "location", "//evil.example/"),
        Fault::StatusWith(200, "vary", "*"),
    ] {
        let world = world().await;
        world.origin.always(fault.clone());
        let got = world.get("a").await;
        assert!(got.status() == 502 || fault == Fault::StatusWith(200, "vary", "*"), "{fault:?}: {got:?}");
        assert!(!format!("{got:?}").contains("evil"), "{fault:?}: {got:?}");
        world.idle().await;
        assert!(world.truth().await.is_empty(), "{fault:?}");
        world.origin.always(Fault::None);
        let mut got = world.get("a").await;
        for _ in 0..200 {
            if got.status() == 200 {
                break;
            }
            // Some of these are trouble to the client of the origin, which does not ask again at once.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            got = world.get("a").await;
        }
        assert!(got.is_whole(&world, 1), "{fault:?}: {got:?}");
    }
}

#[tokio::test]
async fn more_variants_than_are_kept_push_out_each_other_only() {
    let world = world().await;
    world.origin.say("vary", "accept-language");
    let ask = async |target: &str, language: String| {
        let mut object = world.object(target);
        object.origin_headers.insert("accept-language", language.parse().expect("a value"));
        Got::of(world.answer(&request(Method::GET, &format!("/{target}"), &[]), &object).await).await
    };
    assert!(ask("other", "en".to_owned()).await.is_whole(&world, 1));
    for number in 0..100 {
        assert!(ask("a", format!("x-{number}")).await.is_whole(&world, 1));
        world.idle().await;
    }
    let variants = world.cache.store().list(&found::variants("a"), None, 1_000).await;
    assert!((2..=32).contains(&variants.len()), "{}", variants.len());
    assert_eq!(ask("other", "en".to_owned()).await.field("cache-status"), "ferry;hit;ttl=60");
    let asked = world.origin.seen().len();
    assert!(ask("a", "x-99".to_owned()).await.is_whole(&world, 1));
    assert_eq!(world.origin.seen().len(), asked, "the last one is kept");
    // Each gets its own.
    let got = ask("a", "de".to_owned()).await;
    assert!(got.field("cache-status").contains("vary-miss"), "{got:?}");
    world.truth().await;
}
