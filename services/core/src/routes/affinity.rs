//! What belongs together: the segments of one stream should meet a warm cache.

use std::borrow::Cow;

use super::Deliver;
use crate::object::ObjectKey;

/// Endings of what a player fetches piece by piece, but for playlists. Films as one `.mp4` are not among them: a directory full of those must
/// not fall to one node.
const PIECES: [Ending; 9] = endings(["ts", "m4s", "m4v", "m4a", "cmfv", "cmfa", "aac", "vtt", "key"]);
const PLAYLISTS: [Ending; 2] = endings(["m3u8", "mpd"]);

/// What follows a name's last dot, in lower case: four octets at most, and zeroes behind it.
type Ending = [u8; 4];

const fn ending(text: &[u8]) -> Option<Ending> {
    let (mut ending, mut at) = ([0; 4], 0);
    while at < text.len() {
        if at == ending.len() {
            return None;
        }
        ending[at] = text[at].to_ascii_lowercase();
        at += 1;
    }
    Some(ending)
}

const fn endings<const N: usize>(texts: [&str; N]) -> [Ending; N] {
    let (mut endings, mut at) = ([[0; 4]; N], 0);
    while at < N {
        endings[at] = ending(texts[at].as_bytes()).expect("no ending is longer");
        at += 1;
    }
    endings
}

/// The last segment of a path, and its ending, if it has one that could be among those.
fn name(path: &str) -> (&str, Option<Ending>) {
    // Names are short: to look for what ends them octet by octet costs least.
    let name = &path[path.bytes().rposition(|octet| octet == b'/').map_or(0, |at| at + 1)..];
    let dot = name.bytes().rposition(|octet| octet == b'.');
    (name, dot.and_then(|at| ending(&name.as_bytes()[at + 1..])))
}

/// What selection hashes for this object: for a piece of a stream its directory, with a slash at the end that no key has;
/// for all else the key itself.
#[must_use]
pub fn affinity(key: &ObjectKey) -> Cow<'_, str> {
    let path = key.path.as_str();
    let (name, ending) = name(path);
    let is_piece = ending.is_some_and(|ending| PIECES.contains(&ending) || PLAYLISTS.contains(&ending));
    // `init.mp4`, `init_0.mp4` and so on open a fragmented stream; packagers agree on that much.
    let opens_stream = ending == Some(*b"mp4\0") && name.starts_with("init");
    match &path[..path.len() - name.len()] {
        _ if !is_piece && !opens_stream => key.canonical(),
        "" => Cow::Borrowed("/"),
        directory => Cow::Borrowed(directory),
    }
}

/// A redirected playlist would tie its player to one node for good.
pub(super) fn default_delivery(key: &ObjectKey) -> Deliver {
    match name(key.path.as_str()).1 {
        Some(ending) if PLAYLISTS.contains(&ending) => Deliver::Proxy,
        _ => Deliver::Redirect,
    }
}
