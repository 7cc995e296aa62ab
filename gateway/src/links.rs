//! Where else the same bytes are: the `Link` fields of a redirect (RFC 6249), as many as its head has room for.
//!
//! All of them share the redirect's target, and so its token, whose one MAC names every node. A link that does not fit is left out with
//! those behind it; the redirect itself is sent whatever its length.

use ferry_core::{selection::Selection, tokens::Reach};
use ferry_delivery::server::Sound;

use crate::redirect::{Nodes, authority, scheme_of};

/// The most octets that a head may come to by its links. Proxies and clients with small buffers for a head have 4 KiB, and their own to add.
const LARGEST_HEAD: usize = 1536;

/// What a head has besides its links and the `Location`'s value: at most so much.
const OTHERS: usize = "HTTP/1.1 302 Found\r\nlocation: \r\ncache-control: private, no-store\r\ncontent-length: 0\r\n\
    connection: keep-alive\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
    .len();

/// What surrounds a link's URL; the priority has one digit.
const AROUND: usize = "link: <>; rel=duplicate; pri=1\r\n".len();

/// What stands behind the URL of each.
const ENDS: [Sound<'_>; Selection::MOST_ALTERNATES] = [
    Sound::literal(">; rel=duplicate; pri=1"),
    Sound::literal(">; rel=duplicate; pri=2"),
    Sound::literal(">; rel=duplicate; pri=3"),
];

/// The values of the fields, each in pieces: of these nodes but the first, in their order. The least number is to be tried first.
/// `besides` is what else the head has: fields of so many octets.
pub(crate) fn values<'a>(nodes: &Nodes<'a>, target: Sound<'a>, besides: usize) -> impl Iterator<Item = [Sound<'a>; 5]> {
    const OPENS: Sound<'_> = Sound::literal("<");
    let length =
        move |node: Reach<'_>| scheme_of(node).octets().len() + node.authority.as_str().len() + target.octets().len();
    let mut head = OTHERS + besides + nodes.primary().map_or(0, length);
    nodes.alternates().zip(ENDS).map_while(move |(node, end)| {
        head += AROUND + length(node);
        let fits = head <= LARGEST_HEAD;
        Some([OPENS, scheme_of(node), authority(node).filter(|_| fits)?, target, end])
    })
}

#[cfg(test)]
mod tests;
