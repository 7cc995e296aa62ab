use proptest::prelude::*;

use super::{
    Coding::{Brotli, Gzip, Zstd},
    *,
};

fn field(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(header::ACCEPT_ENCODING, HeaderValue::from_str(line).expect("a field value"));
    }
    headers
}

fn forms(lines: &[&str]) -> String {
    let forms = accepted(&field(lines), &[Brotli, Gzip]);
    forms.into_iter().map(|form| form.map_or("plain", Coding::as_str)).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_client_gets_what_it_likes_best() {
    // RFC 9110 section 12.5.3
    for (line, expected) in [
        ("gzip", "gzip plain"),
        ("gzip, br", "br gzip plain"),
        ("br;q=0.5, gzip;q=0.8", "gzip br plain"),
        ("gzip;q=1.0, identity; q=0.5, *;q=0", "gzip plain"),
        ("GZIP", "gzip plain"),
        ("x-gzip", "gzip plain"),
        ("*", "br gzip plain"),
        ("gzip;q=0, *", "br plain"),
        ("*;q=0.1, gzip", "gzip br plain"),
        ("identity, gzip;q=0.5", "plain gzip"),
        ("identity;q=0.5, gzip;q=0.5", "gzip plain"),
        ("identity", "plain"),
        ("", "plain"),
        ("compress, deflate", "plain"),
        ("gzip;q=0", "plain"),
        ("br\t;\tq=0.001", "br plain"),
        ("gzip,,br,", "br gzip plain"),
        ("gzip;Q=0.5", "gzip plain"),
    ] {
        assert_eq!(forms(&[line]), expected, "{line:?}");
    }
    assert_eq!(forms(&["br;q=0", "gzip"]), "gzip plain", "two lines are one list");
}

#[test]
fn the_plain_form_is_refused_by_name_or_by_a_star_only() {
    for (line, expected) in [
        ("identity;q=0", ""),
        ("gzip, identity;q=0", "gzip"),
        ("*;q=0", ""),
        ("gzip, *;q=0", "gzip"),
        ("identity;q=0.1, *;q=0", "plain"),
        ("gzip;q=0, *;q=0.5", "br plain"),
    ] {
        assert_eq!(forms(&[line]), expected, "{line:?}");
    }
}

#[test]
fn without_a_field_nothing_is_coded() {
    assert_eq!(forms(&[]), "plain");
}

#[test]
fn what_is_malformed_is_as_good_as_absent() {
    for line in ["gzip;q=2", "gzip;q=1.001", "gzip;q=0.1234", "gzip;q=", "gzip;q=x", "gzip;v=1", "gzip br", "gzip;q=-1"]
    {
        assert_eq!(forms(&[line]), "plain", "{line:?}");
    }
    assert_eq!(forms(&["gzip;q=2, br"]), "br plain");
}

#[test]
fn codings_have_names_and_suffixes() {
    for (coding, name, suffix) in [(Brotli, "br", ".br"), (Gzip, "gzip", ".gz"), (Zstd, "zstd", ".zst")] {
        assert_eq!((coding.as_str(), coding.suffix(), name.parse()), (name, suffix, Ok(coding)));
        assert_eq!(coding.value(), name);
    }
    assert_eq!("deflate".parse::<Coding>(), Err(UnknownCoding));
}

proptest! {
    /// Whatever the field holds: each form at most once, nothing that was not offered, and weights in their order.
    #[test]
    fn any_field_gives_an_order(
        elements in proptest::collection::vec(
            ("(br|gzip|zstd|identity|\\*|[a-z]{1,4})", proptest::option::of(0..=1000_u16)),
            0..6,
        ),
    ) {
        let one = |(coding, weight): &(String, Option<u16>)| match weight {
            Some(1000) => format!("{coding};q=1"),
            Some(weight) => format!("{coding};q=0.{weight:03}"),
            None => coding.clone(),
        };
        let line = elements.iter().map(one).collect::<Vec<_>>().join(", ");
        let forms = accepted(&field(&[&line]), &[Zstd, Gzip]);
        for (at, form) in forms.iter().enumerate() {
            prop_assert!(!forms[..at].contains(form), "{line}: twice");
            prop_assert!(*form != Some(Brotli), "{line}: not offered");
            let name = form.map_or("identity", Coding::as_str);
            let said = elements.iter().find(|(coding, _)| coding == name).map(|(_, weight)| weight.unwrap_or(FULL));
            prop_assert!(said != Some(0), "{line}: refused");
        }
    }
}
