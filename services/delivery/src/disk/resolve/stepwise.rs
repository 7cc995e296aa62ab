//! The walk where there is no openat2: segment by segment, each opened relative to the one before and never over a link.
//!
//! Links are followed by reading them and walking their targets in the same way. `..` in a target goes back to the directory that the walk came
//! from, which it still holds open; so no rename in between leads it out of the root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

use super::{Failure, LOOK, Links, Walk};

/// The most links on one way, as in the kernel's own walks (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// A walk under way.
struct Way<'r> {
    root: BorrowedFd<'r>,
    /// The directories from the root, itself left out, to where the walk is.
    above: Vec<OwnedFd>,
    /// The segments that lie ahead, the next one last.
    ahead: Vec<Vec<u8>>,
    links: usize,
}

/// Walks to the end of a path, and does there what is to be done.
pub(super) fn walk<T>(
    root: BorrowedFd<'_>,
    path: &str,
    links: Links,
    act: &impl Fn(Walk<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    // The types upstream promise this already; P8 must not hang on them alone.
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(Failure::System(Errno::XDEV));
    }
    let mut way = Way { root, above: Vec::new(), ahead: Vec::new(), links: 0 };
    way.put_ahead(path.as_bytes());
    while let Some(segment) = way.ahead.pop() {
        match &*segment {
            b"" | b"." => continue,
            b".." => {
                // RESOLVE_BENEATH says the same where the root itself would be left.
                way.above.pop().ok_or(Failure::System(Errno::XDEV))?;
                continue;
            }
            _ => {}
        }
        let last = way.ahead.is_empty();
        let looked = way.open(&segment, LOOK)?;
        let stat = rustix::fs::fstat(&looked).map_err(Failure::System)?;
        match (FileType::from_raw_mode(stat.st_mode), links) {
            (FileType::Symlink, Links::Followed) => way.follow(&looked)?,
            (FileType::Symlink, Links::Refused) if !last => return Err(Failure::System(Errno::LOOP)),
            (FileType::Directory, _) if !last => way.above.push(looked),
            (_, _) if !last => return Err(Failure::System(Errno::NOTDIR)),
            (_, _) => return act(&|flags| way.open(&segment, flags)),
        }
    }
    // A link's target ended in a slash or a dot.
    Err(Failure::Directory)
}

impl Way<'_> {
    fn put_ahead(&mut self, path: &[u8]) {
        self.ahead.extend(path.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
    }

    fn open(&self, segment: &[u8], flags: OFlags) -> Result<OwnedFd, Failure> {
        let parent = self.above.last().map_or(self.root, AsFd::as_fd);
        let flags = flags | OFlags::NOFOLLOW;
        rustix::io::retry_on_intr(|| rustix::fs::openat(parent, segment, flags, Mode::empty())).map_err(Failure::System)
    }

    fn follow(&mut self, link: &OwnedFd) -> Result<(), Failure> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Failure::System(Errno::LOOP));
        }
        // With an empty path, the link that the descriptor stands for is read, whatever has its name now.
        let target = rustix::fs::readlinkat(link, "", Vec::new()).map_err(Failure::System)?;
        if target.as_bytes().starts_with(b"/") {
            return Err(Failure::System(Errno::XDEV));
        }
        self.put_ahead(target.as_bytes());
        Ok(())
    }
}
