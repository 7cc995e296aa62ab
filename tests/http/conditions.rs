//! Conditional requests: RFC 9110 section 13.

use crate::{
    answer::{Wanted, status},
    case::{Case, ask, get, run},
    samples::{DATE, ETAG, content},
};

const BEFORE: &str = "Sat, 05 Nov 1994 08:49:37 GMT";
const AFTER: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

fn whole() -> Wanted {
    status(&[200]).body(content())
}

/// RFC 9110 section 15.4.5: a 304 has what the 200 would have had of these.
fn not_modified() -> Wanted {
    status(&[304]).field("etag", ETAG).has("date").lacks("content-range")
}

fn failed() -> Wanted {
    status(&[412])
}

fn field(rule: &str, name: &str, value: &str) -> Case {
    get(format!("{rule}: {name}: {value}"), &[&format!("{name}: {value}")])
}

fn if_none_match() -> Vec<Case> {
    let known = |value: &str| field("9110 13.1.2", "If-None-Match", value);
    vec![
        known(ETAG).is(not_modified()),
        known("\"another\"").is(whole()),
        known(&format!("W/{ETAG}")).is(not_modified()),
        known("W/\"another\"").is(whole()),
        known("*").is(not_modified()),
        known(&format!("\"another\", {ETAG}")).is(not_modified()),
        known(&format!("\"another\",{ETAG},\"third\"")).is(not_modified()),
        known(&format!("\"a\", W/{ETAG}, \"b\"")).is(not_modified()),
        known("\"a\", \"b\", W/\"c\"").is(whole()),
        known(&format!(", ,{ETAG} ,")).is(not_modified()).is(status(&[400])),
        known(&format!("\"with,comma\", {ETAG}")).is(not_modified()),
        known(&format!("\"{}\"", ETAG.trim_matches('"').to_uppercase())).is(whole()),
        known("\"\"").is(whole()),
        known("2ebc98a1-3e8").is(whole()).is(status(&[400])),
        known("w/\"another\"").is(whole()).is(status(&[400])),
        known("").is(whole()).is(status(&[400])),
        get("9110 5.3: a list over two lines", &["If-None-Match: \"another\"", &format!("If-None-Match: {ETAG}")])
            .is(not_modified()),
        ask("9110 13.1.2: HEAD as GET", "HEAD", "/file.bin", &[&format!("If-None-Match: {ETAG}")]).is(not_modified()),
        ask("9110 13.2.1: not for what is not there", "GET", "/nothing", &["If-None-Match: *"]).is(status(&[404])),
    ]
}

fn if_match() -> Vec<Case> {
    let wanted = |value: &str| field("9110 13.1.1", "If-Match", value);
    vec![
        wanted(ETAG).is(whole()),
        wanted("\"another\"").is(failed()),
        wanted(&format!("W/{ETAG}")).is(failed()),
        wanted("*").is(whole()),
        wanted(&format!("\"another\", {ETAG}")).is(whole()),
        wanted("\"a\", \"b\"").is(failed()),
        wanted(&format!("\"a\", W/{ETAG}")).is(failed()),
        wanted("\"\"").is(failed()),
        wanted("2ebc98a1-3e8").is(failed()).is(status(&[400])).is(whole()),
        get("9110 5.3: a list over two lines", &["If-Match: \"another\"", &format!("If-Match: {ETAG}")]).is(whole()),
        ask("9110 13.1.1: HEAD as GET", "HEAD", "/file.bin", &["If-Match: \"another\""]).is(failed()),
        ask("9110 13.2.1: not for what is not there", "GET", "/nothing", &["If-Match: \"a\""]).is(status(&[404, 412])),
    ]
}

