//! The files that requests are about.

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

/// The date of every file: the one that RFC 9110 section 5.6.7 uses for its examples.
pub(crate) const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const SECONDS: u64 = 784_111_777;

/// The strong entity tag of `/file.bin`, in the form that nginx and ferry share.
pub(crate) const ETAG: &str = "\"2ebc98a1-3e8\"";

/// How long `/file.bin` is.
pub(crate) const LENGTH: usize = 1000;

/// A name as long as Linux file systems let it be.
pub(crate) fn longest_name() -> String {
    "n".repeat(255)
}

/// What is in `/file.bin`: no two stretches of it are alike, so that a misplaced byte shows.
pub(crate) fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| (at.wrapping_mul(167) ^ (at >> 8)).to_le_bytes()[0]).collect()
}

/// What is in `/marker.txt`, which follows other requests on their connection.
pub(crate) const MARKER: &[u8] = b"marker";

/// Writes the samples into `root`, and leaves alone what else is there.
pub(crate) fn write(root: &Path) {
    let file = |name: &str, content: &[u8]| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("the samples' folder can be written");
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(SECONDS);
        // Other tests may be asking a peer for it at this moment.
        let dated = fs::metadata(&path).and_then(|known| known.modified()).is_ok_and(|known| known == date);
        if dated && fs::read(&path).is_ok_and(|known| known == content) {
            return;
        }
        fs::write(&path, content).expect("a sample can be written");
        File::options().write(true).open(&path).and_then(|file| file.set_modified(date)).expect("a file has a date");
    };
    file("file.bin", &content());
    file("marker.txt", MARKER);
    file("empty.txt", b"");
    file("dir/inner.txt", b"inner");
    file(".hidden", b"hidden");
    file("dir/.secret", b"secret");
    file(".git/config", b"secret");
    for name in
        ["a b.txt", "plus+sign.txt", "semi;colon.txt", "what?.txt", "hash#.txt", "100%.txt", "\u{e9}.txt", "A.TXT"]
    {
        file(name, name.as_bytes());
    }
    for kind in ["html", "css", "js", "json", "png", "mp4", "m3u8", "ts", "mpd", "m4s", "wasm", "woff2", "zip", "xyzzy"]
    {
        file(&format!("kinds/sample.{kind}"), b"sample");
    }
    file("kinds/none", b"sample");
    file(&longest_name(), b"long");
}
