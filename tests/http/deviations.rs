//! What ferry is known to do otherwise than an RFC asks, and why. Each is asserted: whoever mends one strikes it off here.

use crate::{server::Server, wire};

/// The versions of the answers to one request.
fn answered_in(request: &[u8]) -> Vec<String> {
    let server = Server::start();
    let outcome = wire::exchange(&server.address, request, &[false], 1, |_| false);
    server.end();
    outcome.answers.into_iter().map(|answer| answer.version).collect()
}

/// RFC 9110 section 2.5: a server should answer in the highest version of the request's major one, so HTTP/1.0 in HTTP/1.1.
///
/// It is so, but where a request announces content: that is hyper's to read, which puts the request's own version into the answer. It
/// is a "should", its fields are those of a sound answer either way, and no client of HTTP/1.0 is known that minds.
#[test]
fn http_1_0_with_content_is_answered_as_http_1_0() {
    assert_eq!(answered_in(b"GET /file.bin HTTP/1.0\r\n\r\n"), ["HTTP/1.1"]);
    assert_eq!(answered_in(b"POST /file.bin HTTP/1.0\r\nContent-Length: 1\r\n\r\n1"), ["HTTP/1.0"]);
}
