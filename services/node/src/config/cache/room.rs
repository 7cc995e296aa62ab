//! How much room the cache may take, and for what.

use ferry_core::eviction::{Admission, First};
use ferry_delivery::cache::store::Space;
use ferry_runtime::config::{ByteSize, FromSetting, Reader};

/// A cache of fewer blocks would evict what it is about to give out.
const FEWEST_BLOCKS: u64 = 8;

/// The default of `cache-largest`, where `cache-size` is set.
const LARGEST: Share = Share::Percent(25);

/// What `cache-admit` may say.
const ADMIT: [(&str, First); 3] =
    [("first", First::Admit), ("second", First::Pass), ("second-when-full", First::PassWhenFull)];

/// How much the cache may take.
enum Limit {
    /// As much as the disk has.
    None,
    Bytes(u64),
    /// Something was said, and cannot stand.
    Unknown,
}

/// A number of bytes, or a share of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    Bytes(u64),
    Percent(u64),
}

/// Reads all of it; `None` where something of it left a fault.
pub(super) fn read(reader: &mut Reader<'_>, block: Option<u64>) -> Option<Space> {
    let limit = limit(reader, block);
    let largest = largest(reader, &limit);
    let (free, first, pinned) = (free(reader), first(reader), pinned(reader));
    let bytes = match limit {
        Limit::None => u64::MAX,
        Limit::Bytes(bytes) => bytes,
        Limit::Unknown => return None,
    };
    let (free_low, free_high) = free?;
    let admission = Admission { largest: largest?, first: first? };
    Some(Space { bytes, free_low, free_high, admission, pinned: pinned? })
}

fn limit(reader: &mut Reader<'_>, block: Option<u64>) -> Limit {
    if !reader.is_set("cache-size") {
        return Limit::None;
    }
    let Some(ByteSize(bytes)) = reader.get("cache-size") else { return Limit::Unknown };
    if let Some(least) = block.map(|block| block * FEWEST_BLOCKS).filter(|least| bytes < *least) {
        let least = ByteSize(least);
        reader.fault("cache-size", format!("must be at least {least}, which is {FEWEST_BLOCKS} times cache-block"));
        return Limit::Unknown;
    }
    Limit::Bytes(bytes)
}

fn largest(reader: &mut Reader<'_>, limit: &Limit) -> Option<u64> {
    let said: Option<Share> = reader.get("cache-largest");
    if said.is_none() && reader.is_set("cache-largest") {
        return None;
    }
    let wrong = match (limit, said) {
        (_, Some(Share::Bytes(0))) => "must be more than nothing: to keep no file, set cache to \"off\"",
        (Limit::None, None) => return Some(u64::MAX),
        (Limit::None, Some(Share::Bytes(bytes))) => return Some(bytes),
        (Limit::None, Some(Share::Percent(_))) => "a share wants cache-size beside it",
        (Limit::Bytes(size), Some(Share::Bytes(bytes))) if bytes > *size => "must be at most cache-size",
        (Limit::Bytes(size), said) => return Some(said.unwrap_or(LARGEST).of(*size)),
        (Limit::Unknown, _) => return None,
    };
    reader.fault("cache-largest", wrong);
    None
}

/// The two watermarks. Room that is made is kept for a while, so the high one lies well above the low one.
fn free(reader: &mut Reader<'_>) -> Option<(u64, u64)> {
    let said = reader.is_set("cache-free-high");
    let (low, high) = (reader.require::<ByteSize>("cache-free-low"), reader.get("cache-free-high"));
    let low = low?;
    let high = if said { high? } else { ByteSize(low.bytes().saturating_mul(2)) };
    if high < low {
        reader.fault("cache-free-high", format!("must be at least cache-free-low ({low})"));
        return None;
    }
    Some((low.bytes(), high.bytes()))
}

fn first(reader: &mut Reader<'_>) -> Option<First> {
    let said: String = reader.require("cache-admit")?;
    let meant = ADMIT.iter().find(|(word, _)| *word == said).map(|(_, first)| *first);
    if meant.is_none() {
        reader.fault("cache-admit", "expected \"first\", \"second\" or \"second-when-full\"");
    }
    meant
}

/// Beginnings of keys. People write them as paths, with a slash before them.
fn pinned(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let said: Vec<String> = reader.list("cache-pinned");
    let pinned: Vec<_> = said.iter().map(|prefix| prefix.strip_prefix('/').unwrap_or(prefix).to_owned()).collect();
    if pinned.iter().any(String::is_empty) {
        let wrong = "expected beginnings of paths, such as /os/: a cache of which nothing may go is soon full";
        reader.fault("cache-pinned", wrong);
        return None;
    }
    Some(pinned)
}

impl Share {
    fn of(self, whole: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => u64::try_from(u128::from(whole) * u128::from(percent) / 100).unwrap_or(whole),
        }
    }
}

impl FromSetting for Share {
    const EXPECTED: &'static str = "a number of bytes, such as 10GB, or a share of cache-size from 1% to 100%";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("expected {}", Self::EXPECTED);
        match text.trim().strip_suffix('%') {
            None => ByteSize::parse(text).map(|size| Self::Bytes(size.bytes())).map_err(wrong),
            Some(number) => match number.trim_end().parse::<u64>() {
                Ok(percent @ 1..=100) => Ok(Self::Percent(percent)),
                Ok(_) | Err(_) => Err(wrong(String::new())),
            },
        }
    }
}
