//! What ferry is known to do otherwise than an RFC asks, and why. Each is asserted: whoever mends one strikes it off here.

use crate::{server::Server, wire};

/// RFC 9110 section 2.5: a server should answer in the highest version of the request's major one, so HTTP/1.0 in HTTP/1.1.
///
/// hyper puts the request's own version into the answer, out of our reach. It is a "should", its fields are those of a sound answer
/// either way, and no client of HTTP/1.0 is known that minds.
#[test]
fn http_1_0_is_answered_as_http_1_0() {
    let server = Server::start();
    let outcome = wire::exchange(&server.address, b"GET /file.bin HTTP/1.0\r\n\r\n", &[false], 1, |_| false);
    let versions: Vec<_> = outcome.answers.iter().map(|answer| answer.version.as_str()).collect();
    assert_eq!(versions, ["HTTP/1.0"]);
    server.end();
}