fn dates() -> Vec<Case> {
    let since = |value: &str| field("9110 13.1.3", "If-Modified-Since", value);
    let unless = |value: &str| field("9110 13.1.4", "If-Unmodified-Since", value);
    vec![
        since(DATE).is(not_modified()),
        since(BEFORE).is(whole()),
        // nginx's default compares for equality, and sends the file again: a 200 is always right.
        since(AFTER).is(not_modified()).is(whole()),
        since("Sunday, 06-Nov-94 08:49:37 GMT").is(not_modified()),
        since("Sun Nov  6 08:49:37 1994").is(not_modified()),
        since("Sat Nov  5 08:49:37 1994").is(whole()),
        since("784111777").is(whole()).is(status(&[400])),
        since("yesterday").is(whole()).is(status(&[400])),
        since("Sun, 06 Nov 1994").is(whole()).is(status(&[400])),
        since("Sun, 32 Nov 1994 08:49:37 GMT").is(whole()).is(status(&[400])),
        since("").is(whole()).is(status(&[400])),
        ask("9110 13.1.3: HEAD as GET", "HEAD", "/file.bin", &[&format!("If-Modified-Since: {DATE}")])
            .is(not_modified()),
        ask("9110 13.2.1: not for what is not there", "GET", "/nothing", &[&format!("If-Modified-Since: {DATE}")])
            .is(status(&[404])),
        unless(DATE).is(whole()),
        unless(AFTER).is(whole()),
        unless(BEFORE).is(failed()),
        unless("Sunday, 06-Nov-94 08:49:37 GMT").is(whole()),
        unless("Sat Nov  5 08:49:37 1994").is(failed()),
        unless("yesterday").is(whole()).is(status(&[400])),
        ask("9110 13.1.4: HEAD as GET", "HEAD", "/file.bin", &[&format!("If-Unmodified-Since: {BEFORE}")]).is(failed()),
    ]
}

/// RFC 9110 section 13.2.2: the order in which they are looked at, and which of them silence others.
fn precedence() -> Vec<Case> {
    let both = |rule: &str, one: String, other: String| get(format!("9110 13.2.2: {rule}"), &[&one, &other]);
    let (tag, another) = (ETAG.to_owned(), "\"another\"".to_owned());
    vec![
        both(
            "another tag silences the date",
            format!("If-None-Match: {another}"),
            format!("If-Modified-Since: {DATE}"),
        )
        .is(whole()),
        both("the same tag silences the date", format!("If-None-Match: {tag}"), format!("If-Modified-Since: {BEFORE}"))
            .is(not_modified()),
        both("the wanted tag silences the date", format!("If-Match: {tag}"), format!("If-Unmodified-Since: {BEFORE}"))
            .is(whole()),
        both(
            "another tag fails whatever the date",
            format!("If-Match: {another}"),
            format!("If-Unmodified-Since: {AFTER}"),
        )
        .is(failed()),
        both("If-Match goes before If-None-Match", format!("If-Match: {another}"), format!("If-None-Match: {tag}"))
            .is(failed()),
        both("If-Match holds, then If-None-Match", format!("If-Match: {tag}"), format!("If-None-Match: {tag}"))
            .is(not_modified()),
        both(
            "unmodified goes before modified",
            format!("If-Unmodified-Since: {BEFORE}"),
            format!("If-Modified-Since: {AFTER}"),
        )
        .is(failed()),
        both(
            "unmodified holds, then modified",
            format!("If-Unmodified-Since: {DATE}"),
            format!("If-Modified-Since: {DATE}"),
        )
        .is(not_modified()),
        both(
            "unmodified fails, If-None-Match is not asked",
            format!("If-Unmodified-Since: {BEFORE}"),
            format!("If-None-Match: {tag}"),
        )
        .is(failed()),
        both("the order of the lines means nothing", format!("If-None-Match: {tag}"), format!("If-Match: {another}"))
            .is(failed()),
        ask("9110 13.2.1: a method that selects nothing", "OPTIONS", "/file.bin", &["If-Match: \"another\""])
            .is(status(&[200, 204, 405, 412])),
        ask("9110 13.2.1: a refused method is refused first", "DELETE", "/file.bin", &["If-Match: \"another\""])
            .is(status(&[405, 412, 501])),
    ]
}

#[test]
fn conditions() {
    run("conditions", &[if_none_match(), if_match(), dates(), precedence()].into_iter().flatten().collect::<Vec<_>>());
}
