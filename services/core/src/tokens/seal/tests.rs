use proptest::prelude::*;

use super::*;
use crate::{id::Kid, tokens::sign_user};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const EXPIRES: u64 = 1_700_000_300;
const BEFORE: UnixMillis = UnixMillis::from_seconds(1_700_000_000);

/// Made by another implementation (Python) from the layout that this module's documentation gives.
const GOLDEN: &str = "AQADazEPAAAAAGVT8iwAAAAAZVVCgAEjRWeJq83vAUv5LzV3s02mo86SnQ4ORzYA8GeqC6kCtwAcbWVldGluZ19maWxlcy83L3BhY2th\
Z2UuemlwAAR2PTIAI2FwaS92MS9tZWV0aW5ncy83L2Rvd25sb2FkLXBhY2thZ2UADm1lZXRpbmdfNy56aXAAEGFwcGxpY2F0aW9uL3ppcAAAAAgiNWYtMWEiAA0x\
OTIuMC4yLjAvMjQAF2h0dHA6Ly9ndy5leGFtcGxlOjgwODABAANuMwIAA24xABBuMS5leGFtcGxlOjgwMDEAAANuMgALWzo6MV06ODQ0MwGJxFwDYNus3xmrpvSK\
jLGYN1hpZzJ7AGYeZ22rvUxdqg";

fn key(kid: &str, secret: &[u8]) -> Key {
    Key::new(kid.parse::<Kid>().expect("a good name"), secret.to_vec()).expect("a long secret")
}

fn ring() -> KeyRing {
    KeyRing { previous: None, current: key("k1", SECRET), next: None, revision: 1 }
}

fn path(text: &str) -> ObjectPath {
    ObjectPath::from_decoded(text).expect("a good path")
}

fn endpoint(node: &str, authority: &str, secure: bool) -> Endpoint {
    let authority = authority.parse().expect("a good address");
    Endpoint { node: node.parse().expect("a good name"), authority, secure }
}

fn full() -> NodeGrant {
    let text = |text: &str| Some(text.to_owned());
    NodeGrant {
        key: ObjectKey { path: path("meeting_files/7/package.zip"), query: Some("v=2".into()) },
        path: Some(path("api/v1/meetings/7/download-package")),
        origin_target: text("/meeting_files/7/package.zip?v=2"),
        filename: text("meeting_7.zip"),
        content_type: text("application/zip"),
        cache_control: None,
        expires: EXPIRES,
        renewable_until: 1_700_086_400,
        redirect: RedirectId(0x0123_4567_89ab_cdef),
        hops: 1,
        tried: vec!["n3".parse().expect("a good name")],
        trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok(),
        validator: text("\"5f-1a\""),
        client_network: text("192.0.2.0/24"),
        candidates: vec![endpoint("n1", "n1.example:8001", false), endpoint("n2", "[::1]:8443", true)],
        home: text("http://gw.example:8080"),
        guarded: true,
    }
}

fn bare() -> NodeGrant {
    NodeGrant {
        key: ObjectKey::plain(path("a")),
        path: None,
        origin_target: None,
        filename: None,
        content_type: None,
        cache_control: None,
        expires: EXPIRES,
        renewable_until: EXPIRES,
        redirect: RedirectId(0),
        hops: 0,
        tried: Vec::new(),
        trace: None,
        validator: None,
        client_network: None,
        candidates: Vec::new(),
        home: None,
        guarded: false,
    }
}

fn sealed(grant: &NodeGrant) -> String {
    seal(&ring().current, grant).expect("it fits")
}

/// A well-signed token with any bytes inside.
fn signed(body: &[u8]) -> String {
    let mac = hmac::sign(ring().current.hmac(), &[LABEL, body].concat());
    BASE64_URL_SAFE_NO_PAD.encode([body, mac.as_ref()].concat())
}

fn body(token: &str) -> Vec<u8> {
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token).expect("sealed");
    bytes.truncate(bytes.len() - MAC_LENGTH);
    bytes
}

#[test]
fn a_token_has_the_bytes_that_its_layout_says() {
    assert_eq!(sealed(&full()), GOLDEN);
    assert_eq!(open(&ring(), BEFORE, GOLDEN), Ok(full()));
}

#[test]
fn what_is_sealed_opens_with_everything_in_it() {
    let elsewhere = NodeGrant { origin_target: Some("/other?x=1".to_owned()), ..full() };
    let unsampled = NodeGrant { trace: full().trace.map(|trace| TraceContext { sampled: false, ..trace }), ..bare() };
    for grant in [bare(), full(), elsewhere, unsampled] {
        assert_eq!(open(&ring(), BEFORE, &sealed(&grant)), Ok(grant));
    }
}

