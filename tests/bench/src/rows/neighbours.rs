//! What small requests feel of large ones beside them: readers of files that lie on the disk alone, and one transfer of a
//! gibibyte over a fast link.

use std::{
    fs::File,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::fs::{Advice, fadvise};

use super::Bench;
use crate::{
    load::{Fleet, Job, SlowReaders},
    measure::p99_micros,
    server::{Layout, Server, pause},
    site::{COLD_FILES, COLD_SIZE, GIB, KIB, MIB, Site, cold_target, target},
    statistics::Spread,
    table::{Bound, Line},
};

const ROUNDS: usize = 5;
const TURN: Duration = Duration::from_millis(1500);

/// The small requests that are watched.
const PROBE: u64 = 16 * KIB;
const PROBES_PER_SECOND: f64 = 1000.0;
const PROBE_CLIENTS: usize = 32;

/// The neighbours come to speed before anybody is watched.
const RUN_IN: Duration = Duration::from_millis(200);
const BEAT: Duration = Duration::from_millis(100);

/// Bytes per second of each of the cold readers, where they keep a pace.
const PACE: usize = 1024 * 1024;

pub(super) fn cold(bench: &Bench<'_>) -> Result<()> {
    let ferry = bench.ground.ferry(Layout::USUAL)?;
    let files = ColdFiles::open(bench.ground.site)?;
    let readers = Job {
        targets: (0..COLD_FILES).map(cold_target).collect(),
        ..Job::file(ferry.doors.http, "", COLD_SIZE, COLD_FILES)
    };
    for (pace, work) in [(None, "100 readers of cold files"), (Some(PACE), "100 such readers at 1 MiB/s")] {
        let mut from_disk = 0;
        let p99 = bench.interleave(ROUNDS, 2, |contender| {
            let is_cold = contender == 1;
            (0..COLD_FILES).try_for_each(|number| if is_cold { files.evict(number) } else { files.read(number) })?;
            let before = ferry.family.disk_bytes()?;
            // A reader that asks for its file again as soon as it has it shall find it cold again.
            let forget = |number| if is_cold { files.evict(number) } else { Ok(()) };
            let p99 = match pace {
                None => beside(&ferry, Neighbour::Busy(&readers, &forget))?,
                Some(pace) => beside(&ferry, Neighbour::Paced(&readers, pace))?,
            };
            let disk = ferry.family.disk_bytes()? - before;
            // A part of all that the readers could ask for once: more than chance, less than the slowest of disks gives.
            ensure!((disk > COLD_SIZE * 5) == is_cold, "{} MiB came from the disk, cold: {is_cold}", disk / MIB);
            from_disk += disk;
            Ok(p99)
        })?;
        bench.tell(Line {
            work: work.to_owned(),
            figure: "p99 of 16 KiB, vs the same readers cached",
            bound: Bound::AtMost(2.0),
            measured: Spread::of_ratios(&p99[1], &p99[0]),
            floor: "",
            detail: format!(
                "cold {:.0} µs, cached {:.0} µs; {} MiB from the disk",
                Spread::of(&p99[1]).median,
                Spread::of(&p99[0]).median,
                from_disk / MIB
            ),
        });
    }
    Ok(())
}

pub(super) fn large(bench: &Bench<'_>) -> Result<()> {
    let servers = [bench.ground.nginx(Layout::USUAL)?, bench.ground.ferry(Layout::USUAL)?];
    // nginx alone, nginx beside, ferry alone, ferry beside.
    let p99 = bench.interleave(ROUNDS, 4, |contender| {
        let server = &servers[contender / 2];
        let large = Job::file(server.doors.http, &target(GIB), GIB, 1);
        beside(server, if contender % 2 == 1 { Neighbour::Busy(&large, &|_| Ok(())) } else { Neighbour::Nobody })
    })?;
    let (nginx, ferry) = (Spread::of_ratios(&p99[1], &p99[0]), Spread::of_ratios(&p99[3], &p99[2]));
    bench.tell(Line {
        work: "a 1 GiB transfer beside".to_owned(),
        figure: "p99 of 16 KiB, vs without it",
        bound: Bound::AtMost(nginx.median),
        measured: ferry,
        floor: "",
        detail: format!(
            "ferry {:.0} instead of {:.0} µs; nginx {:.0} instead of {:.0} µs, {nginx}",
            Spread::of(&p99[3]).median,
            Spread::of(&p99[2]).median,
            Spread::of(&p99[1]).median,
            Spread::of(&p99[0]).median
        ),
    });
    Ok(())
}

/// Who is busy while small requests are watched.
#[derive(Clone, Copy)]
enum Neighbour<'a> {
    Nobody,
    /// Asks again at once; the function hears of each answer, by its connection's number, before that asks again.
    Busy(&'a Job, &'a (dyn Fn(usize) -> Result<()> + Sync)),
    /// Takes so many bytes per second on each connection.
    Paced(&'a Job, usize),
}

impl Neighbour<'_> {
    /// Works until `stop`.
    fn work(self, stop: &AtomicBool) -> Result<()> {
        match self {
            Self::Nobody => Ok(()),
            Self::Busy(job, done) => Fleet::connect(job)?.keep_busy(stop, done),
            Self::Paced(job, pace) => {
                let mut readers = SlowReaders::connect(job, pace)?;
                while !stop.load(Ordering::Relaxed) {
                    readers.read(BEAT)?;
                }
                Ok(())
            }
        }
    }
}

/// The p99 of small requests beside others, in microseconds.
fn beside(server: &Server, others: Neighbour<'_>) -> Result<f64> {
    let probe = Job::file(server.doors.http, &target(PROBE), PROBE, PROBE_CLIENTS);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let busy = scope.spawn(|| others.work(&stop));
        pause(RUN_IN);
        let p99 = p99_micros(&probe, PROBES_PER_SECOND, TURN);
        stop.store(true, Ordering::Relaxed);
        busy.join().map_err(|_| anyhow!("the neighbours' thread panicked"))?.context("the neighbours")?;
        p99
    })
}

/// Files that can be thrown out of the page cache.
struct ColdFiles(Vec<File>);

impl ColdFiles {
    fn open(site: &Site) -> Result<Self> {
        let open = |number| File::open(site.cold(number)).context("the site has its files");
        Ok(Self((0..COLD_FILES).map(open).collect::<Result<_>>()?))
    }

    /// They were written through when they were made, so nothing keeps their pages.
    fn evict(&self, number: usize) -> Result<()> {
        fadvise(&self.0[number], 0, None, Advice::DontNeed).context("throwing a file out of the page cache")
    }

    fn read(&self, number: usize) -> Result<()> {
        let mut file = &self.0[number];
        std::io::Seek::rewind(&mut file)?;
        std::io::copy(&mut file, &mut std::io::sink()).context("reading a file into the page cache")?;
        Ok(())
    }
}
