//! Files to hand out, the same in every run: bytes from a seed, many small files, names that people really use.

use std::{
    fs::{self, File},
    io::{BufWriter, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

pub(crate) const MIB: u64 = 1024 * 1024;

/// What a browser leaves as it is in a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// A file below some root, and what a download of it must be.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Below the root, with no leading slash, not encoded.
    pub(crate) name: String,
    pub(crate) length: u64,
    /// In hexadecimal.
    pub(crate) sha256: String,
}

impl Sample {
    /// The path that a browser asks for.
    pub(crate) fn path(&self) -> String {
        format!("/{}", utf8_percent_encode(&self.name, PLAIN))
    }
}

/// Small, fast, and the same everywhere (xorshift64*); nothing here is secret.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, block: &mut [u8]) {
        for bytes in block.chunks_mut(8) {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let word = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes();
            bytes.copy_from_slice(&word[..bytes.len()]);
        }
    }
}

/// Writes a file of that length; the name is its seed.
pub(crate) fn write(root: &Path, name: &str, length: u64) -> Sample {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("the root can be written");
    let mut file = BufWriter::new(File::create(path).expect("the root can be written"));
    let seed = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let (mut noise, mut digest, mut left) = (Noise(seed | 1), Sha256::new(), length);
    let mut block = vec![0; 64 * 1024];
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        noise.fill(&mut block[..size]);
        digest.update(&block[..size]);
        file.write_all(&block[..size]).expect("the disk has room");
        left -= size as u64;
    }
    file.flush().expect("the disk has room");
    // A file that changed within the last two seconds has no strong validator yet: it may change again.
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    file.get_ref().set_modified(long_ago).expect("an own file");
    Sample { name: name.to_owned(), length, sha256: hex(&digest.finalize()) }
}

/// A file of 200 MiB, written once for all tests and linked into `root`.
pub(crate) fn large(root: &Path) -> Sample {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("large.bin");
    if !kept.exists() {
        // Beside it first: a test that runs at the same time must find it whole or not at all.
        let beside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("target/tmp can be written");
        write(beside.path(), "large.bin", 200 * MIB);
        fs::rename(beside.path().join("large.bin"), &kept).expect("a rename within target/tmp");
    }
    link(&kept, root, "large.bin")
}

/// The program under test itself: a real file, tens of MiB, that nobody made for this.
pub(crate) fn program(root: &Path) -> Sample {
    link(Path::new(env!("CARGO_BIN_EXE_ferry")), root, "ferry-program")
}

fn link(file: &Path, root: &Path, name: &str) -> Sample {
    let place = root.join(name);
    if fs::hard_link(file, &place).is_err() {
        fs::copy(file, &place).expect("the disk has room"); // another filesystem
    }
    describe(root, name)
}

/// A file that is there already, such as one that ffmpeg made.
pub(crate) fn describe(root: &Path, name: &str) -> Sample {
    let path = root.join(name);
    let length = fs::metadata(&path).expect("the sample is there").len();
    Sample { name: name.to_owned(), length, sha256: digest_of(&path) }
}

/// Many small files, of 0 to some thousand bytes, in folders of a hundred.
pub(crate) fn many(root: &Path, count: usize) -> Vec<Sample> {
    (0..count).map(|i| write(root, &format!("many/{:03}/{i:05}.dat", i / 100), (i * 37 % 5000) as u64)).collect()
}

/// Names as people give them: a meeting's minutes in Chinese, spaces, signs that mean something in a URL.
pub(crate) fn named_by_people(root: &Path) -> Vec<Sample> {
    ["会议资料/2024年 第三次会议 纪要.pdf", "My Holiday (1).zip", "100% #1 a+b&c=d;e?.bin", "naïve café.txt"]
        .map(|name| write(root, name, 40_000))
        .to_vec()
}

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn digest_of(path: &PathBuf) -> String {
    let mut file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut digest, mut block) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut block).expect("the file can be read") {
            0 => return hex(&digest.finalize()),
            size => digest.update(&block[..size]),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of these bytes, in hexadecimal.
pub(crate) fn digest_of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