#[test]
fn a_token_with_all_the_usual_things_fits_into_a_url() {
    assert!(GOLDEN.len() < 512, "{} characters", GOLDEN.len());
}

#[test]
fn any_flipped_bit_is_refused() {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(GOLDEN).expect("sealed");
    for at in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[at / 8] ^= 1 << (at % 8);
        let opened = open(&ring(), BEFORE, &BASE64_URL_SAFE_NO_PAD.encode(changed));
        assert!(matches!(opened, Err(NodeTokenError::Forged | NodeTokenError::Malformed)), "bit {at}: {opened:?}");
    }
}

#[test]
fn any_truncation_or_addition_is_refused() {
    for length in 0..GOLDEN.len() {
        assert!(open(&ring(), BEFORE, &GOLDEN[..length]).is_err(), "{length} characters");
    }
    for longer in [format!("{GOLDEN}A"), format!("{GOLDEN}AAAA"), format!("{GOLDEN}="), format!(" {GOLDEN}")] {
        assert!(open(&ring(), BEFORE, &longer).is_err(), "{longer}");
    }
    assert_eq!(open(&ring(), BEFORE, &"A".repeat(LONGEST_TOKEN + 1)), Err(NodeTokenError::Malformed));
}

#[test]
fn a_well_signed_body_is_still_read_strictly() {
    let good = body(&sealed(&bare()));
    assert!(open(&ring(), BEFORE, &signed(&good)).is_ok());
    let flags_at = 1 + 2 + "k1".len();
    let mut unknown_flag = good.clone();
    unknown_flag[flags_at] |= 0x80;
    let mut zero_trace = good.clone();
    zero_trace[flags_at] |= TRACED;
    let trace_at = flags_at + 1 + 3 * 8 + 1;
    zero_trace.splice(trace_at..trace_at, [0; 24]);
    let mut many_tried = good.clone();
    let tried_at = good.len() - 2;
    many_tried[tried_at] = NodeGrant::MOST_TRIED as u8 + 1;
    many_tried.splice(tried_at + 1..=tried_at, [0, 2, b'n'].repeat(NodeGrant::MOST_TRIED + 1));
    let named = body(&sealed(&NodeGrant { filename: Some("file".to_owned()), ..bare() }));
    let name_at = named.windows(4).position(|four| four == b"file").expect("sealed");
    let mut broken_line = named.clone();
    broken_line[name_at] = b'\n';
    let trailing = [&good[..], &[0]].concat();
    let path_out = body(&sealed(&NodeGrant { key: ObjectKey::plain(path("a/bb/c")), ..bare() }));
    let at = path_out.windows(2).position(|two| two == b"bb").expect("sealed");
    let mut climbing = path_out.clone();
    climbing[at..at + 2].copy_from_slice(b"..");
    for (what, bytes) in [
        ("an unknown flag", unknown_flag),
        ("a trace of zeros", zero_trace),
        ("too many tried nodes", many_tried),
        ("a line break in a name", broken_line),
        ("a trailing byte", trailing),
        ("a path that climbs", climbing),
        ("nothing but its head", good[..flags_at].to_vec()),
    ] {
        assert_eq!(open(&ring(), BEFORE, &signed(&bytes)), Err(NodeTokenError::Malformed), "{what}");
    }
}

#[test]
fn a_newer_version_is_told_apart_from_a_forgery_by_its_mac() {
    let mut newer = body(GOLDEN);
    newer[0] = VERSION + 1;
    assert_eq!(open(&ring(), BEFORE, &signed(&newer)), Err(NodeTokenError::TooNew));
    newer.extend_from_slice(&[0; MAC_LENGTH]);
    assert_eq!(open(&ring(), BEFORE, &BASE64_URL_SAFE_NO_PAD.encode(newer)), Err(NodeTokenError::Forged));
}

#[test]
fn an_expired_token_still_says_what_it_was_for() {
    let last = UnixMillis(EXPIRES * 1000 - 1);
    assert!(open(&ring(), last, GOLDEN).is_ok());
    let over = UnixMillis::from_seconds(EXPIRES);
    assert_eq!(open(&ring(), over, GOLDEN), Err(NodeTokenError::Expired(Box::new(full()))));
}

