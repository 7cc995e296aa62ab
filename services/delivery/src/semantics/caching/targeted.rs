//! Fields that speak to caches like this one and to no other: `CDN-Cache-Control` (RFC 9213), and `Surrogate-Control`, which came before it.
//!
//! Where one of them holds, `Cache-Control` and `Expires` count for nothing. One that cannot be read is as good as absent.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::{
    control::{Control, LONGEST},
    directives::{self, Argument, Directive},
    policy::Policy,
};

const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// Not for clients: whoever obeys it takes it away.
pub(crate) const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// The name that an origin may aim a directive of `Surrogate-Control` at.
const SURROGATE: &[u8] = b"ferry";

/// What the first targeted field that holds says.
pub(super) fn control(headers: &HeaderMap, policy: &Policy) -> Option<Control> {
    cdn(headers).or_else(|| policy.surrogate_control.then(|| surrogate(headers)).flatten())
}

/// A dictionary of structured values (section 2.1); empty or broken, it is ignored as a whole.
fn cdn(headers: &HeaderMap) -> Option<Control> {
    let lines: Vec<_> = headers.get_all(CDN_CACHE_CONTROL).iter().map(http::HeaderValue::as_bytes).collect();
    let dictionary: Dictionary = Parser::new(&lines.join(&b", "[..])).parse().ok()?;
    if dictionary.is_empty() {
        return None;
    }
    let mut control = Control::default();
    for (key, value) in &dictionary {
        let argument = match value {
            ListEntry::Item(item) => match &item.bare_item {
                // `?0` is the word for "not at all".
                BareItem::Boolean(false) => continue,
                BareItem::Boolean(true) => Argument::None,
                BareItem::Integer(number) => seconds((*number).into()),
                BareItem::String(text) => Argument::Text(text.as_str().as_bytes().into()),
                BareItem::Token(text) => Argument::Text(text.as_str().as_bytes().into()),
                BareItem::Decimal(_) | BareItem::ByteSequence(_) | BareItem::Date(_) | BareItem::DisplayString(_) => {
                    Argument::Broken
                }
            },
            ListEntry::InnerList(_) => Argument::Broken,
        };
        control.add(&Directive { name: key.as_str().as_bytes(), argument });
    }
    Some(control)
}

fn seconds(number: i64) -> Argument<'static> {
    match u64::try_from(number) {
        Ok(number) => Argument::Text(Cow::Owned(number.min(LONGEST.into()).to_string().into_bytes())),
        Err(_) => Argument::Broken,
    }
}

/// The Edge Architecture Specification's field (a W3C note): directives as in `Cache-Control`, each perhaps aimed at one surrogate by
/// a parameter. What is aimed at us goes before what is aimed at all; what is aimed at others is nothing to us.
fn surrogate(headers: &HeaderMap) -> Option<Control> {
    let (mut ours, mut everybodys) = (None, None);
    for line in headers.get_all(SURROGATE_CONTROL) {
        for element in line.as_bytes().split(|byte| *byte == b',') {
            let (directive, target) = match element.iter().position(|byte| *byte == b';') {
                Some(at) => (&element[..at], Some(element[at + 1..].trim_ascii())),
                None => (element, None),
            };
            let control: &mut Option<Control> = match target {
                None => &mut everybodys,
                Some(name) if name.eq_ignore_ascii_case(SURROGATE) => &mut ours,
                Some(_) => continue,
            };
            let known = directives::of(directive).filter(is_surrogates);
            known.for_each(|directive| control.get_or_insert_default().add(&directive));
        }
    }
    ours.or(everybodys)
}

