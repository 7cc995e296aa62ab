//! Files that are read whole, as they were or as they shall be, whenever the process or the machine stops.
//!
//! The new content goes into a file beside the old one, is forced to the disk, and takes the old one's name; then the directory is
//! forced to the disk, so that the new name lasts. All functions block on the disk: call them from `spawn_blocking` where
//! that matters.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Who may read the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The owner only (0600): for secrets.
    Private,
    /// Everybody (0644, less the umask).
    Public,
}

/// What went wrong, and with which file.
#[derive(Debug, thiserror::Error)]
#[error("could not {step} {path}")]
pub struct WriteError {
    step: &'static str,
    path: PathBuf,
    #[source]
    cause: io::Error,
}

impl WriteError {
    /// The operating system's word on it.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.cause.kind()
    }
}

/// Replaces what `path` holds, or creates it. When this returns `Ok`, the new content survives a power cut.
///
/// A failure or a crash at any point leaves the old content; at worst with a stray file `.NAME.new` beside it, which the next
/// write takes over. Two writers of one path at the same time are the caller's mistake: the last one wins, but may fail.
pub fn write(path: &Path, content: &[u8], mode: Mode) -> Result<(), WriteError> {
    let aside = prepare(path, content, mode)?;
    let failed = |step| move |cause| WriteError { step, path: path.to_owned(), cause };
    fs::rename(&aside, path).map_err(failed("rename the new file to"))?;
    File::open(directory_of(path)).and_then(|directory| directory.sync_all()).map_err(failed("sync the directory of"))
}

/// What the file holds; `None` if there is none.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Everything up to the rename: the new content lies beside the old one, on the disk.
fn prepare(path: &Path, content: &[u8], mode: Mode) -> Result<PathBuf, WriteError> {
    let aside = name_aside(path);
    let failed = |step| {
        let path = aside.clone();
        move |cause| WriteError { step, path, cause }
    };
    // A stray file of a crashed writer may have other permissions, so it is not taken over but removed.
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove the old")(error)),
        _ => {}
    }
    let bits = match mode {
        Mode::Private => 0o600,
        Mode::Public => 0o644,
    };
    // `create_new` follows no symbolic link that somebody put there meanwhile.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(bits).open(&aside).map_err(failed("create"))?;
    file.write_all(content).map_err(failed("write"))?;
    file.sync_all().map_err(failed("sync"))?;
    Ok(aside)
}

fn name_aside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("table");
        (directory, path)
    }

    #[test]
    fn what_was_written_is_read() {
        let (_directory, path) = place();
        assert_eq!(read(&path).expect("readable"), None);
        write(&path, b"one", Mode::Public).expect("written");
        write(&path, b"two", Mode::Public).expect("written");
        assert_eq!(read(&path).expect("readable").as_deref(), Some(&b"two"[..]));
    }

    #[test]
    fn a_crash_before_the_rename_leaves_the_old_content() {
        let (_directory, path) = place();
        write(&path, b"old", Mode::Public).expect("written");
        prepare(&path, b"new", Mode::Public).expect("prepared, then the process dies");
        assert_eq!(read(&path).expect("readable").as_deref(), Some(&b"old"[..]));
        write(&path, b"newer", Mode::Public).expect("the stray file is no obstacle");
        assert_eq!(read(&path).expect("readable").as_deref(), Some(&b"newer"[..]));
    }

    #[test]
    fn a_crash_in_the_middle_of_the_write_leaves_the_old_content() {
        let (_directory, path) = place();
        write(&path, b"old", Mode::Public).expect("written");
        fs::write(name_aside(&path), b"half of the n").expect("the process dies here");
        assert_eq!(read(&path).expect("readable").as_deref(), Some(&b"old"[..]));
    }

    #[test]
    fn a_failed_write_leaves_the_old_content() {
        let (_directory, path) = place();
        write(&path, b"old", Mode::Public).expect("written");
        // A directory in the way: neither removed nor written.
        fs::create_dir(name_aside(&path)).expect("created");
        let refused = write(&path, b"new", Mode::Public).expect_err("there is a directory in the way");
        assert!(refused.to_string().contains(".table.new"), "{refused}");
        assert_eq!(read(&path).expect("readable").as_deref(), Some(&b"old"[..]));
    }

    #[test]
    fn a_secret_is_never_readable_by_others() {
        let (_directory, path) = place();
        fs::write(name_aside(&path), b"stray").expect("a stray file with loose permissions");
        write(&path, b"secret", Mode::Private).expect("written");
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_symbolic_link_in_the_way_is_not_followed() {
        let (directory, path) = place();
        let victim = directory.path().join("victim");
        fs::write(&victim, b"precious").expect("written");
        symlink(&victim, name_aside(&path)).expect("linked");
        write(&path, b"new", Mode::Public).expect("written");
        assert_eq!(fs::read(&victim).expect("readable"), b"precious");
    }
}