#[test]
fn every_key_of_the_ring_opens_and_no_other() {
    let old = key("k0", &[b'o'; 32]);
    let turned = KeyRing { previous: Some(ring().current), current: old.clone(), next: None, revision: 2 };
    assert!(open(&turned, BEFORE, GOLDEN).is_ok());
    assert_eq!(open(&ring(), BEFORE, &seal(&old, &bare()).expect("it fits")), Err(NodeTokenError::Forged));
    let impostor = key("k1", &[b'x'; 32]);
    assert_eq!(open(&ring(), BEFORE, &seal(&impostor, &bare()).expect("it fits")), Err(NodeTokenError::Forged));
}

#[test]
fn a_user_token_is_no_node_token_even_under_the_same_key() {
    let object = path("a");
    let claim = crate::tokens::UserClaim::Path { path: &object, query: None };
    let query = sign_user(&ring().current, claim, "u", EXPIRES).expect("signable");
    let token = query.split(['=', '&']).nth(5).expect("the third value");
    assert!(open(&ring(), BEFORE, token).is_err());
}

#[test]
fn what_does_not_fit_is_not_sealed() {
    let long = |length: usize| NodeGrant { filename: Some("x".repeat(length)), ..bare() };
    let seal = |grant: &NodeGrant| seal(&ring().current, grant);
    let overhead = body(&sealed(&long(0))).len();
    let longest = seal(&long(LONGEST_BODY - overhead)).expect("it just fits");
    assert!(longest.len() <= LONGEST_TOKEN);
    assert!(open(&ring(), BEFORE, &longest).is_ok());
    assert_eq!(seal(&long(LONGEST_BODY - overhead + 1)), Err(Unsealable::TooLong));
    assert_eq!(seal(&long(70_000)), Err(Unsealable::TooLong));
    // What nobody seals is not opened either, even if it is well signed.
    let name = vec![b'x'; LONGEST_BODY];
    let at = body(&sealed(&long(1))).windows(3).position(|three| three == [0, 2, b'x']).expect("sealed");
    let mut longer = body(&sealed(&long(1)));
    longer.splice(at..at + 3, (name.len() as u16 + 1).to_be_bytes().into_iter().chain(name));
    assert_eq!(open(&ring(), BEFORE, &signed(&longer)), Err(NodeTokenError::Malformed));

    let node = "n".parse::<crate::id::NodeId>().expect("a good name");
    assert_eq!(seal(&NodeGrant { tried: vec![node; 9], ..bare() }), Err(Unsealable::TooMany));
    let candidates = vec![endpoint("n", "n:1", false); 5];
    assert_eq!(seal(&NodeGrant { candidates, ..bare() }), Err(Unsealable::TooMany));
    assert_eq!(seal(&NodeGrant { home: Some("a\r\nb".to_owned()), ..bare() }), Err(Unsealable::Control));
}

#[test]
fn a_grant_is_for_the_path_that_the_client_was_sent_to() {
    let grant = full();
    assert!(grant.covers(&path("api/v1/meetings/7/download-package")));
    assert!(!grant.covers(&path("meeting_files/7/package.zip")));
    assert!(bare().covers(&path("a")));
    assert!(!bare().covers(&path("b")));
}

proptest! {
    #[test]
    fn any_bytes_are_refused_and_none_of_them_breaks_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open(&ring(), BEFORE, &BASE64_URL_SAFE_NO_PAD.encode(&bytes)).is_err());
        // Well signed, behind a good head, so that the reader gets to see them.
        let head = &body(&sealed(&bare()))[..5];
        let _ = open(&ring(), BEFORE, &signed(&[head, &bytes].concat()));
    }

    #[test]
    fn any_grant_comes_back_as_it_was(
        name in "[^\\p{Cc}/]{2,60}",
        texts in proptest::collection::vec(proptest::option::of("[^\\p{Cc}]{0,60}"), 6),
        expires in 1_700_000_001_u64..,
        numbers in any::<(u64, u64, u8, bool)>(),
    ) {
        prop_assume!(name != "..");
        let (renewable_until, redirect, hops, guarded) = numbers;
        let [origin_target, filename, content_type, validator, client_network, home] =
            <[Option<String>; 6]>::try_from(texts).expect("six of them");
        let grant = NodeGrant {
            key: ObjectKey::plain(path(&name)),
            origin_target, filename, content_type, validator, client_network, home,
            expires, renewable_until, redirect: RedirectId(redirect), hops, guarded,
            ..full()
        };
        prop_assert_eq!(open(&ring(), BEFORE, &sealed(&grant)), Ok(grant));
    }
}
