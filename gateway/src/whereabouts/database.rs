//! A MaxMind DB file: which areas of the world an address is in.
//!
//! It is read into memory as a whole. To map it would be cheaper to start with, and whoever writes over the file would change it under our eyes.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    net::IpAddr,
    os::unix::fs::MetadataExt,
    path::Path,
};

use ferry_runtime::Complaint;
use maxminddb::{MaxMindDbError, Reader, path};
use tracing::warn;

use super::areas::{Code, Located};

/// The largest database of the world's cities has a few hundred MiB; what is beyond this is something else.
const LARGEST: u64 = 1 << 30;

/// A database in memory.
#[derive(Debug)]
pub(crate) struct Database {
    reader: Reader<Vec<u8>>,
    unsound: Complaint,
}

/// Which file it was: another one, or another content, has another stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

/// Why a file is no database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("it cannot be read")]
    Unreadable(#[from] io::Error),
    #[error("it is longer than any database of places")]
    TooLong,
    #[error("it was written to while it was read")]
    Changing,
    #[error("it is no MaxMind database, or a broken one")]
    Unsound(#[from] MaxMindDbError),
}

impl Stamp {
    /// That of the file that is there now.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|file| Self::from(&file))
    }
}

impl From<&Metadata> for Stamp {
    fn from(file: &Metadata) -> Self {
        Self { device: file.dev(), inode: file.ino(), length: file.len(), modified: (file.mtime(), file.mtime_nsec()) }
    }
}

impl Database {
    /// Reads a file as a whole. Blocks.
    pub(crate) fn load(path: &Path) -> Result<(Self, Stamp), LoadError> {
        let file = File::open(path)?;
        let before = file.metadata()?;
        if before.len() > LARGEST {
            return Err(LoadError::TooLong);
        }
        let mut octets = Vec::with_capacity(usize::try_from(before.len()).map_err(|_| LoadError::TooLong)?);
        (&file).take(LARGEST).read_to_end(&mut octets)?;
        let stamp = Stamp::from(&before);
        if stamp != Stamp::from(&file.metadata()?) {
            return Err(LoadError::Changing);
        }
        Ok((Self { reader: Reader::from_source(octets)?, unsound: Complaint::default() }, stamp))
    }

    /// When it was built, in seconds since 1970.
    pub(crate) fn built(&self) -> u64 {
        self.reader.metadata().build_epoch
    }

    /// What it says of an address. Allocates nothing while the database is sound.
    pub(crate) fn locate(&self, address: IpAddr) -> Located {
        let address = address.to_canonical();
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return Located::default();
        }
        self.read(address).unwrap_or_else(|why| {
            if let Some(before) = self.unsound.due() {
                warn!(%address, error = &why as &dyn std::error::Error, before, "the database of clients' places is broken there");
            }
            Located::default()
        })
    }

    fn read(&self, address: IpAddr) -> Result<Located, MaxMindDbError> {
        let found = self.reader.lookup(address)?;
        let subdivision: Option<&str> = found.decode_path(&path!["subdivisions", 0, "iso_code"])?;
        let country: Option<&str> = found.decode_path(&path!["country", "iso_code"])?;
        let continent: Option<&str> = found.decode_path(&path!["continent", "code"])?;
        Ok(Located {
            continent: continent.and_then(Code::of),
            country: country.and_then(Code::of),
            subdivision: subdivision.and_then(Code::of),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whereabouts::sample;

    fn located(continent: &str, country: &str, subdivision: &str) -> Located {
        let (continent, country) = (Code::of(continent), Code::of(country));
        Located { continent, country, subdivision: Code::of(subdivision) }
    }

    fn load(octets: &[u8]) -> Result<Database, LoadError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("places.mmdb");
        std::fs::write(&file, octets).expect("a file in a temporary folder");
        Database::load(&file).map(|(database, _)| database)
    }

    #[test]
    fn an_address_is_found_in_both_families() {
        let networks = [
            ("192.0.2.0/24", "EU", "DE", "BE"),
            ("198.51.100.0/24", "NA", "US", ""),
            ("2001:db8::/32", "AS", "JP", "13"),
        ];
        let database = load(&sample::database(7, &networks)).expect("a sound database");
        assert_eq!(database.built(), 7);
        for (address, found) in [
            ("192.0.2.9", located("EU", "DE", "BE")),
            ("::ffff:192.0.2.9", located("EU", "DE", "BE")),
            ("198.51.100.1", located("NA", "US", "")),
            ("2001:db8:1::1", located("AS", "JP", "13")),
            ("203.0.113.1", Located::default()),
            ("2001:db9::1", Located::default()),
        ] {
            assert_eq!(database.locate(address.parse().expect("an address")), found, "{address}");
        }
    }

    #[test]
    fn what_is_no_database_is_refused_and_one_that_is_broken_inside_knows_nothing_there() {
        for garbage in [&b""[..], b"<html>not found</html>", &[0; 4096]] {
            assert!(matches!(load(garbage), Err(LoadError::Unsound(_))));
        }
        let whole = sample::database(7, &[("192.0.2.0/24", "EU", "DE", "")]);
        assert!(matches!(load(&whole[..whole.len() - 8]), Err(LoadError::Unsound(_))), "cut short");
        // Whatever octet of it is wrong: refused, or an answer, and never a panic.
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0xff;
            if let Ok(database) = load(&broken) {
                let _ = database.locate("192.0.2.9".parse().expect("an address"));
            }
        }
        let missing = Database::load(Path::new("/nowhere/places.mmdb"));
        assert!(matches!(missing, Err(LoadError::Unreadable(_))));
    }
}
