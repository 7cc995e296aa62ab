//! Where the bytes come from: a root, origins, or both.

use std::path::PathBuf;

use ferry_core::routes::QueryRule;
use ferry_delivery::origin::Settings;
use ferry_runtime::config::Reader;

use super::origins;

/// Whence the bytes.
#[derive(Debug, Clone)]
pub enum Backend {
    /// Files below a root.
    Filesystem(PathBuf),
    /// HTTP origins. Their `loop_id` becomes the node's id.
    Http(Settings),
    /// The root first, then the origins.
    Hybrid(PathBuf, Settings),
}

impl Backend {
    /// The word for it in a configuration.
    #[must_use]
    pub const fn mode(&self) -> &'static str {
        match self {
            Self::Filesystem(_) => "filesystem",
            Self::Http(_) => "http",
            Self::Hybrid(..) => "hybrid",
        }
    }

    /// What of a query is part of a key, where no route says: to an origin it may mean anything, to a disk nothing.
    pub(crate) const fn default_query(&self) -> QueryRule {
        match self {
            Self::Filesystem(_) => QueryRule::Ignore,
            Self::Http(_) | Self::Hybrid(..) => QueryRule::Keep,
        }
    }
}

/// Reads all that concerns it. What the mode leaves unused may stand there: the seeds' configurations have it all at once.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Backend> {
    let origins = origins::read(reader);
    let has_origin = ["origin", "origins", "backend-host"].iter().any(|name| reader.is_set(name));
    let has_root = reader.is_set("root");
    let (wants_root, wants_origin) = match reader.get::<String>("backend-mode").as_deref() {
        Some("filesystem") => (true, false),
        Some("http") => (false, true),
        Some("hybrid") => (true, true),
        Some(_) => {
            reader.fault("backend-mode", "expected filesystem, http or hybrid");
            return None;
        }
        None if !has_root && !has_origin => {
            // A file that cannot be read may well have named one: its fault is enough.
            if reader.is_sound() {
                reader.refuse(nothing_to_serve(reader.is_set("main-server")));
            }
            return None;
        }
        None => (has_root, has_origin),
    };
    if wants_root && !has_root {
        reader.fault("root", "this backend-mode wants a folder with files");
    }
    if wants_origin && !has_origin {
        reader.fault("origin", "this backend-mode wants an origin, such as http://127.0.0.1:8000");
    }
    let root = if wants_root { root(reader) } else { None };
    match (wants_root, wants_origin) {
        (true, false) => Some(Backend::Filesystem(root?)),
        (true, true) => Some(Backend::Hybrid(root?, origins?)),
        (false, _) => Some(Backend::Http(origins?)),
    }
}

fn nothing_to_serve(has_main_server: bool) -> &'static str {
    if has_main_server {
        "main-server alone is not enough in this build, which neither registers there nor syncs yet: set root or origin too"
    } else {
        "there is nothing to serve: set root (a folder with files) or origin (the URL of an HTTP server)"
    }
}

/// A root that cannot be read is said now, with everything else that is wrong; it is opened later.
fn root(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let root: PathBuf = reader.get("root")?;
    match std::fs::read_dir(&root) {
        Ok(_) => Some(root),
        Err(why) => {
            reader.fault("root", format!("expected a folder that can be read: {why}"));
            None
        }
    }
}
