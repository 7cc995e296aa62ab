//! What holds for every final answer, whatever was asked.

use crate::answer::Answer;

/// The fields that may come once at most: their values are no lists (RFC 9110 section 5.3).
const SINGLE: [&str; 9] = [
    "content-length",
    "content-type",
    "content-range",
    "date",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "transfer-encoding",
];

/// The first law that an answer breaks.
pub(crate) fn broken(answer: &Answer) -> Option<String> {
    let has = |name: &str| answer.field(name).is_some();
    let twice = SINGLE.iter().find(|name| answer.values(name).count() > 1);
    let laws = [
        (twice.is_none(), "RFC 9110 5.3: a field that is no list comes once"),
        (["HTTP/1.1", "HTTP/1.0"].contains(&answer.version.as_str()), "RFC 9112 2.3: the version is one of HTTP/1"),
        (answer.interim.iter().all(|status| *status == 100), "RFC 9110 15.2: nobody asked for another interim answer"),
        (answer.status >= 500 || has("date"), "RFC 9110 6.6.1: a server with a clock says the date"),
        (answer.values("date").all(is_date), "RFC 9110 5.6.7: dates are sent as IMF-fixdate"),
        (answer.values("last-modified").all(is_date), "RFC 9110 5.6.7: dates are sent as IMF-fixdate"),
        (
            !(has("content-length") && has("transfer-encoding")),
            "RFC 9112 6.2: a length and a coding exclude each other",
        ),
        (answer.status != 204 || !has("content-length"), "RFC 9110 8.6: no Content-Length with 204"),
        (answer.status != 405 || has("allow"), "RFC 9110 15.5.6: 405 says what is allowed"),
        (answer.status != 416 || has("content-range"), "RFC 9110 15.5.17: 416 tells the current length"),
        (answer.status != 426 || has("upgrade"), "RFC 9110 15.5.22: 426 says to what"),
        (
            answer.status == 206 || answer.status == 416 || !has("content-range"),
            "RFC 9110 14.4: a range without a part",
        ),
        (answer.status != 206 || is_part(answer), "RFC 9110 15.3.7: 206 says which part it is"),
        (answer.status != 304 || answer.body.is_empty(), "RFC 9110 15.4.5: 304 has no content"),
        (answer.values("etag").all(is_etag), "RFC 9110 8.8.3: an entity tag is quoted"),
    ];
    laws.iter().find(|(kept, _)| !kept).map(|(_, law)| (*law).to_owned())
}

fn is_part(answer: &Answer) -> bool {
    let several = answer.field("content-type").is_some_and(|kind| kind.starts_with("multipart/byteranges"));
    several != answer.field("content-range").is_some()
}

fn is_etag(value: &str) -> bool {
    let opaque = value.strip_prefix("W/").unwrap_or(value).strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    opaque.is_some_and(|opaque| opaque.bytes().all(|byte| byte == 0x21 || (0x23..=0x7e).contains(&byte)))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, in form.
fn is_date(value: &str) -> bool {
    const FORM: &[u8] = b"Aaa, 00 Aaa 0000 00:00:00 GMT";
    value.len() == FORM.len()
        && value.bytes().zip(FORM).all(|(byte, form)| match form {
            b'A' if byte != b'G' => byte.is_ascii_uppercase(),
            b'a' => byte.is_ascii_lowercase(),
            b'0' => byte.is_ascii_digit(),
            _ => byte == *form,
        })
}
