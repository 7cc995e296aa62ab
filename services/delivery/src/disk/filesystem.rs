//! What kind of file system a file lies on: whether the kernel knows its attributes by itself, or has to ask somebody who may be gone.

use std::os::fd::AsFd;

/// What may be asked of a file system, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// The attributes of an open file are in memory: asking for them waits for nothing, and they show each change and each loss of a
    /// name.
    Local,
    /// The same, but for a file of a lower layer that is deleted or covered: it does not show that (overlayfs).
    Layered,
    /// Over a network, through a user process, or unknown: any call may hang, and changes elsewhere show late.
    Remote,
}

/// The local ones, by the magic numbers of statfs(2): ext2 to ext4, XFS, Btrfs, tmpfs, ramfs, ZFS, F2FS, bcachefs; and those that nobody can write to:
/// SquashFS, EROFS and ISO 9660. FAT and its like are not among them: their times are coarse and their inode numbers made up.
const LOCAL: &[u64] = &[
    0xef53,
    0x5846_5342,
    0x9123_683e,
    0x0102_1994,
    0x8584_58f6,
    0x2fc1_2fc1,
    0xf2f5_2010,
    0xca45_1a4e,
    0x7371_7368,
    0xe0f5_e1e2,
    0x9660,
];

const OVERLAYFS: u64 = 0x794c_7630;

impl Nature {
    /// Asks the file system of an open file. Blocks on it: for a start, or for a helper thread.
    pub(crate) fn of(file: impl AsFd) -> Self {
        rustix::fs::fstatfs(file).map_or(Self::Remote, |stat| Self::of_magic(stat.f_type as u64))
    }

    fn of_magic(magic: u64) -> Self {
        // Where the field is 32 bits wide and signed, a large number comes with its sign stretched.
        match magic & 0xffff_ffff {
            OVERLAYFS => Self::Layered,
            magic if LOCAL.contains(&magic) => Self::Local,
            _ => Self::Remote,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_local_is_remote() {
        const NFS: u64 = 0x6969;
        const FUSE: u64 = 0x6573_5546;
        for (magic, nature) in [
            (0xef53, Nature::Local),
            (0x9123_683e, Nature::Local),
            (0x9123_683e_u64 as u32 as i32 as u64, Nature::Local),
            (OVERLAYFS, Nature::Layered),
            (NFS, Nature::Remote),
            (FUSE, Nature::Remote),
            (0, Nature::Remote),
        ] {
            assert_eq!(Nature::of_magic(magic), nature, "{magic:x}");
        }
    }
}
