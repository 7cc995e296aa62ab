//! The store over a real directory.

mod crashes;
mod crowd;
mod filling;
mod killed;
mod names;
mod place;
mod purged;
mod replaced;
mod room;
mod scrub;
mod trouble;
mod unlisted;
mod whole;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;

/// Small blocks, so that a test has many.
const BLOCK: u32 = 1000;

/// A directory, its twin's place beside it, and how a store is opened there.
struct World {
    _folder: TempDir,
    directory: PathBuf,
    shadows: PathBuf,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (directory, shadows) = (folder.path().join("cache"), folder.path().join("shadows"));
        fs::create_dir(&shadows).expect("a folder");
        Self { _folder: folder, directory, shadows }
    }

    async fn open(&self) -> Store {
        self.open_with(settings()).await
    }

    /// Once stock is taken, nobody but the test holds the directory.
    async fn open_with(&self, settings: Settings) -> Store {
        let store = Store::open(&self.directory, settings).await.expect("a good directory");
        store.stocked().await;
        store
    }

    async fn open_faulty(&self) -> (Store, Faults) {
        let opened = Store::open_faulty(&self.directory, settings(), &self.shadows).await;
        let (store, faults) = opened.expect("a good directory");
        store.stocked().await;
        (store, faults)
    }

    /// The files of objects, by their endings.
    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let shelves = fs::read_dir(&self.directory).expect("the directory");
        let shelves = shelves.map(|shelf| shelf.expect("an entry").path()).filter(|path| path.is_dir());
        let files = shelves.flat_map(|shelf| fs::read_dir(shelf).expect("a shelf"));
        files.map(|file| file.expect("an entry").path()).filter(|path| has_ending(path, ending)).collect()
    }
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|extension| extension == ending)
}

fn settings() -> Settings {
    Settings { block_bytes: BLOCK, ..Settings::default() }
}

fn long_ago() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(784_111_777)
}

fn validator(octets: &'static str) -> Validator {
    Validator { octets: Bytes::from_static(octets.as_bytes()), strong: true }
}

fn new(length: Option<u64>) -> NewObject {
    let (head, validator) = (Bytes::from_static(b"a head"), Some(validator("\"v1\"")));
    NewObject { head, validator, length, created: long_ago(), chosen: false }
}

/// Bytes of which no two stretches are alike.
fn pattern(length: usize) -> Bytes {
    (0..length).map(|at| (at ^ (at >> 7) ^ (at >> 13)).to_le_bytes()[0]).collect()
}

async fn create(store: &Store, key: &str, length: usize) -> Arc<Object> {
    store.create(key, new(Some(length as u64))).await.expect("a good disk").expect("there is room")
}

async fn find(store: &Store, key: &str) -> Option<Arc<Object>> {
    store.find(key).await.expect("a good disk")
}

/// Brings what is missing of a span, as an origin with this content would.
async fn fill(object: &Arc<Object>, span: Span, content: &Bytes) -> Result<(), FillError> {
    while let Some(mut fill) = object.claim(span) {
        let Span { start, end } = fill.rest();
        let end = end.min(content.len() as u64);
        fill.write(&content.slice(start as usize..end as usize)).await?;
        fill.finish().await?;
    }
    Ok(())
}

/// An object that is here as a whole.
async fn stored(store: &Store, key: &str, content: &Bytes) -> Arc<Object> {
    let object = create(store, key, content.len()).await;
    fill(&object, Span::at(0, content.len() as u64), content).await.expect("a good disk");
    object
}

/// Asserts that what an object says is here is what the origin has; returns how much it is. Nobody else is at the object.
fn check(object: &Object, content: &[u8]) -> u64 {
    let here = hold_against(object, content);
    assert_eq!(object.bytes_here(), here);
    here
}

/// The same, while others may be filling it.
fn hold_against(object: &Object, content: &[u8]) -> u64 {
    let whole = Span::at(0, content.len() as u64);
    let mut here: Spans = [whole].into_iter().collect();
    object.missing(whole).into_iter().for_each(|gap| here.remove(gap));
    for span in here.iter() {
        let mut bytes = vec![0; span.length() as usize];
        rustix::io::pread(&*object.data, &mut bytes[..], span.start).expect("readable");
        assert!(bytes == content[span.start as usize..span.end as usize], "{object:?} is not true in {span:?}");
    }
    here.bytes()
}
