//! The table of what can be said of a node's cache, besides how long files are fresh.

use ferry_runtime::config::Setting;

/// The table.
pub(in crate::config) const SETTINGS: &[Setting] = &[
    Setting::text(
        "cache",
        "DIR",
        "Where fetched files are kept; STORAGE_PATH/cache with both a root and an origin, nowhere if \"off\"",
    ),
    Setting::text("cache-size", "SIZE", "How much of them; as much as the disk has if not set"),
    Setting::switch("cache-read-only", "Whether the cache is given out and nothing of it changed").no_flag(),
    Setting::text("cache-free-low", "SIZE", "Where less of the disk is free, files go from the cache")
        .default("512MiB")
        .no_flag(),
    Setting::text("cache-free-high", "SIZE", "Until so much is free; twice cache-free-low if not set").no_flag(),
    Setting::text(
        "cache-largest",
        "SIZE|PERCENT",
        "The largest file that is kept, or its share of cache-size; 25% if not set",
    )
    .no_flag(),
    Setting::text(
        "cache-admit",
        "first|second|second-when-full",
        "On which request a file is kept: the first, the second, or the second where room has to be made",
    )
    .default("first")
    .no_flag(),
    Setting::list("cache-pinned", "PREFIX", "Beginnings of the paths of files that never go to make room").no_flag(),
    Setting::text("cache-block", "SIZE", "What is fetched, proved and dropped as a whole").default("1MiB").no_flag(),
    Setting::text(
        "cache-scrub-rate",
        "SIZE",
        "How much of the cache is read again each second to prove it; 0 for none",
    )
    .default("10MiB")
    .no_flag(),
    Setting::text("cache-scrub-every", "TIME", "How long one round over all of it takes at least")
        .default("24h")
        .no_flag(),
    Setting::text("cache-fill-ahead", "SIZE", "How far a file is fetched ahead of its fastest client")
        .default("1GiB")
        .no_flag(),
    Setting::text(
        "cache-finish",
        "SIZE",
        "How little may be missing of a file for it to be fetched to its end although nobody waits for it any more",
    )
    .default("64MiB")
    .no_flag(),
    Setting::text(
        "cache-stale-patience",
        "TIME",
        "How long a client waits for an origin before a stale file stands in for it, where one may if the origin fails",
    )
    .default("2s")
    .no_flag(),
    Setting::switch(
        "cache-digest",
        "Whether SHA-256 is computed while a file is fetched, and not with the first proof",
    )
    .no_flag(),
];
