//! Entity tags by what files hash to.

use std::time::UNIX_EPOCH;

use http::HeaderValue;
use tokio::time::timeout;

use super::*;
use crate::semantics::validators::LastModified;

/// A file is left alone for two seconds after its last change.
const LIMIT: Duration = Duration::from_secs(20);

fn by_digest(root: &Path) -> Disk {
    let settings = Settings { etag: EtagForm::Digest, ..Settings::default() };
    Disk::open_root_with(root, settings).expect("a good root")
}

fn write(root: &Path, content: &[u8], modified: u64) {
    let path = root.join("file");
    fs::write(&path, content).expect("a file");
    let file = fs::File::options().append(true).open(path).expect("our own file");
    file.set_modified(UNIX_EPOCH + Duration::from_secs(modified)).expect("our own file");
}

async fn open(disk: &Disk) -> Arc<OpenFile> {
    disk.open(&ObjectPath::from_decoded("file").expect("a path")).await.expect("it is there")
}

/// Asks until there is a tag; before that, nothing may say of a part that it is of one version.
async fn tag(disk: &Disk) -> HeaderValue {
    let asked = async {
        loop {
            let file = open(disk).await;
            let validators = file.validators();
            assert!(!validators.last_modified.as_ref().is_some_and(LastModified::is_strong));
            if let Some(tag) = &validators.etag {
                assert!(tag.tag().matches_strongly(tag.tag()));
                return tag.value().clone();
            }
            assert!(!validators.are_settled() && file.digest().is_none());
            time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, asked).await.expect("it is read")
}

async fn tended<T>(disks: &[&Disk], work: impl Future<Output = T>) -> T {
    let tending = futures_util::future::join_all(disks.iter().map(|disk| disk.tend()));
    tokio::select! {
        biased;
        outcome = work => outcome,
        _ = tending => unreachable!("it runs until it is dropped"),
    }
}

#[tokio::test]
async fn the_same_bytes_have_the_same_tag_whenever_they_were_copied_and_others_never_do() {
    let roots = [(); 3].map(|()| TempDir::new().expect("a temporary folder"));
    // Longer than is read at a time.
    let content = vec![7; (4 << 20) + 1];
    let mut other = content.clone();
    other[5] = 8;
    for (root, content, modified) in
        [(&roots[0], &content, 1000), (&roots[1], &content, 2000), (&roots[2], &other, 1000)]
    {
        write(root.path(), content, modified);
    }
    let [one, two, three] = roots.each_ref().map(|root| by_digest(root.path()));
    let tags = tended(&[&one, &two, &three], async { [tag(&one).await, tag(&two).await, tag(&three).await] }).await;
    assert_eq!(tags[0], tags[1]);
    assert_ne!(tags[0], tags[2], "with the time and the length of the first");
    let digest = ring::digest::digest(&ring::digest::SHA256, &content);
    assert_eq!(open(&one).await.digest().map(|digest| &digest[..]), Some(digest.as_ref()));
}

#[tokio::test]
async fn a_file_that_was_written_over_has_no_tag_until_it_was_read_again() {
    let root = TempDir::new().expect("a temporary folder");
    write(root.path(), b"old", 1000);
    let disk = by_digest(root.path());
    tended(&[&disk], async {
        let old = tag(&disk).await;
        // The same file, length and time.
        write(root.path(), b"new", 1000);
        assert_eq!(open(&disk).await.validators().etag, None);
        assert_ne!(tag(&disk).await, old);
    })
    .await;
}
