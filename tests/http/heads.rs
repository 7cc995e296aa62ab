//! Header fields that are malformed or too many: RFC 9112 sections 2.2 and 5, RFC 9110 section 5.

use crate::{
    answer::{Wanted, status},
    case::{Case, raw, run},
    samples::content,
};

fn whole() -> Wanted {
    status(&[200]).body(content())
}

/// A head with these octets between its Host and its end.
fn with(rule: impl Into<String>, octets: &[u8]) -> Case {
    raw(rule, [b"GET /file.bin HTTP/1.1\r\nHost: files.example\r\n".as_slice(), octets, b"\r\n"].concat())
}

/// What must be refused, and the connection with it. A server that hangs up has refused, too.
fn refused(rule: impl Into<String>, octets: &[u8]) -> Case {
    with(rule, octets).followed().refused(&[400]).hung_up()
}

fn names() -> Vec<Case> {
    let mut cases = vec![
        refused("9112 5.1: a space before the colon", b"X-A : b\r\n"),
        refused("9112 5.1: a tab before the colon", b"X-A\t: b\r\n"),
        refused("9112 5.1: many spaces before the colon", b"X-A    : b\r\n"),
        refused("9112 5.1: a space before the colon of a length", b"Content-Length : 0\r\n"),
        refused("9112 5.1: a space before the colon of a coding", b"Transfer-Encoding : chunked\r\n"),
        refused("9110 5.1: no name", b": b\r\n"),
        refused("9110 5.1: a colon alone", b":\r\n"),
        refused("9110 5.1: no colon", b"X-A\r\n"),
        refused("9110 5.1: no colon, but a space", b"X-A b\r\n"),
        refused("9110 5.6.2: a space within the name", b"X A: b\r\n"),
        refused("9110 5.6.2: a name beyond ASCII", "X-\u{e9}: b\r\n".as_bytes()),
        refused("9112 5.2: a folded line", b"X-A: b\r\n c\r\n"),
        refused("9112 5.2: a line folded by a tab", b"X-A: b\r\n\tc\r\n"),
        refused("9112 5.2: a folded line that is empty", b"X-A: b\r\n \r\n"),
        refused("9112 5.2: a folded length", b"Content-Length:\r\n 5\r\n"),
        refused("9112 5.2: a folded coding", b"Transfer-Encoding:\r\n chunked\r\n"),
        raw("9112 2.2: whitespace before the first field", "GET /file.bin HTTP/1.1\r\n Host: files.example\r\n\r\n")
            .refused(&[400])
            .hung_up(),
        raw(
            "9112 2.2: a tab before the first field",
            "GET /file.bin HTTP/1.1\r\n\tX-A: b\r\nHost: files.example\r\n\r\n",
        )
        .refused(&[400])
        .hung_up()
        .is(whole()),
        raw("9112 5.1: a space before the colon of Host", "GET /file.bin HTTP/1.1\r\nHost : files.example\r\n\r\n")
            .refused(&[400])
            .hung_up(),
    ];
    for sign in b"\"(),/;<=>?@[\\]{}" {
        cases.push(refused(
            format!("9110 5.6.2: {:?} in a name", char::from(*sign)),
            &[b"X", &[*sign][..], b"A: b\r\n"].concat(),
        ));
    }
    for octet in [0x00, 0x01, 0x08, 0x0b, 0x0c, 0x0d, 0x1f, 0x7f, 0x80, 0xff] {
        cases.push(refused(
            format!("9110 5.6.2: octet {octet:#04x} in a name"),
            &[b"X", &[octet][..], b"A: b\r\n"].concat(),
        ));
    }
    cases
}

