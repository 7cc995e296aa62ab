//! Range requests: RFC 9110 section 14, and `If-Range` (section 13.1.5).

use crate::{
    answer::{Wanted, status},
    case::{Case, ask, get, run},
    samples::{DATE, ETAG, LENGTH, content},
};

fn whole() -> Wanted {
    status(&[200]).body(content()).field("content-length", LENGTH.to_string()).lacks("content-range")
}

fn part(first: usize, last: usize) -> Wanted {
    let bytes = &content()[first..=last];
    status(&[206])
        .body(bytes)
        .field("content-range", format!("bytes {first}-{last}/{LENGTH}"))
        .field("content-length", bytes.len().to_string())
        .field("etag", ETAG)
        .has("date")
}

fn parts(ranges: &[(usize, usize)]) -> Wanted {
    let bytes = content();
    let parts = ranges.iter().map(|(first, last)| (*first, bytes[*first..=*last].to_vec())).collect();
    status(&[206]).parts(parts, LENGTH).lacks("content-range")
}

fn unsatisfiable() -> Wanted {
    status(&[416]).field("content-range", format!("bytes */{LENGTH}"))
}

fn single() -> Vec<Case> {
    let untouched = || status(&[200]).field("content-length", LENGTH.to_string()).lacks("content-range");
    vec![
        get("9110 14.1.2: the first bytes", &["Range: bytes=0-9"]).is(part(0, 9)),
        get("9110 14.1.2: one byte", &["Range: bytes=0-0"]).is(part(0, 0)),
        get("9110 14.1.2: the last byte by its number", &["Range: bytes=999-999"]).is(part(999, 999)),
        get("9110 14.1.2: from a position to the end", &["Range: bytes=990-"]).is(part(990, 999)),
        get("9110 14.1.2: from 0 to the end is a part all the same", &["Range: bytes=0-"]).is(part(0, 999)),
        get("9110 14.1.2: a last position beyond the end", &["Range: bytes=990-5000"]).is(part(990, 999)),
        get("9110 14.1.2: a last position beyond 64 bits", &["Range: bytes=990-99999999999999999999999"])
            .is(part(990, 999))
            .is(whole()),
        get("9110 14.1.2: a suffix", &["Range: bytes=-10"]).is(part(990, 999)),
        get("9110 14.1.2: a suffix of one byte", &["Range: bytes=-1"]).is(part(999, 999)),
        get("9110 14.1.2: a suffix as long as the file", &["Range: bytes=-1000"]).is(part(0, 999)),
        get("9110 14.1.2: a suffix longer than the file", &["Range: bytes=-5000"]).is(part(0, 999)),
        get("9110 14.1.2: leading zeros", &["Range: bytes=000-0009"]).is(part(0, 9)).is(whole()),
        get("9110 14.1: a unit's name has no case", &["Range: BYTES=0-9"]).is(part(0, 9)).is(whole()),
        get("9110 5.6.1.2: empty elements of a list are ignored", &["Range: bytes=0-9,"]).is(part(0, 9)).is(whole()),
        get("9110 5.6.1.2: also before the first", &["Range: bytes=,0-9"]).is(part(0, 9)).is(whole()),
        get("9110 14.2: whitespace around the field's value", &["Range: \t bytes=0-9 \t"]).is(part(0, 9)),
        get("9110 5.1: a field's name has no case", &["rANGE: bytes=0-9"]).is(part(0, 9)),
        get("9110 15.5.17: from the very end", &["Range: bytes=1000-"]).is(unsatisfiable()),
        get("9110 15.5.17: beyond the end", &["Range: bytes=5000-6000"]).is(unsatisfiable()),
        get("9110 15.5.17: beyond 64 bits", &["Range: bytes=99999999999999999999999-"]).is(unsatisfiable()).is(whole()),
        get("9110 14.1.2: a suffix of nothing", &["Range: bytes=-0"]).is(unsatisfiable()),
        get("9110 15.5.17: several, all outside", &["Range: bytes=1000-1001,2000-"]).is(unsatisfiable()),
        ask("9110 14.1.2: an empty file has no first byte", "GET", "/empty.txt", &["Range: bytes=0-0"])
            .is(status(&[416]).field("content-range", "bytes */0"))
            .is(status(&[200]).body("")),
        ask("9110 14.1.2: a suffix of an empty file", "GET", "/empty.txt", &["Range: bytes=-5"])
            .is(status(&[200]).body(""))
            .is(status(&[416]).field("content-range", "bytes */0")),
        ask("9110 14.2: Range means nothing to HEAD", "HEAD", "/file.bin", &["Range: bytes=0-9"]).is(untouched()),
        ask("9110 14.2: nor does one outside", "HEAD", "/file.bin", &["Range: bytes=5000-"]).is(untouched()),
    ]
}

fn ignored() -> Vec<Case> {
    [
        "bytes=9-0",
        "bytes=",
        "bytes",
        "bytes 0-9",
        "bytes:0-9",
        "bytes=a-b",
        "bytes=0-9a",
        "bytes=-",
        "bytes=--5",
        "bytes=0--9",
        "bytes=+0-9",
        "bytes=0-9;1-2",
        "bytes=0x0-0x9",
        "bytes=0.0-9",
        "bytes=5",
        "bytes=1-2-3",
        "=0-9",
        "bytes =0-9",
        "bytes=0-9,9-0",
        "bytes=0-9,x",
        "items=0-9",
        "seconds=1-2",
        "none=0-9",
        "byte=0-9",
        "",
    ]
    .into_iter()
    .map(|field| {
        // A server may also refuse what it cannot read (section 14.2), and 416 is how some do.
        get(format!("9110 14.2: a Range that is not valid is ignored: {field:?}"), &[&format!("Range: {field}")])
            .is(whole())
            .is(unsatisfiable())
            .is(status(&[400]))
    })
    .chain([
        get("9110 14.1.1: no whitespace within a range", &["Range: bytes=0 - 9"])
            .is(whole())
            .is(part(0, 9))
            .is(unsatisfiable()),
        get("9110 14.1.1: no whitespace after the unit", &["Range: bytes= 0-9"])
            .is(whole())
            .is(part(0, 9))
            .is(unsatisfiable()),
        get("9110 5.3: a field that is no list, twice", &["Range: bytes=0-9", "Range: bytes=20-29"])
            .is(whole())
            .is(part(0, 9))
            .is(parts(&[(0, 9), (20, 29)]))
            .is(status(&[400])),
    ])
    .collect()
}

