//! What belongs together: the segments of one stream should meet a warm cache.

use super::Deliver;
use crate::object::ObjectKey;

/// Endings of what a player fetches piece by piece. Films as one `.mp4` are not among them: a directory full of those must
/// not fall to one node.
const PIECES: [&str; 11] = ["m3u8", "mpd", "ts", "m4s", "m4v", "m4a", "cmfv", "cmfa", "aac", "vtt", "key"];
const PLAYLISTS: [&str; 2] = ["m3u8", "mpd"];

fn ends_in(name: &str, endings: &[&str]) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| endings.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// What selection hashes for this object: for a piece of a stream its directory, with a slash at the end that no key has;
/// for all else the key itself.
#[must_use]
pub fn affinity(key: &ObjectKey) -> String {
    let name = key.path.file_name();
    // `init.mp4`, `init_0.mp4` and so on open a fragmented stream; packagers agree on that much.
    let opens_stream = name.starts_with("init") && ends_in(name, &["mp4"]);
    if opens_stream || ends_in(name, &PIECES) { format!("{}/", key.path.directory()) } else { key.canonical() }
}

/// A redirected playlist would tie its player to one node for good.
pub(super) fn default_delivery(key: &ObjectKey) -> Deliver {
    if ends_in(key.path.file_name(), &PLAYLISTS) { Deliver::Proxy } else { Deliver::Redirect }
}
