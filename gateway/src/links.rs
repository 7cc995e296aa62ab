//! Where else the same bytes are: the `Link` fields of a redirect (RFC 6249), as many as its head has room for.
//!
//! All of them share the redirect's target, and so its token, whose one MAC names every node. A link that does not fit is left out with
//! those behind it; the redirect itself is sent whatever its length.

use ferry_core::tokens::Endpoint;

/// The most octets that a head may come to by its links. Proxies and clients with small buffers for a head have 4 KiB, and their own to add.
const LARGEST_HEAD: usize = 1536;

/// What a head has besides its links and the `Location`'s value: at most so much.
const OTHERS: usize = "HTTP/1.1 302 Found\r\nlocation: \r\ncache-control: private, no-store\r\ncontent-length: 0\r\n\
    connection: keep-alive\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
    .len();

/// What surrounds a link's URL; the priority has one digit.
const AROUND: usize = "link: <>; rel=duplicate; pri=1\r\n".len();

/// How many of the nodes behind the first are linked in a redirect to `target`.
pub(crate) fn fitting(endpoints: &[Endpoint], target: &str) -> usize {
    let length =
        |endpoint: &Endpoint| endpoint.scheme().len() + "://".len() + endpoint.authority.as_str().len() + target.len();
    let Some((primary, alternates)) = endpoints.split_first() else { return 0 };
    let mut head = OTHERS + length(primary);
    let fits = |alternate: &&Endpoint| {
        head += AROUND + length(alternate);
        head <= LARGEST_HEAD
    };
    alternates.iter().take_while(fits).count()
}

/// The value of one such field: the URL of the alternate with that number, counted from 1. The least number is to be tried first.
pub(crate) fn value(alternate: &Endpoint, target: &str, number: usize) -> String {
    format!("<{}://{}{target}>; rel=duplicate; pri={number}", alternate.scheme(), alternate.authority)
}

#[cfg(test)]
mod tests;
