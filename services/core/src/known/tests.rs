use super::*;
use crate::object::ObjectPath;

fn key(path: &str) -> ObjectKey {
    ObjectKey::plain(ObjectPath::from_decoded(path).expect("a good path"))
}

fn node(id: &str) -> NodeId {
    id.parse().expect("a good name")
}

fn version(validator: &str, digest: Option<u8>) -> Version {
    let validator = format!("\"{validator}\"").parse().expect("a tag");
    Version { validator, length: 10, sha256: digest.map(|octet| [octet; 32]) }
}

fn at(seconds: u64) -> Tick {
    Tick::from_origin(Duration::from_secs(1_000 + seconds))
}

/// What is named: validator, and the first octet of the digest.
fn named(known: &Known, path: &str, now: Tick) -> Option<(String, Option<u8>)> {
    let version = known.version(&key(path), now)?;
    Some((version.validator.to_string(), version.sha256.map(|digest| digest[0])))
}

fn tag(validator: &str, digest: Option<u8>) -> Option<(String, Option<u8>)> {
    Some((format!("\"{validator}\""), digest))
}

#[test]
fn what_a_node_told_is_named_for_a_minute_and_of_no_other_object() {
    let mut known = Known::with_room_for(64);
    known.hear(&node("n1"), &key("a"), version("v1", None), at(0));
    assert_eq!(named(&known, "a", at(59)), tag("v1", None));
    assert_eq!(named(&known, "a", at(60)), None);
    assert_eq!(named(&known, "b", at(0)), None);
    let with_query = ObjectKey { query: Some("x=1".into()), ..key("a") };
    assert!(known.version(&with_query, at(0)).is_none(), "the query is a part of the key");
    known.forget(&key("a"));
    assert_eq!(named(&known, "a", at(0)), None);
}

#[test]
fn while_two_nodes_tell_of_different_versions_none_is_named() {
    let mut known = Known::with_room_for(64);
    known.hear(&node("n1"), &key("a"), version("v1", None), at(0));
    known.hear(&node("n2"), &key("a"), version("v2", None), at(10));
    assert_eq!(named(&known, "a", at(11)), None);
    known.hear(&node("n1"), &key("a"), version("v2", None), at(20));
    assert_eq!(named(&known, "a", at(21)), tag("v2", None), "they agree");
    known.hear(&node("n1"), &key("a"), version("v3", None), at(30));
    assert_eq!(named(&known, "a", at(69)), None);
    assert_eq!(named(&known, "a", at(71)), tag("v3", None), "the other one has not said it for a minute");
}

#[test]
fn a_node_whose_object_changed_takes_its_word_back() {
    let mut known = Known::with_room_for(64);
    known.hear(&node("n1"), &key("a"), version("v1", Some(1)), at(0));
    known.hear(&node("n1"), &key("a"), version("v2", None), at(1));
    assert_eq!(named(&known, "a", at(2)), tag("v2", None), "and no digest of the old version stays");
}

#[test]
fn a_digest_that_one_node_knows_is_named_with_the_version_that_it_is_of() {
    let mut known = Known::with_room_for(64);
    for order in [["n1", "n2", "n3"], ["n2", "n1", "n3"], ["n3", "n2", "n1"]] {
        for (second, id) in order.into_iter().enumerate() {
            let digest = (id == "n2").then_some(7);
            known.hear(&node(id), &key("a"), version("v1", digest), at(second as u64));
        }
        assert_eq!(named(&known, "a", at(3)), tag("v1", Some(7)), "{order:?}");
        known.forget(&key("a"));
    }
}

#[test]
fn a_digest_is_written_as_its_standard_has_it() {
    // RFC 9530 appendix B.1: {"hello": "world"} with a line break.
    let digest = [
        0x44, 0xaf, 0xf4, 0xab, 0x2d, 0x7c, 0xca, 0x60, 0x52, 0x56, 0x75, 0xa0, 0x8f, 0x0c, 0xfa, 0x65, 0x91, 0x16,
        0x8c, 0xff, 0xe5, 0x17, 0x91, 0xc5, 0xf5, 0xbb, 0xc4, 0x17, 0xc1, 0x5a, 0x6c, 0x38,
    ];
    let written = Version { sha256: Some(digest), ..version("v", None) }.repr_digest().expect("it is known");
    let read = String::from_utf8_lossy(&written).into_owned();
    assert!(read.starts_with("sha-256=:RK/0q") && read.ends_with("=:") && read.len() == Version::REPR_DIGEST, "{read}");
    assert_eq!(version("v", None).repr_digest(), None);
}

#[test]
fn one_validator_with_two_digests_or_lengths_is_no_version_to_be_named() {
    for other in [version("v1", Some(2)), Version { length: 11, ..version("v1", None) }] {
        let mut known = Known::with_room_for(64);
        known.hear(&node("n1"), &key("a"), version("v1", Some(1)), at(0));
        known.hear(&node("n2"), &key("a"), version("v1", None), at(0));
        known.hear(&node("n3"), &key("a"), other, at(0));
        assert_eq!(named(&known, "a", at(1)), None);
    }
}

#[test]
fn room_is_bounded_and_what_was_heard_longest_ago_gives_way() {
    let mut known = Known::with_room_for(4);
    for number in 0..100 {
        let now = at(0) + Duration::from_millis(number);
        known.hear(&node("n1"), &key(&format!("o{number}")), version("v", None), now);
    }
    let kept: Vec<_> = (0..100).filter(|number| named(&known, &format!("o{number}"), at(1)).is_some()).collect();
    assert_eq!(kept, [96, 97, 98, 99]);
    let mut crowd = Known::with_room_for(4);
    for number in 0..100 {
        crowd.hear(&node(&format!("n{number}")), &key("a"), version("v", None), at(0));
    }
    assert_eq!(crowd.sets.iter().flatten().flatten().map(|entry| entry.told.len()).sum::<usize>(), TELLERS);
}