/// The directives of that note that bear on storing. `content` is about languages that nothing here processes.
fn is_surrogates(directive: &Directive<'_>) -> bool {
    directive.is("max-age") || directive.is("no-store")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a field value"));
        }
        map
    }

    fn max_age(of: Option<Control>) -> Option<Option<u32>> {
        of.map(|control| control.max_age)
    }

    #[test]
    fn a_targeted_field_is_a_dictionary_or_nothing() {
        for (value, expected) in [
            ("max-age=60", Some(Some(60))),
            ("max-age=60;x=1, foo=bar", Some(Some(60))),
            ("max-age=1, max-age=60", Some(Some(60))), // of two, the last: RFC 9651 section 3.2
            ("max-age=999999999999999", Some(Some(LONGEST))),
            ("max-age=-1", Some(Some(0))),
            ("max-age=1.5", Some(Some(0))),
            ("max-age=\"60\"", Some(Some(60))),
            ("max-age", Some(Some(0))),
            ("max-age=(60)", Some(Some(0))),
            ("max-age=?0", Some(None)),
            ("no-store", Some(None)),
            ("", None),
            ("MaX-aGe=60", None),
            ("max-age =60", None),
            ("max-age= 60", None),
            ("max-age=60,", None),
            ("max-age=\"60", None),
            ("max-age=9999999999999999", None), // more digits than an integer has
            ("&", None),
        ] {
            assert_eq!(max_age(cdn(&headers(&[("cdn-cache-control", value)]))), expected, "{value:?}");
        }
        assert_eq!(max_age(cdn(&HeaderMap::new())), None);
    }

    #[test]
    fn lines_of_a_targeted_field_are_one_dictionary() {
        let control = cdn(&headers(&[("cdn-cache-control", "max-age=60"), ("cdn-cache-control", "must-revalidate")]));
        let control = control.expect("both lines can be read");
        assert_eq!((control.max_age, control.must_revalidate), (Some(60), true));
        let broken = headers(&[("cdn-cache-control", "max-age=60"), ("cdn-cache-control", "=")]);
        assert_eq!(cdn(&broken), None);
    }

    #[test]
    fn every_directive_can_be_targeted() {
        let value = "no-store, private, no-cache=\"a\", s-maxage=5, public, stale-if-error=9, must-revalidate=?0";
        let control = cdn(&headers(&[("cdn-cache-control", value)])).expect("a dictionary");
        assert!(control.no_store && control.public && !control.must_revalidate);
        assert_eq!((control.s_maxage, control.stale_if_error), (Some(5), Some(9)));
        assert_eq!(control.excepted().map(HeaderName::as_str).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn a_surrogate_obeys_what_is_aimed_at_it_or_at_all() {
        for (value, expected) in [
            ("max-age=60", Some(Some(60))),
            ("MaX-aGe=60", Some(Some(60))),
            ("foobar, max-age=60", Some(Some(60))),
            ("max-age=60;ferry", Some(Some(60))),
            ("max-age=60;other", None),
            ("max-age=60;other, max-age=5", Some(Some(5))),
            ("max-age=60; ferry , max-age=5", Some(Some(60))),
            ("max-age=60+30", Some(Some(0))),
            ("content=\"ESI/1.0\"", None),
            ("foo", None),
            ("", None),
        ] {
            assert_eq!(max_age(surrogate(&headers(&[("surrogate-control", value)]))), expected, "{value:?}");
        }
        assert!(surrogate(&headers(&[("surrogate-control", "no-store")])).is_some_and(|control| control.no_store));
    }

    #[test]
    fn the_standard_s_field_goes_first_and_the_older_one_only_where_it_is_wanted() {
        let both = headers(&[("cdn-cache-control", "max-age=1"), ("surrogate-control", "max-age=2")]);
        let older = headers(&[("surrogate-control", "max-age=2")]);
        let (unwanted, wanted) = (Policy::default(), Policy { surrogate_control: true, ..Policy::default() });
        for (headers, policy, expected) in [
            (&both, &unwanted, Some(Some(1))),
            (&both, &wanted, Some(Some(1))),
            (&older, &unwanted, None),
            (&older, &wanted, Some(Some(2))),
        ] {
            assert_eq!(max_age(control(headers, policy)), expected);
        }
    }
}
