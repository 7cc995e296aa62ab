//! A hundred clients that ask at once for one large object that nobody has asked for before: what of it the origin sends, how
//! long they wait, and what memory that takes.

use anyhow::{Context, Result};

use super::{Bench, memory::in_mebibytes};
use crate::{
    cached::Cached,
    get::compare,
    load::{Content, Job, Rest},
    measure::crowd,
    origin::{Names, Origin},
    site::{GIB, target},
    statistics::{Spread, percentile},
    table::{Bound, Line},
};

const ROUNDS: usize = 3;
const CLIENTS: usize = 100;
const OBJECT: u64 = GIB;

/// So often a turn of the origin has the crowd ask. The median counts.
const CROWDS: usize = 5;

/// By so many MiB the memory may grow and count as flat: a thirty-second of the object, and less than a third of a mebibyte
/// for each client.
const FLAT: f64 = 32.0;

/// What of one turn is told, of a cache or of the origin.
#[derive(Debug, Default, Clone, Copy)]
struct Turn {
    /// Bytes that the origin sent, per byte of the object.
    sent: f64,
    /// p99, in milliseconds.
    first_byte: f64,
    /// MiB from what was resident before to the peak.
    growth: f64,
}

pub(super) fn measure(bench: &Bench<'_>) -> Result<()> {
    let (origin, names) = (bench.ground.origin()?, Names::default());
    compare(origin.address(), &target(OBJECT), &bench.ground.site.file(OBJECT)).context("asking the origin")?;
    // nginx, ferry, and the origin itself.
    let taken = bench.interleave(ROUNDS, 3, |contender| match contender {
        2 => direct(bench, &origin, &names),
        _ => through(bench, &origin, &names, &Cached::contender(&bench.ground, &origin, contender)?),
    })?;
    let of = |contender: usize, figure: fn(&Turn) -> f64| taken[contender].iter().map(figure).collect::<Vec<_>>();
    let tell = |figure, bound, measured, detail| {
        let work = "100 clients at once, 1 GiB, a miss".to_owned();
        bench.tell(Line { work, figure, bound: Bound::AtMost(bound), measured, floor: "", detail });
    };
    let [nginx, ferry] = [0, 1].map(|cache| Spread::of(&of(cache, |turn| turn.sent)));
    tell("bytes from the origin, vs the object's", 1.01, ferry, format!("nginx {nginx}"));
    let waits = [0, 1, 2].map(|who| of(who, |turn| turn.first_byte));
    let [nginx, ferry] = [0, 1].map(|cache: usize| Spread::of_ratios(&waits[cache], &waits[2]));
    let [nginx_ms, ferry_ms, origin_ms] = [0, 1, 2].map(|who: usize| Spread::of(&waits[who]).median);
    let detail = format!("ferry {ferry_ms:.0} ms, the origin {origin_ms:.0} ms; nginx {nginx_ms:.0} ms, {nginx}");
    tell("p99 first byte, vs asking the origin", 2.0, ferry, detail);
    let [nginx, ferry] = [0, 1].map(|cache| Spread::of(&of(cache, |turn| turn.growth)));
    tell("MiB by which process memory grows", FLAT, ferry, format!("nginx {nginx}"));
    Ok(())
}

/// The crowd at a cache; each takes all of the object.
#[allow(clippy::cast_precision_loss, reason = "an object is far below 2^52 bytes")]
fn through(bench: &Bench<'_>, origin: &Origin, names: &Names, cache: &Cached) -> Result<Turn> {
    let name = names.next(&target(OBJECT));
    let job = Job { targets: vec![name.clone()], ..cache.job(&bench.ground, OBJECT, CLIENTS)? };
    let (before, resident) = (origin.sent()?, cache.server.family.forget_peak()?);
    let mut waits = crowd(&job, Rest::Taken)?;
    let growth = cache.server.family.peak()? - resident;
    let sent = origin.sent()? - before;
    cache.keep(origin, &name, &bench.ground.site.file(OBJECT))?;
    Ok(Turn {
        sent: sent.bytes as f64 / OBJECT as f64,
        first_byte: percentile(&mut waits, 0.99) as f64 / 1e6,
        growth: in_mebibytes(growth),
    })
}

/// The same crowd at the origin. There is nothing more to see once each has its first byte.
#[allow(clippy::cast_precision_loss, reason = "waits are far below 2^52 ns")]
fn direct(bench: &Bench<'_>, origin: &Origin, names: &Names) -> Result<Turn> {
    let content = Some(Content::of(&bench.ground.site.file(OBJECT))?.into());
    let job = Job::file(origin.address(), &names.next(&target(OBJECT)), OBJECT, CLIENTS);
    let job = Job { content, ..job };
    let p99 = |_| Ok(percentile(&mut crowd(&job, Rest::Left)?, 0.99));
    let mut all = (0..CROWDS).map(p99).collect::<Result<Vec<_>>>()?;
    Ok(Turn { first_byte: percentile(&mut all, 0.5) as f64 / 1e6, ..Turn::default() })
}
