use proptest::prelude::*;

use super::*;
use crate::id::Kid;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const BEFORE: UnixMillis = UnixMillis::from_seconds(1_000);
const EXPIRES: u64 = 9_999_999_999;

fn key(kid: &str, secret: &[u8]) -> Key {
    Key::new(kid.parse::<Kid>().expect("a good name"), secret.to_vec()).expect("a long secret")
}

fn ring() -> KeyRing {
    KeyRing { previous: None, current: key("k1", SECRET), next: None, revision: 1 }
}

fn path(target: &str) -> ObjectPath {
    ObjectPath::from_target(target).expect("a good path")
}

fn scope(text: &str) -> Scope {
    text.parse().expect("a good scope")
}

fn sign_path(target: &str) -> String {
    sign_user(&ring().current, UserClaim::Path { path: &path(target), query: None }, "test", EXPIRES).expect("signable")
}

fn sign_scope(text: &str) -> String {
    sign_user(&ring().current, UserClaim::Scope(&scope(text)), "test", EXPIRES).expect("signable")
}

fn verify<'q>(target: &str, query: &'q str) -> Result<UserGrant<'q>, UserTokenError> {
    verify_user(&ring(), BEFORE, &path(target), None, Some(query))
}

/// The MACs come from another implementation (Python's hmac) over the text of the design.
#[test]
fn signatures_are_those_that_any_other_signer_makes() {
    assert_eq!(
        sign_path("/video/test.m3u8"),
        "uid=test&expires=9999999999&token=7ax9OH0ZwhNqOEWYtduwlZY4jyjhb7yLvxm_njqaOL4&kid=k1"
    );
    let directory = scope("/hls/é 1/");
    assert_eq!(
        sign_user(&ring().current, UserClaim::Scope(&directory), "u&1", 1_700_000_000).as_deref(),
        Ok("uid=u%261&expires=1700000000&token=ot284Mr2HfPjI10dJWfwPFUonScdoJvoQ6dXSkef134&kid=k1\
            &scope=/hls/%C3%A9%201/")
    );
    let image = UserClaim::Path { path: &path("/image"), query: Some("w=100") };
    assert_eq!(
        sign_user(&ring().current, image, "test", EXPIRES).as_deref(),
        Ok("uid=test&expires=9999999999&token=PMiU4JkbKhTG1Q0G2ETzdZlcmUGPrUASEmKGnWzVVvk&kid=k1")
    );
}

#[test]
fn a_token_opens_its_own_path_and_no_other() {
    let token = sign_path("/video/test.m3u8");
    let grant = UserGrant { uid: "test".into(), expires: EXPIRES };
    assert_eq!(verify("/video/test.m3u8", &token), Ok(grant.clone()));
    assert_eq!(verify("/video/t%65st.m3u8", &token), Ok(grant.clone()), "another spelling of the same path");
    assert_eq!(verify("/video/test.m3u8", &format!("a=1&{token}&b=2")), Ok(grant));
    for other in ["/video/test2.m3u8", "/video/test.m3u8/x", "/video/TEST.m3u8", "/test.m3u8"] {
        assert_eq!(verify(other, &token), Err(UserTokenError::Forged), "{other}");
    }
}

#[test]
fn a_query_that_is_part_of_the_key_is_part_of_what_is_signed() {
    let image = path("/image");
    let claim = UserClaim::Path { path: &image, query: Some("w=100") };
    let token = sign_user(&ring().current, claim, "test", EXPIRES).expect("signable");
    let verify = |key_query| verify_user(&ring(), BEFORE, &image, key_query, Some(token.as_str()));
    assert!(verify(Some("w=100")).is_ok());
    assert_eq!(verify(Some("w=4000")), Err(UserTokenError::Forged));
    assert_eq!(verify(None), Err(UserTokenError::Forged));
}

#[test]
fn a_scope_covers_what_lies_below_it_and_ends_where_its_slash_is() {
    let token = sign_scope("/a/");
    for inside in ["/a/b", "/a/b/c.ts", "/a/%20"] {
        assert!(verify(inside, &token).is_ok(), "{inside}");
    }
    for outside in ["/ab", "/a", "/b/a/x", "/A/b"] {
        assert_eq!(verify(outside, &token), Err(UserTokenError::WrongObject), "{outside}");
    }
    assert!(verify("/anything/at/all", &sign_scope("/")).is_ok());
}

#[test]
fn a_scope_is_a_whole_directory_in_its_plain_form() {
    for bad in ["", "a/", "/a", "//", "/a//", "/a/../", "/./", "/a\n/", "/../"] {
        assert_eq!(bad.parse::<Scope>(), Err(InvalidScope), "{bad:?}");
    }
}

#[test]
fn one_kind_is_never_taken_for_the_other() {
    let for_path = sign_path("/a/b");
    for widened in ["/", "/a/", "/a/b/"] {
        assert_eq!(verify("/a/b", &format!("{for_path}&scope={widened}")), Err(UserTokenError::Forged), "{widened}");
    }
    let for_scope = sign_scope("/a/");
    let narrowed = for_scope.replace("&scope=/a/", "");
    assert_eq!(verify("/a/b", &narrowed), Err(UserTokenError::Forged));
    assert_eq!(verify("/b/c", &for_scope.replace("scope=/a/", "scope=/b/")), Err(UserTokenError::Forged));
}

