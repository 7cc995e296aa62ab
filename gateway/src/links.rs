//! Where else the same bytes are: the `Link` fields of a redirect (RFC 6249), as many as its head has room for.
//!
//! All of them share the redirect's target, and so its token, whose one MAC names every node. A link that does not fit is left out with
//! those behind it; the redirect itself is sent whatever its length.

use ferry_core::tokens::Reach;

use crate::redirect::Nodes;

/// The most octets that a head may come to by its links. Proxies and clients with small buffers for a head have 4 KiB, and their own to add.
const LARGEST_HEAD: usize = 1536;

/// What a head has besides its links and the `Location`'s value: at most so much.
const OTHERS: usize = "HTTP/1.1 302 Found\r\nlocation: \r\ncache-control: private, no-store\r\ncontent-length: 0\r\n\
    connection: keep-alive\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
    .len();

/// What surrounds a link's URL; the priority has one digit.
const AROUND: usize = "link: <>; rel=duplicate; pri=1\r\n".len();

/// The values of the fields, each in pieces: of these nodes but the first, in their order. The least number is to be tried first.
pub(crate) fn values<'a>(nodes: &Nodes<'a>, target: &'a str) -> impl Iterator<Item = [&'a str; 6]> {
    let length = |node: &Reach<'_>| node.scheme().len() + "://".len() + node.authority.as_str().len() + target.len();
    let mut head = OTHERS + nodes.primary().map_or(0, |primary| length(&primary));
    let fits = move |(alternate, _): &(Reach<'_>, _)| {
        head += AROUND + length(alternate);
        head <= LARGEST_HEAD
    };
    let numbered =
        nodes.alternates().zip([">; rel=duplicate; pri=1", ">; rel=duplicate; pri=2", ">; rel=duplicate; pri=3"]);
    numbered.take_while(fits).map(move |(node, end)| ["<", node.scheme(), "://", node.authority.as_str(), target, end])
}

#[cfg(test)]
mod tests;
