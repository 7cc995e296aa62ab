use http::HeaderValue;

use super::*;

fn of(lines: &[&str]) -> Control {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(header::CACHE_CONTROL, HeaderValue::from_str(line).expect("a field value"));
    }
    Control::of(&headers, &Policy::default()).0
}

fn named(names: &[&'static str]) -> Scope {
    Scope::Fields(names.iter().map(|name| HeaderName::from_static(name)).collect())
}

#[test]
fn a_span_is_digits_and_nothing_else() {
    for (text, seconds) in [
        ("0", Some(0)),
        ("3600", Some(3600)),
        ("003600", Some(3600)),
        ("2147483647", Some(2_147_483_647)),
        ("2147483648", Some(LONGEST)),
        ("2147483649", Some(LONGEST)),
        ("99999999999", Some(LONGEST)),
        ("99999999999999999999999999999999", Some(LONGEST)),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1e3", None),
        ("0x10", None),
        (" 1", None),
        ("1 ", None),
        ("a1", None),
        ("1a", None),
        ("'1'", None),
        ("\u{661}", None),
    ] {
        assert_eq!(delta_seconds(text.as_bytes()), seconds, "{text:?}");
    }
}

#[test]
fn lifetimes_are_read_in_every_form_and_broken_ones_are_none() {
    for (lines, max_age, s_maxage) in [
        (&["max-age=60"][..], Some(60), None),
        (&["MAX-AGE=60"], Some(60), None),
        (&["max-age=\"60\""], Some(60), None),
        (&["max-age=\"\\60\""], Some(60), None),
        (&["foo, max-age=60, bar=1"], Some(60), None),
        (&["s-maxage=10, max-age=60"], Some(60), Some(10)),
        (&["s-maxage=10", "max-age=60"], Some(60), Some(10)),
        (&["max-age=60, max-age=60"], Some(60), None),
        (&["max-age=60, max-age=10"], Some(10), None),
        (&["max-age=10, max-age=60"], Some(10), None),
        (&["max-age=60", "max-age=10"], Some(10), None),
        (&["max-age=60, max-age=x"], Some(0), None),
        (&["max-age"], Some(0), None),
        (&["max-age="], Some(0), None),
        (&["max-age=-60"], Some(0), None),
        (&["max-age=60.5"], Some(0), None),
        (&["max-age='60'"], Some(0), None),
        (&["max-age =60"], Some(0), None),
        (&["max-age= 60"], Some(0), None),
        (&["max-age=\"60"], Some(0), None),
        (&["max-age=60s"], Some(0), None),
        (&["max-age: 60"], None, None),
        (&["max-age;60"], None, None),
        (&["x=\"max-age=60\""], None, None),
        (&["x=\"max-age=60\", max-age=1"], Some(1), None),
        (&["max-age=1, x=\"max-age=60\""], Some(1), None),
        (&["x=\"\\\", max-age=60\""], None, None),
        (&["x-max-age=60, max-agex=60"], None, None),
        (&[""], None, None),
        (&[], None, None),
    ] {
        let control = of(lines);
        assert_eq!((control.max_age, control.s_maxage), (max_age, s_maxage), "{lines:?}");
        assert_eq!(control.has_lifetime(), max_age.is_some() || s_maxage.is_some());
    }
}

#[test]
fn what_forbids_is_read_however_it_is_written() {
    for line in
        ["no-store", "No-StOrE", "max-age=1,no-store", "no-store=1", "no-store=\"x", "x=\"y, no-store", "no-store ;x"]
    {
        assert!(of(&[line]).no_store, "{line:?}");
    }
    for line in ["must-revalidate", "proxy-revalidate", "must-revalidate=1", "x, Must-Revalidate"] {
        assert!(of(&[line]).must_revalidate, "{line:?}");
    }
    for line in ["", "nostore", "x=no-store", "x=\"no-store\"", "no-store2", "must-revalidat"] {
        let control = of(&[line]);
        assert!(!control.no_store && !control.must_revalidate, "{line:?}");
    }
}

#[test]
fn what_permits_is_read_only_as_it_should_be_written() {
    for (line, public, understand, strictly) in [
        ("public", true, false, false),
        ("PUBLIC, must-understand", true, true, false),
        ("must-revalidate", false, false, true),
        ("proxy-revalidate", false, false, false),
        ("must-revalidate=1", false, false, false),
        ("public=1", false, false, false),
        ("public ,must-understand=\"\"", true, false, false),
        ("publi", false, false, false),
    ] {
        let control = of(&[line]);
        let read = (control.public, control.must_understand, control.strictly_must_revalidate);
        assert_eq!(read, (public, understand, strictly), "{line:?}");
    }
}

#[test]
fn fields_may_be_excepted_and_doubt_means_all() {
    for (lines, scope) in [
        (&["no-cache"][..], Scope::All),
        (&["max-age=1"], Scope::Nothing),
        (&["no-cache=\"a\""], named(&["a"])),
        (&["no-cache=a"], named(&["a"])),
        (&["no-cache=\"Set-Cookie, X-B\""], named(&["set-cookie", "x-b"])),
        (&["no-cache=\"a\", no-cache=\"b\""], named(&["a", "b"])),
        (&["no-cache=\"a\"", "no-cache"], Scope::All),
        (&["no-cache", "no-cache=\"a\""], Scope::All),
        (&["no-cache=\"\""], Scope::All),
        (&["no-cache=\" , \""], Scope::All),
        (&["no-cache=\"a b\""], Scope::All),
        (&["no-cache=\"a"], Scope::All),
        (&["no-cache="], Scope::All),
    ] {
        assert_eq!(of(lines).no_cache, scope, "{lines:?}");
        let private: Vec<_> = lines.iter().map(|line| line.replace("no-cache", "private")).collect();
        let private: Vec<_> = private.iter().map(String::as_str).collect();
        assert_eq!(of(&private).private, scope, "{private:?}");
    }
    let both = of(&["no-cache=\"a\", private=\"b, c\", max-age=1"]);
    assert_eq!(both.excepted().map(HeaderName::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn stale_spans_that_cannot_be_read_permit_nothing() {
    for (line, revalidate, error) in [
        ("stale-while-revalidate=5, stale-if-error=7", Some(5), Some(7)),
        ("stale-while-revalidate", Some(0), None),
        ("stale-if-error=x", None, Some(0)),
        ("stale-if-error=7, stale-if-error=3", None, Some(3)),
        ("max-age=1", None, None),
    ] {
        let control = of(&[line]);
        assert_eq!((control.stale_while_revalidate, control.stale_if_error), (revalidate, error), "{line:?}");
    }
}
