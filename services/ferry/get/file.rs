//! Where the bytes go: a file that is not there before it is whole, or standard output.
//!
//! Until then they are in `FILE.part`, and `FILE.part.json` says what they are a part of. Who downloads holds a lock on the part.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Seek as _, SeekFrom, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use ferry_runtime::atomic_file::{self, Mode};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{digest::Check, failed::Failed, name};

/// Where the user wants the file.
pub(super) enum Output {
    Pipe,
    /// Replaces what is there.
    File(PathBuf),
    /// Under the name that the server gives, if it gives one, in the present folder; never in the place of another file.
    Named(String),
}

/// What a part is a part of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    /// Where it was asked for, without what changes from one signed URL to the next.
    pub(super) url: String,
    /// The strong entity tag; without one there is no going on.
    pub(super) etag: Option<String>,
    pub(super) length: Option<u64>,
    /// The content coding.
    pub(super) coding: Option<String>,
    /// SHA-256 of the whole.
    pub(super) sha256: Option<[u8; 32]>,
    /// What the server calls it.
    pub(super) name: Option<String>,
}

/// Takes the bytes.
pub(super) struct Sink {
    target: Target,
    note: Note,
    have: u64,
    check: Option<Check>,
}

enum Target {
    Pipe(io::Stdout),
    File { part: File, path: PathBuf, output: PathBuf, named: bool },
}

impl Output {
    pub(super) fn of(given: Option<&Path>, url: &Url) -> Self {
        match given {
            Some(path) if path == Path::new("-") => Self::Pipe,
            Some(path) if path.is_dir() => Self::File(path.join(name::of_url(url))),
            Some(path) => Self::File(path.to_owned()),
            None => Self::Named(name::of_url(url)),
        }
    }
}

impl Sink {
    /// Opens it, with what an earlier run left there of the same URL.
    pub(super) fn open(output: Output, url: &str) -> Result<Self, Failed> {
        let (output, named) = match output {
            Output::Pipe => {
                let target = Target::Pipe(io::stdout());
                return Ok(Self { target, note: Note::default(), have: 0, check: None });
            }
            Output::File(path) => (path, false),
            Output::Named(name) => (PathBuf::from(name), true),
        };
        let path = beside(&output, ".part");
        let failed = |cause| Failed::Write { path: path.clone(), cause };
        let part = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match part.try_lock() {
            // Whoever had it may have finished between the two calls: what was opened is the whole file then, or nobody's.
            Ok(()) if !is_at(&part, &path).map_err(failed)? => return Err(Failed::Busy(output)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Failed::Busy(output)),
            // A file system without locks is no reason to refuse.
            Err(TryLockError::Error(_)) => {}
        }
        let mut sink =
            Self { target: Target::File { part, path, output, named }, note: Note::default(), have: 0, check: None };
        match sink.found(url) {
            Some(note) => sink.take_up(note)?,
            None => sink.empty()?,
        }
        Ok(sink)
    }

    pub(super) const fn have(&self) -> u64 {
        self.have
    }

    pub(super) const fn note(&self) -> &Note {
        &self.note
    }

