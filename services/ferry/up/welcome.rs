//! What `ferry up` says when it is ready: what is listening where, and one line to try.

use std::{fmt::Write as _, net::SocketAddr, path::Path};

use ferry_core::{object::ObjectPath, target::encode_path};

use super::plan::Plan;

/// Folders that are looked into for a file to try.
const LOOKED_INTO: usize = 64;

/// Where everything listens.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) coordinator: String,
    pub(super) gateway: Option<(SocketAddr, SocketAddr)>,
    /// Id, clients' address, operators' address.
    pub(super) nodes: Vec<(String, SocketAddr, SocketAddr)>,
}

impl Ready {
    pub(super) fn text(&self, plan: &Plan) -> String {
        let source = match (&plan.dir, &plan.origin) {
            (Some(dir), Some(origin)) => format!("{} and {origin}", dir.display()),
            (Some(dir), None) => dir.display().to_string(),
            (None, Some(origin)) => origin.to_string(),
            (None, None) => String::new(),
        };
        let mut text = format!("ferry is up: {} nodes serve {source}\n", self.nodes.len());
        // Writing into a String cannot fail.
        if let Some((clients, operators)) = self.gateway {
            let _ = writeln!(text, "  gateway      http://{clients}  (admin http://{operators})");
        }
        let _ = writeln!(text, "  coordinator  {}", self.coordinator);
        for (id, clients, operators) in &self.nodes {
            let _ = writeln!(text, "  {id:<11}  http://{clients}  (admin http://{operators})");
        }
        if let Some((clients, _)) = self.gateway {
            let file = plan.dir.as_deref().and_then(some_file);
            let path = file.as_ref().map_or_else(|| "/PATH".to_owned(), encode_path);
            let _ = writeln!(text, "try:  curl -LO http://{clients}{path}");
        }
        text.push_str("stop: Ctrl-C\n");
        text
    }
}

/// Any file that a client can ask for.
fn some_file(root: &Path) -> Option<ObjectPath> {
    let mut folders = std::collections::VecDeque::from([String::new()]);
    for _ in 0..LOOKED_INTO {
        let folder = folders.pop_front()?;
        let mut entries: Vec<_> = std::fs::read_dir(root.join(&folder)).ok()?.flatten().collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            match entry.file_type() {
                Ok(kind) if kind.is_file() && !name.starts_with('.') => {
                    return ObjectPath::from_decoded(&path).ok();
                }
                Ok(kind) if kind.is_dir() && !name.starts_with('.') => folders.push_back(path),
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_to_try_is_one_that_can_be_asked_for() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(root.path().join(".hidden"), "").expect("written");
        assert_eq!(some_file(root.path()), None);
        std::fs::create_dir(root.path().join("a b")).expect("made");
        std::fs::write(root.path().join("a b/é.iso"), "").expect("written");
        let found = some_file(root.path()).expect("a file");
        assert_eq!(encode_path(&found), "/a%20b/%C3%A9.iso");
    }
}