#[test]
fn a_line_break_cannot_move_text_from_one_field_to_the_next() {
    for uid in ["a\nb", "a\r", "\0", "a\u{7f}", "a\u{85}", "", &"x".repeat(257)] {
        let claim = UserClaim::Path { path: &path("/a"), query: None };
        assert_eq!(sign_user(&ring().current, claim, uid, EXPIRES), Err(Unsignable::Uid), "{uid:?}");
    }
    let claim = UserClaim::Path { path: &path("/a"), query: Some("q\nadmin") };
    assert_eq!(sign_user(&ring().current, claim, "u", EXPIRES), Err(Unsignable::Query));

    // What is signed for (query "q", uid "u") must not be readable as (no query, uid "q\nu").
    let claim = UserClaim::Path { path: &path("/a"), query: Some("q") };
    let token = sign_user(&ring().current, claim, "u", EXPIRES).expect("signable");
    assert_eq!(verify("/a", &token.replace("uid=u", "uid=q%0Au")), Err(UserTokenError::Malformed));
}

#[test]
fn what_is_no_token_is_refused_for_what_it_lacks() {
    use UserTokenError::{Forged, Malformed, Missing};
    let good = sign_path("/a");
    let token = good.split('&').find(|pair| pair.starts_with("token=")).expect("signed");
    let without_kid = good.replace("&kid=k1", "");
    assert!(verify("/a", &without_kid).is_ok(), "any key of the ring will do without a name");
    for (query, why) in [
        ("", Missing),
        ("uid=test&expires=9999999999", Missing),
        (token, Malformed),
        (&format!("uid=test&{token}"), Malformed),
        (&format!("expires=9999999999&{token}"), Malformed),
        ("uid=test&expires=9999999999&token=xxx", Malformed),
        ("uid=test&expires=9999999999&token=", Malformed),
        (&format!("{good}="), Forged),
        (&good.replace("kid=k1", "kid=k2"), Forged),
        (&good.replace("uid=test", "uid=Test"), Forged),
        (&good.replace("expires=9999999999", "expires=9999999998"), Forged),
        (&good.replace("expires=9", "expires=09"), Malformed),
        (&good.replace("expires=9", "expires=%2B9"), Malformed),
        (&good.replace("expires=9", "expires=-9"), Malformed),
        (&good.replace("expires=9", "expires=99999999999999999999"), Malformed),
        (&format!("{good}&uid=test"), Malformed),
        (&format!("{good}&%75id=test"), Malformed),
        (&format!("{good}&scope=a"), Malformed),
        (&good.replace("uid=test", "uid=%ff"), Malformed),
    ] {
        assert_eq!(verify("/a", query), Err(why), "{query:?}");
    }
    assert_eq!(verify_user(&ring(), BEFORE, &path("/a"), None, None), Err(Missing));
}

#[test]
fn a_token_is_good_until_its_last_second_and_only_its_holder_learns_that_it_was() {
    let claim = UserClaim::Path { path: &path("/a"), query: None };
    let token = sign_user(&ring().current, claim, "u", 1_000).expect("signable");
    let at = |millis: u64, token: &str| {
        verify_user(&ring(), UnixMillis(millis), &path("/a"), None, Some(token)).map(|grant| grant.expires)
    };
    assert!(at(999_999, &token).is_ok());
    assert_eq!(at(1_000_000, &token), Err(UserTokenError::Expired));
    assert_eq!(at(1_000_000, &token.replace("uid=u", "uid=v")), Err(UserTokenError::Forged));
    assert_eq!(UserTokenError::Expired.status(), 410);
    for refused in [UserTokenError::Missing, UserTokenError::Malformed, UserTokenError::Forged] {
        assert_eq!(refused.status(), 403);
    }
}

#[test]
fn every_key_of_the_ring_verifies_and_no_other_does() {
    let secret = |letter: u8| vec![letter; 32];
    let ring = KeyRing {
        previous: Some(key("old", &secret(b'o'))),
        current: key("now", &secret(b'n')),
        next: Some(key("new", &secret(b'w'))),
        revision: 3,
    };
    let claim = UserClaim::Path { path: &path("/a"), query: None };
    for signer in ring.keys() {
        let token = sign_user(signer, claim, "u", EXPIRES).expect("signable");
        for query in [token.clone(), token.replace(&format!("&kid={}", signer.kid()), "")] {
            assert!(verify_user(&ring, BEFORE, &path("/a"), None, Some(query.as_str())).is_ok(), "{query}");
        }
    }
    let stranger = sign_user(&key("now", &secret(b'x')), claim, "u", EXPIRES).expect("signable");
    assert_eq!(verify_user(&ring, BEFORE, &path("/a"), None, Some(stranger.as_str())), Err(UserTokenError::Forged));
}

proptest! {
    #[test]
    fn whatever_is_signed_verifies(uid in "[^\\p{Cc}]{1,60}", name in "[^\\p{Cc}/]{1,40}", expires in 1_001_u64..) {
        prop_assume!(name != "." && name != "..");
        let object = ObjectPath::from_decoded(&name).expect("no slash, no control character, no dots");
        let claim = UserClaim::Path { path: &object, query: None };
        let query = sign_user(&ring().current, claim, &uid, expires).expect("signable");
        let grant = verify_user(&ring(), BEFORE, &object, None, Some(query.as_str()));
        prop_assert_eq!(grant, Ok(UserGrant { uid: uid.into(), expires }));
    }

    #[test]
    fn no_character_of_a_token_can_be_another(at in 0_usize..43, other in "[A-Za-z0-9_-]") {
        let good = sign_path("/a");
        let at = good.find("token=").expect("signed") + "token=".len() + at;
        prop_assume!(good[at..=at] != other);
        let mut changed = good;
        changed.replace_range(at..=at, &other);
        prop_assert!(verify("/a", &changed).is_err());
    }
}
