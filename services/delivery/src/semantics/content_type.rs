//! The media type of a file, by the extension of its name.

use std::{collections::HashMap, sync::Arc};

use http::HeaderValue;

/// What is said of a file whose extension says nothing: download it (RFC 9110 section 8.3 leaves the guess to us).
const UNKNOWN: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Types that the general table lacks, or has in a form that players and browsers do not expect.
const OURS: &[(&str, &str)] = &[
    // HLS: RFC 8216 section 10; DASH and CMAF: ISO/IEC 23009-1, 23000-19
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m3u", "audio/mpegurl"),
    ("ts", "video/mp2t"),
    ("m2ts", "video/mp2t"),
    ("m4s", "video/iso.segment"),
    ("cmfv", "video/mp4"),
    ("cmfa", "audio/mp4"),
    ("cmft", "application/mp4"),
    ("m4v", "video/mp4"),
    ("m4a", "audio/mp4"),
    ("mpd", "application/dash+xml"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("ttml", "application/ttml+xml"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("cjs", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("ndjson", "application/x-ndjson"),
    ("wasm", "application/wasm"),
    // An XML document says itself how it is encoded, and a charset here would overrule it (RFC 7303 section 3).
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("toml", "application/toml"),
    ("diff", "text/x-diff; charset=utf-8"),
    ("patch", "text/x-diff; charset=utf-8"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("tgz", "application/gzip"),
    ("zst", "application/zstd"),
    // Compressed as it lies there: without the coding in a field, no client takes it for a picture.
    ("svgz", "application/gzip"),
    ("xz", "application/x-xz"),
    ("rar", "application/vnd.rar"),
    ("deb", "application/vnd.debian.binary-package"),
    ("rpm", "application/x-rpm"),
    ("aab", "application/octet-stream"),
    ("iso", "application/octet-stream"),
    ("bin", "application/octet-stream"),
    ("safetensors", "application/octet-stream"),
    ("gguf", "application/octet-stream"),
    ("stl", "model/stl"),
    ("obj", "model/obj"),
];

/// What an operator says about extensions, before everything that is known here; a cheap clone.
#[derive(Debug, Clone, Default)]
pub struct ContentTypes(Arc<HashMap<String, HeaderValue>>);

impl ContentTypes {
    /// Takes extensions, without the dot and whatever their case, with their types.
    #[must_use]
    pub fn new(types: impl IntoIterator<Item = (String, HeaderValue)>) -> Self {
        Self(Arc::new(types.into_iter().map(|(extension, kind)| (extension.to_ascii_lowercase(), kind)).collect()))
    }

    /// The type of a file of this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> HeaderValue {
        let said = || self.0.get(&name.rsplit_once('.')?.1.to_ascii_lowercase());
        if self.0.is_empty() { by_name(name) } else { said().cloned().unwrap_or_else(|| by_name(name)) }
    }
}

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
            ("app.js.map", "application/json"),
            ("app.webmanifest", "application/manifest+json"),
            ("table.csv", "text/csv; charset=utf-8"),
            ("notes.md", "text/markdown; charset=utf-8"),
            ("feed.xml", "application/xml"),
            ("values.yaml", "application/yaml"),
            ("picture.avif", "image/avif"),
            ("picture.webp", "image/webp"),
            ("picture.svgz", "application/gzip"),
            ("paper.pdf", "application/pdf"),
            ("picture.png", "image/png"),
            ("picture.svg", "image/svg+xml"),
            ("live.m3u8", "application/vnd.apple.mpegurl"),
            ("segment-00001.ts", "video/mp2t"),
            ("chunk.m4s", "video/iso.segment"),
            ("manifest.mpd", "application/dash+xml"),
            ("captions.vtt", "text/vtt; charset=utf-8"),
            ("old.m3u", "audio/mpegurl"),
            ("subtitles.ttml", "application/ttml+xml"),
            ("film.mp4", "video/mp4"),
            ("film.m4v", "video/mp4"),
            ("sound.m4a", "audio/mp4"),
            ("sound.mp3", "audio/mpeg"),
            ("film.webm", "video/webm"),
            ("f.woff", "font/woff"),
            ("f.woff2", "font/woff2"),
            ("f.ttf", "font/ttf"),
            ("f.otf", "font/otf"),
            ("module.wasm", "application/wasm"),
            ("package.zip", "application/zip"),
            ("PACKAGE.ZIP", "application/zip"),
            ("linux.tar.gz", "application/gzip"),
            ("ferry.deb", "application/vnd.debian.binary-package"),
            ("ferry.rpm", "application/x-rpm"),
            ("linux.tar.zst", "application/zstd"),
            ("debian.iso", "application/octet-stream"),
            ("README", "application/octet-stream"),
            ("strange.xyzzy", "application/octet-stream"),
            ("dot.", "application/octet-stream"),
        ] {
            assert_eq!(by_name(name), expected, "{name}");
        }
    }

    #[test]
    fn what_an_operator_says_goes_first() {
        // SEMANTICS.md 21
        let said = |extension: &str, kind| (extension.to_owned(), HeaderValue::from_static(kind));
        let types = ContentTypes::new([said("TXT", "text/plain"), said("xyzzy", "model/magic")]);
        for (name, expected) in [
            ("a.txt", "text/plain"),
            ("a.Txt", "text/plain"),
            ("a.xyzzy", "model/magic"),
            ("a.html", "text/html; charset=utf-8"),
            ("xyzzy", "application/octet-stream"),
        ] {
            assert_eq!(types.by_name(name), expected, "{name}");
        }
    }
}
