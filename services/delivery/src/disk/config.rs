//! What operators say about a root: the settings that node and gateway have in common.

use std::collections::BTreeMap;

use ferry_core::object::ObjectPath;
use ferry_runtime::config::{ByteSize, FromSetting, Reader, Setting};
use http::HeaderValue;

use super::{Dotfiles, EtagForm, Sending, Settings, Symlinks};
use crate::semantics::{coding::Coding, content_type::ContentTypes};

/// The table of them.
pub const SETTINGS: &[Setting] = &[
    Setting::switch("sendfile", "Whether the kernel sends files itself, where it can")
        .default("true")
        .env(&["BACKEND_FILESYSTEM_SENDFILE"])
        .no_flag(),
    Setting::text("buffer-size", "SIZE", "How much of a file is read at a time where it is sent through a buffer")
        .default("64KiB")
        .env(&["BACKEND_FILESYSTEM_BUFFER_SIZE"])
        .no_flag(),
    Setting::text(
        "open-files",
        "N",
        "How many files stay open between requests; at most a quarter of the process's limit",
    )
    .default("10000")
    .no_flag(),
    Setting::text(
        "symlinks",
        "off|beneath-root",
        "Whether symbolic links below the root are followed, as far as they stay there",
    )
    .default("off"),
    Setting::text("dotfiles", "hidden|served", "What is done with names that begin with a dot").default("hidden"),
    Setting::text(
        "index",
        "NAME",
        "The file that a path with a slash at its end stands for; with none, that is not found",
    ),
    Setting::text(
        "etag",
        "mtime-size|digest",
        "What entity tags are made of: a file's time and length, or SHA-256 of it, which is the same on disks whose times differ",
    )
    .default("mtime-size"),
    Setting::list(
        "precompressed",
        "br|gzip|zstd",
        "Codings in which files may lie beside their plain form (.br, .gz, .zst)",
    ),
];

/// The structured part of the TOML file: extensions and their media types.
pub const CONTENT_TYPES: &str = "content-types";

/// What was said, checked.
#[derive(Debug, Clone, Default)]
pub struct DiskConfig {
    /// How the root is served.
    pub settings: Settings,
    /// What a path with a slash at its end stands for.
    pub index: Option<String>,
}

/// Checks what was said. Each fault is left with the reader.
pub fn read(reader: &mut Reader<'_>) -> Option<DiskConfig> {
    let sending = sending(reader);
    let open_files: Option<u32> = reader.require("open-files");
    let symlinks = word(reader, "symlinks", &[("off", Symlinks::Off), ("beneath-root", Symlinks::BeneathRoot)]);
    let dotfiles = word(reader, "dotfiles", &[("hidden", Dotfiles::Hidden), ("served", Dotfiles::Served)]);
    let index = index(reader, dotfiles);
    let etag = word(reader, "etag", &[("mtime-size", EtagForm::MtimeSize), ("digest", EtagForm::Digest)]);
    let precompressed = reader.list("precompressed");
    let types = types(reader);
    let settings = Settings {
        dotfiles: dotfiles?,
        symlinks: symlinks?,
        sending: sending?,
        open_files: usize::try_from(open_files?).unwrap_or(usize::MAX),
        precompressed,
        types,
        etag: etag?,
        ..Settings::default()
    };
    Some(DiskConfig { settings, index })
}

fn sending(reader: &mut Reader<'_>) -> Option<Sending> {
    const MOST: u64 = 16 << 20;
    let sendfile = reader.switch("sendfile");
    let size: ByteSize = reader.require("buffer-size")?;
    let buffer_bytes = usize::try_from(size.bytes()).ok().filter(|_| (4 << 10..=MOST).contains(&size.bytes()));
    if buffer_bytes.is_none() {
        reader.fault("buffer-size", "must be between 4KiB and 16MiB");
    }
    Some(Sending { sendfile, buffer_bytes: buffer_bytes? })
}

fn word<T: Copy>(reader: &mut Reader<'_>, name: &str, words: &[(&str, T)]) -> Option<T> {
    let said: String = reader.require(name)?;
    let meant = words.iter().find(|(word, _)| *word == said).map(|(_, meaning)| *meaning);
    if meant.is_none() {
        let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        reader.fault(name, format!("expected {}", words.join(" or ")));
    }
    meant
}

fn index(reader: &mut Reader<'_>, dotfiles: Option<Dotfiles>) -> Option<String> {
    let name: String = reader.get("index")?;
    let hidden = dotfiles == Some(Dotfiles::Hidden) && name.starts_with('.');
    if ObjectPath::from_decoded(&name).is_err() || name.contains('/') || hidden {
        reader.fault("index", "expected the name of a file, such as index.html");
        return None;
    }
    Some(name)
}

fn types(reader: &mut Reader<'_>) -> ContentTypes {
    let said: BTreeMap<String, String> = reader.section(CONTENT_TYPES).unwrap_or_default();
    let mut types = Vec::with_capacity(said.len());
    for (extension, kind) in said {
        if extension.is_empty() || extension.contains(['.', '/']) {
            reader
                .refuse(format!("{CONTENT_TYPES}.{extension:?}: expected an extension without its dot, such as m3u8"));
        }
        match HeaderValue::from_str(&kind) {
            Ok(value) if is_media_type(&kind) => types.push((extension, value)),
            _ => {
                let expected = "expected a media type, such as application/vnd.apple.mpegurl";
                reader.refuse(format!("{CONTENT_TYPES}.{extension} = {kind:?}: {expected}"));
            }
        }
    }
    ContentTypes::new(types)
}

/// Whether it begins as RFC 9110 section 8.3.1 has it: a token, a slash, a token; parameters may follow.
fn is_media_type(text: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
    let sound = parameters.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    sound && kind.trim_end().split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

impl FromSetting for Coding {
    const EXPECTED: &'static str = "br, gzip or zstd";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|unknown: crate::semantics::coding::UnknownCoding| unknown.to_string())
    }
}

#[cfg(test)]
mod tests;