fn several() -> Vec<Case> {
    let many = |count: usize, step: usize| {
        let list: Vec<_> = (0..count).map(|at| format!("{}-{}", at * step, at * step)).collect();
        format!("Range: bytes={}", list.join(","))
    };
    vec![
        get("9110 14.6: two parts", &["Range: bytes=0-9,20-29"]).is(parts(&[(0, 9), (20, 29)])).is(whole()),
        get("9110 14.6: with whitespace and a suffix", &["Range: bytes=0-9, 500-509 , -5"])
            .is(parts(&[(0, 9), (500, 509), (995, 999)]))
            .is(whole()),
        get("9110 14.2: descending parts, as asked or sorted", &["Range: bytes=500-509,0-9"])
            .is(parts(&[(500, 509), (0, 9)]))
            .is(parts(&[(0, 9), (500, 509)]))
            .is(whole()),
        get("9110 15.3.7.2: overlapping parts may be joined", &["Range: bytes=0-9,5-14"])
            .is(part(0, 14))
            .is(parts(&[(0, 9), (5, 14)]))
            .is(whole()),
        get("9110 15.3.7.2: touching parts may be joined", &["Range: bytes=0-9,10-19"])
            .is(part(0, 19))
            .is(parts(&[(0, 9), (10, 19)]))
            .is(whole()),
        get("9110 15.3.7.2: the same part twice", &["Range: bytes=0-9,0-9"])
            .is(part(0, 9))
            .is(parts(&[(0, 9), (0, 9)]))
            .is(whole()),
        get("9110 15.3.7.2: of two parts one lies outside", &["Range: bytes=0-9,5000-"]).is(part(0, 9)).is(whole()),
        get("9110 15.3.7.2: the first of two lies outside", &["Range: bytes=5000-,0-9"]).is(part(0, 9)).is(whole()),
        get("9110 14.6: of three parts one lies outside", &["Range: bytes=0-9,5000-6000,20-29"])
            .is(parts(&[(0, 9), (20, 29)]))
            .is(whole()),
        get("9110 14.2: very many small ranges are an attack", &[&many(200, 3)])
            .is(whole())
            .is(status(&[206, 416, 400])),
        get("9110 17.15: very many overlapping ranges are one", &[&format!("Range: bytes={}0-", "0-,".repeat(500))])
            .is(part(0, 999))
            .is(whole())
            .is(status(&[416, 400, 431])),
        get("9110 14.6: eight parts", &[&many(8, 100)])
            .is(parts(&[(0, 0), (100, 100), (200, 200), (300, 300), (400, 400), (500, 500), (600, 600), (700, 700)]))
            .is(whole()),
    ]
}

fn if_range() -> Vec<Case> {
    let with = |rule: &str, condition: &str| {
        get(format!("9110 13.1.5: {rule}"), &["Range: bytes=0-9", &format!("If-Range: {condition}")])
    };
    vec![
        with("the current entity tag", ETAG).is(part(0, 9)),
        with("another entity tag", "\"another\"").is(whole()),
        with("the current one marked weak", &format!("W/{ETAG}")).is(whole()),
        with("an entity tag without quotes", "2ebc98a1-3e8").is(whole()).is(status(&[400])),
        with("a list is no validator", &format!("{ETAG}, \"another\"")).is(whole()).is(status(&[400])),
        with("a star is no validator", "*").is(whole()).is(status(&[400])),
        with("the very date", DATE).is(part(0, 9)),
        with("a later date is not that date", "Mon, 07 Nov 1994 08:49:37 GMT").is(whole()),
        with("an earlier date is not that date", "Sat, 05 Nov 1994 08:49:37 GMT").is(whole()),
        with("what is no date", "yesterday").is(whole()).is(status(&[400])),
        get("9110 13.1.5: without Range it means nothing", &["If-Range: \"another\""]).is(whole()),
        get("9110 13.1.5: a range outside, of another version", &["Range: bytes=5000-", "If-Range: \"another\""])
            .is(whole()),
        get("9110 13.1.5: a range outside, of this version", &["Range: bytes=5000-", &format!("If-Range: {ETAG}")])
            .is(unsatisfiable()),
        get("9110 13.2.2: If-None-Match goes before Range", &["Range: bytes=0-9", &format!("If-None-Match: {ETAG}")])
            .is(status(&[304])),
        get("9110 13.2.2: If-Match goes before Range", &["Range: bytes=0-9", "If-Match: \"another\""])
            .is(status(&[412])),
        get("9110 13.2.2: also before a range outside", &["Range: bytes=5000-", "If-Match: \"another\""])
            .is(status(&[412])),
        get(
            "9110 13.2.2: both hold",
            &["Range: bytes=0-9", &format!("If-Range: {ETAG}"), &format!("If-Match: {ETAG}")],
        )
        .is(part(0, 9)),
    ]
}

#[test]
fn ranges() {
    run("ranges", &[single(), ignored(), several(), if_range()].into_iter().flatten().collect::<Vec<_>>());
}