    /// What it is called while it comes.
    pub(super) fn name(&self) -> String {
        match &self.target {
            Target::Pipe(_) => self.note.name.clone().unwrap_or_default(),
            Target::File { .. } => self.place().file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    /// The bytes of this follow, from the first one: whatever was there is gone.
    pub(super) fn begin(&mut self, note: Note) -> Result<(), Failed> {
        self.empty()?;
        self.check = note.sha256.map(Check::new);
        self.note = note;
        let Target::File { path, named, .. } = &self.target else { return Ok(()) };
        let place = self.place();
        if *named && place.exists() {
            self.discard();
            return Err(Failed::Exists(place));
        }
        let text =
            serde_json::to_vec(&self.note).map_err(|why| Failed::Write { path: path.clone(), cause: why.into() })?;
        let path = beside(path, ".json");
        atomic_file::write(&path, &text, Mode::Private)
            .map_err(|why| Failed::Write { path, cause: io::Error::other(why) })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        match &mut self.target {
            Target::Pipe(pipe) => pipe.write_all(bytes).map_err(Failed::Pipe)?,
            Target::File { part, path, .. } => {
                part.write_all(bytes).map_err(|cause| Failed::Write { path: path.clone(), cause })?;
            }
        }
        if let Some(check) = &mut self.check {
            check.update(bytes);
        }
        self.have += bytes.len() as u64;
        Ok(())
    }

    /// Whether what is there has the digest that was announced; `None` if none was. To be asked once.
    pub(super) fn verify(&mut self) -> Option<bool> {
        self.check.take().map(Check::holds)
    }

    /// Takes back what was written.
    pub(super) fn empty(&mut self) -> Result<(), Failed> {
        self.check = None;
        match &mut self.target {
            Target::Pipe(_) if self.have > 0 => return Err(Failed::Changed),
            Target::Pipe(_) => {}
            Target::File { part, path, .. } => {
                let emptied = part.set_len(0).and_then(|()| part.seek(SeekFrom::Start(0)));
                emptied.map_err(|cause| Failed::Write { path: path.clone(), cause })?;
                let _ = fs::remove_file(beside(path, ".json"));
            }
        }
        (self.have, self.note) = (0, Note::default());
        Ok(())
    }

    /// It is whole: gives it its name.
    pub(super) fn finish(mut self) -> Result<(), Failed> {
        let place = self.place();
        match &mut self.target {
            Target::Pipe(pipe) => pipe.flush().map_err(Failed::Pipe),
            Target::File { path, named, .. } => {
                let failed = |cause| Failed::Write { path: place.clone(), cause };
                if *named {
                    // Unlike a rename, a link never takes another file's place.
                    match fs::hard_link(&*path, &place) {
                        Ok(()) => fs::remove_file(&*path).map_err(failed)?,
                        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => return Err(Failed::Exists(place)),
                        // Some file systems have no links.
                        Err(_) => fs::rename(&*path, &place).map_err(failed)?,
                    }
                } else {
                    fs::rename(&*path, &place).map_err(failed)?;
                }
                let _ = fs::remove_file(beside(path, ".json"));
                Ok(())
            }
        }
    }

    /// Nothing of it is of use: removes what is there.
    pub(super) fn discard(&self) {
        if let Target::File { path, .. } = &self.target {
            let _ = fs::remove_file(beside(path, ".json"));
            let _ = fs::remove_file(path);
        }
    }

    /// Where the whole file goes.
    fn place(&self) -> PathBuf {
        match &self.target {
            Target::Pipe(_) => PathBuf::new(),
            Target::File { output, named: true, .. } => match &self.note.name {
                Some(name) => output.with_file_name(name),
                None => output.clone(),
            },
            Target::File { output, .. } => output.clone(),
        }
    }

    /// What the part that is there is of, if it can be gone on with.
    fn found(&self, url: &str) -> Option<Note> {
        let Target::File { path, .. } = &self.target else { return None };
        let note: Note = serde_json::from_slice(&fs::read(beside(path, ".json")).ok()?).ok()?;
        (note.url == url && note.etag.is_some()).then_some(note)
    }

    fn take_up(&mut self, note: Note) -> Result<(), Failed> {
        let Target::File { part, path, .. } = &mut self.target else { return Ok(()) };
        let failed = |cause| Failed::Write { path: path.clone(), cause };
        let mut check = note.sha256.map(Check::new);
        let have = match &mut check {
            Some(check) => check.catch_up(&*part).map_err(failed)?,
            None => part.seek(SeekFrom::End(0)).map_err(failed)?,
        };
        if note.length.is_some_and(|length| have > length) {
            return self.empty();
        }
        (self.have, self.note, self.check) = (have, note, check);
        Ok(())
    }
}

/// Whether the open file is still the one that the path leads to.
fn is_at(open: &File, path: &Path) -> io::Result<bool> {
    let open = open.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((open.dev(), open.ino()) == (there.dev(), there.ino())),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(why) => Err(why),
    }
}

/// The same path with something after its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_renamed_since_it_was_opened_is_not_the_part_any_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let (part, whole) = (folder.path().join("film.part"), folder.path().join("film"));
        let open = File::create(&part).expect("a file");
        assert!(is_at(&open, &part).expect("both are there"));
        fs::rename(&part, &whole).expect("one folder");
        assert!(!is_at(&open, &part).expect("nothing is there"));
        File::create(&part).expect("a file");
        assert!(!is_at(&open, &part).expect("both are there"), "it is somebody else's");
    }
}