fn values() -> Vec<Case> {
    let mut cases = vec![
        refused("9110 5.5: NUL in a value", b"X-A: b\0c\r\n"),
        refused("9110 5.5: a NUL alone", b"X-A: \0\r\n"),
        refused("9112 2.2: CR in a value", b"X-A: b\rc\r\n").then_marker(whole()),
        refused("9112 2.2: CR at the end of a value", b"X-A: b\r\r\n").then_marker(whole()),
        refused("9112 2.2: CR at the beginning of a value", b"X-A:\r b\r\n").then_marker(whole()),
        refused("9112 2.2: CR before a coding", b"X-A: b\rTransfer-Encoding: chunked\r\n"),
        with("9110 5.5: octets beyond ASCII", b"X-A: \xe9\xff\x80\r\n").is(whole()).is(status(&[400])),
        with("9110 5.5: no value", b"X-A:\r\n").is(whole()),
        with("9110 5.5: whitespace for a value", b"X-A: \t \r\n").is(whole()),
        with("9110 5.5: colons in a value", b"X-A: b: c:\r\n").is(whole()),
        with("9110 5.3: one name many times", b"X-A: b\r\nX-A: c\r\nx-a: d\r\n").is(whole()),
        with("9110 5.5: tabs within a value", b"X-A: b\tc\r\n").is(whole()),
    ];
    for octet in [0x01, 0x07, 0x08, 0x0b, 0x0c, 0x1b, 0x1f, 0x7f] {
        // 9110 section 5.5: not for any value, and yet a server may take them where they do no harm.
        let octets = [b"X-A: b", &[octet][..], b"c\r\n"].concat();
        cases.push(
            with(format!("9110 5.5: octet {octet:#04x} in a value"), &octets).is(status(&[400])).is(whole()).hung_up(),
        );
    }
    cases
}

/// RFC 9112 section 2.2: a line feed alone may end a line. Whether it does or not, nothing may be read in between.
fn line_ends() -> Vec<Case> {
    let either =
        |rule: &str, octets: &str| raw(format!("9112 2.2: {rule}"), octets).is(whole()).refused(&[400]).hung_up();
    vec![
        either("line feeds alone", "GET /file.bin HTTP/1.1\nHost: files.example\n\n"),
        either("one after the request line", "GET /file.bin HTTP/1.1\nHost: files.example\r\n\r\n"),
        either("one after a field", "GET /file.bin HTTP/1.1\r\nHost: files.example\nX-A: b\r\n\r\n"),
        either("one at the end", "GET /file.bin HTTP/1.1\r\nHost: files.example\r\n\n"),
        either("one before the end", "GET /file.bin HTTP/1.1\r\nHost: files.example\n\r\n"),
        either("one first", "\nGET /file.bin HTTP/1.1\r\nHost: files.example\r\n\r\n"),
        raw("9112 2.2: carriage returns alone", "GET /file.bin HTTP/1.1\rHost: files.example\r\r\n\r\n")
            .refused(&[400])
            .hung_up(),
        raw("9112 2.2: the wrong way round", "GET /file.bin HTTP/1.1\n\rHost: files.example\n\r\n\r")
            .refused(&[400])
            .hung_up(),
        // Alone, this is a head that may still go on; the server is free to wait.
        raw(
            "9112 2.2: a carriage return too many at the end",
            "GET /file.bin HTTP/1.1\r\nHost: files.example\r\n\r\r\n",
        )
        .followed()
        .refused(&[400])
        .hung_up()
        .then_marker(whole()),
    ]
}

fn sizes() -> Vec<Case> {
    let field = |length: usize| format!("X-A: {}\r\n", "b".repeat(length)).into_bytes();
    let fields = |count: usize| (0..count).map(|at| format!("X-{at}: b\r\n")).collect::<String>().into_bytes();
    vec![
        with("RFC 6585 5: a field of 4,000 bytes is usual", &field(4000)).is(whole()),
        with("RFC 6585 5: fifty fields are usual", &fields(50)).is(whole()),
        with("RFC 6585 5: a field of 60,000 bytes", &field(60_000)).is(status(&[431, 400])),
        with("RFC 6585 5: a field of a million bytes", &field(1_000_000)).is(status(&[431, 400])),
        with("RFC 6585 5: a name of 60,000 bytes", format!("{}: b\r\n", "X".repeat(60_000)).as_bytes())
            .is(status(&[431, 400])),
        with("RFC 6585 5: a name of 70,000 bytes", format!("{}: b\r\n", "X".repeat(70_000)).as_bytes())
            .is(status(&[431, 400])),
        with("RFC 6585 5: fields of 100,000 bytes together", &field(5000).repeat(20)).is(status(&[431, 400])),
        with("RFC 6585 5: a thousand fields", &fields(1000)).is(status(&[431, 400])).is(whole()),
        with("RFC 6585 5: twenty thousand fields", &fields(20_000)).is(status(&[431, 400])),
    ]
}

#[test]
fn heads() {
    run("heads", &[names(), values(), line_ends(), sizes()].into_iter().flatten().collect::<Vec<_>>());
}
