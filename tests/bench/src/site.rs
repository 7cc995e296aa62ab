//! The files that both servers serve, and the certificate that both show.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

pub(crate) const KIB: u64 = 1024;
pub(crate) const MIB: u64 = 1024 * KIB;
pub(crate) const GIB: u64 = 1024 * MIB;

/// Files that are read from the disk: so many, so large.
pub(crate) const COLD_FILES: usize = 100;
pub(crate) const COLD_SIZE: u64 = 8 * MIB;

const SIZES: [u64; 7] = [KIB, 16 * KIB, 100 * KIB, MIB, 10 * MIB, 100 * MIB, GIB];

/// A folder that outlives the run, since a gibibyte takes a while to write; what is in it is made anew where it is not whole.
#[derive(Debug)]
pub(crate) struct Site {
    folder: PathBuf,
}

impl Site {
    /// Makes what is missing in `folder`.
    pub(crate) fn prepare(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(folder.join("root/cold")).with_context(|| folder.display().to_string())?;
        let site = Self { folder };
        for size in SIZES {
            fill(&site.file(size), size)?;
        }
        for number in 0..COLD_FILES {
            fill(&site.cold(number), COLD_SIZE)?;
        }
        let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        fs::write(site.certificate(), identity.cert.pem())?;
        fs::write(site.key(), identity.signing_key.serialize_pem())?;
        Ok(site)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    /// The file of this size.
    pub(crate) fn file(&self, size: u64) -> PathBuf {
        self.root().join(&target(size)[1..])
    }

    /// One of the files that are read from the disk.
    pub(crate) fn cold(&self, number: usize) -> PathBuf {
        self.root().join(&cold_target(number)[1..])
    }
}

/// The path under which a file of this size is asked for.
pub(crate) fn target(size: u64) -> String {
    format!("/{}.bin", size_name(size).replace(' ', "-"))
}

/// The path of one of the files that are read from the disk.
pub(crate) fn cold_target(number: usize) -> String {
    format!("/cold/{number:02}.bin")
}

/// "16 KiB", "1 GiB".
pub(crate) fn size_name(size: u64) -> String {
    let (unit, name) = match size {
        GIB.. => (GIB, "GiB"),
        MIB.. => (MIB, "MiB"),
        _ => (KIB, "KiB"),
    };
    format!("{} {name}", size / unit)
}

/// Writes `size` bytes that no disk and no file system can shorten, unless they are there.
fn fill(path: &Path, size: u64) -> Result<()> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() == size) {
        return Ok(());
    }
    let mut file =
        BufWriter::with_capacity(256 * 1024, File::create(path).with_context(|| path.display().to_string())?);
    let mut state = size | 1;
    for _ in 0..size / 8 {
        // xorshift64 (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    file.into_inner().context("the last bytes of a file")?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{GIB, KIB, MIB, size_name, target};

    #[test]
    fn sizes_have_the_names_of_the_table() {
        let names: Vec<_> = [KIB, 16 * KIB, 100 * KIB, MIB, 10 * MIB, GIB].map(size_name).into();
        assert_eq!(names, ["1 KiB", "16 KiB", "100 KiB", "1 MiB", "10 MiB", "1 GiB"]);
        assert_eq!(target(100 * MIB), "/100-MiB.bin");
    }
}
