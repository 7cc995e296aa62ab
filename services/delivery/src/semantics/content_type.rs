//! The media type of a file, by the extension of its name.

use http::HeaderValue;

/// What is said of a file whose extension says nothing: download it (RFC 9110 section 8.3 leaves the guess to us).
const UNKNOWN: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Types that the general table lacks, or has in a form that players and browsers do not expect.
const OURS: &[(&str, &str)] = &[
    // HLS: RFC 8216 section 10; DASH and CMAF: ISO/IEC 23009-1, 23000-19
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("ts", "video/mp2t"),
    ("m4s", "video/iso.segment"),
    ("cmfv", "video/mp4"),
    ("cmfa", "audio/mp4"),
    ("mpd", "application/dash+xml"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("wasm", "application/wasm"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("tgz", "application/gzip"),
    ("zst", "application/zstd"),
    ("xz", "application/x-xz"),
    ("deb", "application/vnd.debian.binary-package"),
    ("iso", "application/octet-stream"),
    ("bin", "application/octet-stream"),
    ("safetensors", "application/octet-stream"),
    ("gguf", "application/octet-stream"),
];

/// The type of a file of this name; text is said to be UTF-8.
#[must_use]
pub fn by_name(name: &str) -> HeaderValue {
    let Some((_, extension)) = name.rsplit_once('.') else { return UNKNOWN };
    if let Some((_, known)) = OURS.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known)) {
        return HeaderValue::from_static(known);
    }
    match mime_guess::from_ext(extension).first_raw() {
        None => UNKNOWN,
        Some(text) if text.starts_with("text/") => {
            HeaderValue::from_str(&format!("{text}; charset=utf-8")).unwrap_or(UNKNOWN)
        }
        Some(other) => HeaderValue::from_static(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_what_browsers_and_players_expect() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a.HTM", "text/html; charset=utf-8"),
            ("notes.txt", "text/plain; charset=utf-8"),
            ("style.css", "text/css; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("app.mjs", "text/javascript; charset=utf-8"),
            ("data.json", "application/json"),
            ("picture.png", "image/png"),
            ("picture.svg", "image/svg+xml"),
            ("live.m3u8", "application/vnd.apple.mpegurl"),
            ("segment-00001.ts", "video/mp2t"),
            ("chunk.m4s", "video/iso.segment"),
            ("manifest.mpd", "application/dash+xml"),
            ("captions.vtt", "text/vtt; charset=utf-8"),
            ("film.mp4", "video/mp4"),
            ("film.webm", "video/webm"),
            ("f.woff", "font/woff"),
            ("f.woff2", "font/woff2"),
            ("f.ttf", "font/ttf"),
            ("module.wasm", "application/wasm"),
            ("package.zip", "application/zip"),
            ("PACKAGE.ZIP", "application/zip"),
            ("linux.tar.gz", "application/gzip"),
            ("ferry.deb", "application/vnd.debian.binary-package"),
            ("debian.iso", "application/octet-stream"),
            ("README", "application/octet-stream"),
            ("strange.xyzzy", "application/octet-stream"),
            ("dot.", "application/octet-stream"),
        ] {
            assert_eq!(by_name(name), expected, "{name}");
        }
    }
}
