//! A file is one idea. Six hundred lines are two.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

const LONGEST: usize = 600;

/// Every folder that holds sources; `target/` and what is hidden are not among them.
const ROOMS: [&str; 5] = ["gateway", "proto", "services", "tests", "deploy"];

fn files_below(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files_below(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["rs", "proto", "py", "sh"].iter().any(|source| extension == *source))
}

#[test]
fn no_source_file_is_longer_than_600_lines() {
    let mut files = Vec::new();
    for room in ROOMS {
        files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(room), &mut files).expect("the room can be read");
    }
    let sources: Vec<_> = files.into_iter().filter(|path| is_source(path)).collect();
    assert!(sources.len() > 20, "hardly any source was found");
    for path in sources {
        let lines = fs::read_to_string(&path).expect("a source is text").lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines", path.display());
    }
}
