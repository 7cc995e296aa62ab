//! How much the node can send: what it was told, else what its link is said to carry; and no less than it was seen to send.

use std::{fs, num::NonZeroU64, path::Path};

/// What a node is taken to have that knows neither, in bytes per second: a gigabit, as selection takes it.
const ASSUMED: u64 = 125_000_000;

/// Where the kernel lists the links (sysfs-class-net in its ABI documentation).
const LINKS: &str = "/sys/class/net";

/// Bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Capacity {
    /// An operator said so. It may be less than the link: somebody else may live there.
    Told(NonZeroU64),
    /// What the link carries, or what was seen to be sent: more than that was possible, after all.
    Learnt(u64),
}

impl Capacity {
    /// What an operator says; else by the links of this machine, of which the fastest counts: which of them leads to clients is not known, and a node that
    /// takes itself for too fast serves, where one that takes itself for too slow sends clients away for nothing.
    pub(crate) fn of(told: Option<NonZeroU64>) -> Self {
        match told {
            Some(told) => Self::Told(told),
            None => Self::Learnt(fastest(Path::new(LINKS)).unwrap_or(ASSUMED)),
        }
    }

    /// The same, after so much was sent in a second.
    pub(crate) fn seen(&mut self, sent: u64) -> u64 {
        match self {
            Self::Told(told) => told.get(),
            Self::Learnt(most) => {
                *most = sent.max(*most);
                *most
            }
        }
    }
}

/// The speed of the fastest link that is up and knows it. The loopback device knows none.
fn fastest(links: &Path) -> Option<u64> {
    let read = |path: &Path, name: &str| fs::read_to_string(path.join(name)).ok();
    let speed = |path: &Path| {
        read(path, "operstate").filter(|state| state.trim() == "up")?;
        // Megabits per second; -1 where the driver does not know.
        read(path, "speed")?.trim().parse::<u64>().ok()?.checked_mul(1_000_000 / 8).filter(|speed| *speed > 0)
    };
    fs::read_dir(links).ok()?.filter_map(|link| speed(&link.ok()?.path())).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_link_that_is_up_and_says_its_speed_counts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(fastest(folder.path()), None);
        let link = |name: &str, state: &str, speed: &str| {
            let link = folder.path().join(name);
            fs::create_dir(&link).expect("a new folder");
            fs::write(link.join("operstate"), format!("{state}\n")).expect("a new file");
            fs::write(link.join("speed"), format!("{speed}\n")).expect("a new file");
        };
        link("virtual", "up", "-1");
        link("lo", "unknown", "");
        assert_eq!(fastest(folder.path()), None, "nobody knows");
        link("eth0", "up", "1000");
        link("eth1", "up", "2500");
        link("eth2", "down", "100000");
        assert_eq!(fastest(folder.path()), Some(312_500_000));
        assert_eq!(fastest(&folder.path().join("none")), None);
    }

    #[test]
    fn what_was_sent_could_be_sent_but_an_operators_word_stands() {
        let told = NonZeroU64::new(1000).expect("not zero");
        let (mut told, mut learnt) = (Capacity::of(Some(told)), Capacity::Learnt(1000));
        assert_eq!([told.seen(5000), told.seen(10)], [1000, 1000]);
        assert_eq!([learnt.seen(5000), learnt.seen(10)], [5000, 5000]);
    }
}
