//! What the node carries, measured once a second.
//!
//! Reading `/proc` costs microseconds and waits for no disk, so one task does it where it stands.

use std::{fs, time::Duration};

use ferry_core::load::{Load, Share};
use ferry_delivery::{
    Delivery,
    disk::{Health as Trouble, Time},
};
use ferry_runtime::Tasks;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

const EVERY: Duration = Duration::from_secs(1);

/// Figures that only ever grow; two readings make a [`Load`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Reading {
    sent_bytes: u64,
    cpu: Cpu,
    /// Time in which something waited for a disk.
    disk: Duration,
    /// What the node's own calls to its disks took.
    calls: Time,
    /// Requests answered, and those of them with an error of the server's.
    answers: (u64, u64),
    /// Requests whose object was in the cache, and those whose object was not.
    kept: (u64, u64),
}

/// Ticks of all processors since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cpu {
    busy: u64,
    all: u64,
}

/// Measures until the tasks are asked to stop; the first figures come after a second.
///
/// `disk` says what is wrong with the disk. While anything is, the disk counts as busy all the time: requests go to other nodes, as long
/// as there are any. `measured` sees each measurement first, and may add to it.
pub(crate) fn watch(
    tasks: &Tasks,
    delivery: Delivery,
    disk: impl Fn() -> Option<Trouble> + Send + 'static,
    mut measured: impl FnMut(&mut Load) + Send + 'static,
) -> watch::Receiver<Load> {
    let (load, seen) = watch::channel(Load::default());
    let stop = tasks.stop_token();
    tasks.spawn("load", async move {
        let mut ticks = interval(EVERY);
        // After a stall, one reading over the whole of it.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let (mut last, mut at) = (Reading::take(&delivery), Instant::now());
        let mut known = None;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let (now, reading) = (Instant::now(), Reading::take(&delivery));
            let mut figures = reading.since(&last, now - at, delivery.transfers().under_way());
            let trouble = disk();
            if trouble.is_some() {
                figures.disk = Share::clamped(1.0);
            }
            tell(known, trouble);
            known = trouble;
            measured(&mut figures);
            load.send_replace(figures);
            (last, at) = (reading, now);
        }
    });
    seen
}

/// Logs what became of the disk, once.
fn tell(known: Option<Trouble>, now: Option<Trouble>) {
    match (known, now) {
        (None, Some(trouble)) => tracing::error!(%trouble, "the disk does not do its work"),
        (Some(_), None) => tracing::info!("the disk does its work again"),
        (None, None) | (Some(_), Some(_)) => {}
    }
}

impl Reading {
    fn take(delivery: &Delivery) -> Self {
        // Where a figure is not to be had (no such file, a container without it), it stays 0: nothing is known against the node.
        let of = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            sent_bytes: delivery.transfers().totals().sent_bytes,
            cpu: cpu(&of("/proc/stat")).unwrap_or_default(),
            disk: pressure(&of("/proc/pressure/io")).unwrap_or_default(),
            calls: delivery.disk_time(),
            answers: delivery.answers(),
            kept: delivery.cache().map_or((0, 0), |cache| {
                let stats = cache.stats();
                (stats.hits + stats.stale + stats.partial, stats.misses)
            }),
        }
    }

    fn since(&self, last: &Self, elapsed: Duration, transfers: usize) -> Load {
        let seconds = elapsed.as_secs_f64();
        if seconds <= 0.0 {
            return Load { transfers: u32::try_from(transfers).unwrap_or(u32::MAX), ..Load::default() };
        }
        let sent = self.sent_bytes.saturating_sub(last.sent_bytes) as f64;
        let busy = self.cpu.busy.saturating_sub(last.cpu.busy) as f32;
        // No ticks at all make NaN, which is a share of 0.
        let cpu = busy / self.cpu.all.saturating_sub(last.cpu.all) as f32;
        let waited = self.disk.saturating_sub(last.disk).as_secs_f64();
        let (kept, missed) = (grown(self.kept.0, last.kept.0), grown(self.kept.1, last.kept.1));
        Load {
            bytes_per_second: (sent / seconds) as u64,
            transfers: u32::try_from(transfers).unwrap_or(u32::MAX),
            cpu: Share::clamped(cpu),
            disk: Share::clamped((waited / seconds) as f32),
            disk_wait: self.calls.since(&last.calls),
            requests: grown(self.answers.0, last.answers.0),
            failures: grown(self.answers.1, last.answers.1),
            cold: Share::clamped(missed as f32 / (kept as f32 + missed as f32)),
            // Not to be had from counters.
            fullness: Share::default(),
        }
    }
}

/// By how much a counter grew.
fn grown(now: u64, last: u64) -> u32 {
    u32::try_from(now.saturating_sub(last)).unwrap_or(u32::MAX)
}

/// The first line of `/proc/stat` (proc_stat(5)): user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user already.
fn cpu(stat: &str) -> Option<Cpu> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().take(8).map_while(|tick| tick.parse().ok()).collect();
    let idle = ticks.get(3)? + ticks.get(4).copied().unwrap_or(0);
    let all = ticks.iter().sum();
    Some(Cpu { busy: all - idle, all })
}

/// The total of the line `some` of `/proc/pressure/io`, in microseconds (the kernel's accounting/psi.rst).
fn pressure(io: &str) -> Option<Duration> {
    let some = io.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = some.split_whitespace().find_map(|field| field.strip_prefix("total="))?;
    total.parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  100 20 30 800 50 5 5 10 7 0\ncpu0 1 2 3 4\nintr 5\n";
    const PRESSURE: &str = "some avg10=0.00 avg60=0.12 avg300=0.05 total=2500000\nfull avg10=0.00 total=7\n";

    #[test]
    fn the_kernels_figures_are_read() {
        assert_eq!(cpu(STAT), Some(Cpu { busy: 170, all: 1020 }));
        assert_eq!(pressure(PRESSURE), Some(Duration::from_millis(2500)));
    }

    #[test]
    fn what_is_missing_or_strange_is_no_figure() {
        for text in ["", "cpu", "cpu  x y", "cpu  1 2 3", "intr 1\n"] {
            assert_eq!(cpu(text), None, "{text:?}");
        }
        for text in ["", "some avg10=0.00", "some total=x", "full total=1"] {
            assert_eq!(pressure(text), None, "{text:?}");
        }
    }

    fn delivery() -> Delivery {
        let disk = ferry_delivery::disk::Disk::open_root("/").expect("every machine has a root");
        let backend = ferry_delivery::Backend::Filesystem(disk);
        Delivery::new(backend, ferry_delivery::Transfers::new(), ferry_delivery::metrics::Metrics::default())
    }

    #[test]
    fn two_readings_make_a_load() {
        let last = Reading {
            sent_bytes: 1000,
            cpu: Cpu { busy: 10, all: 100 },
            disk: Duration::from_secs(1),
            ..Reading::default()
        };
        let calls = Time { calls: 4, spent: Duration::from_millis(10) };
        let (cpu, disk) = (Cpu { busy: 60, all: 300 }, Duration::from_millis(1500));
        let now = Reading { sent_bytes: 5000, cpu, disk, calls, answers: (7, 2), kept: (3, 1) };
        let load = now.since(&last, Duration::from_secs(2), 3);
        assert_eq!((load.bytes_per_second, load.transfers), (2000, 3));
        assert_eq!((load.cpu.get(), load.disk.get()), (0.25, 0.25));
        assert_eq!((load.disk_wait, load.requests, load.failures), (Duration::from_micros(2500), 7, 2));
        assert_eq!(load.cold.get(), 0.25);
    }

    #[test]
    fn counters_that_went_back_or_stand_still_are_no_load() {
        let last = Reading {
            sent_bytes: 5,
            cpu: Cpu { busy: 10, all: 100 },
            disk: Duration::from_secs(9),
            ..Reading::default()
        };
        let load = Reading::default().since(&last, Duration::from_secs(1), 0);
        assert_eq!(load, Load::default());
        assert_eq!(last.since(&last, Duration::ZERO, 0), Load::default());
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_were_sent_show_in_the_next_figures() {
        let (tasks, delivery) = (Tasks::new(), delivery());
        let mut load = watch(&tasks, delivery.clone(), || None, |_| {});
        let key = ferry_core::object::ObjectPath::from_decoded("a").expect("a path");
        let key = ferry_core::object::ObjectKey::plain(key);
        tokio::task::yield_now().await;
        let transfer = delivery.transfers().begin(key, ([127, 0, 0, 1], 1).into(), None, std::time::UNIX_EPOCH);
        transfer.sent(3_000_000);
        let seen = *load.wait_for(|load| load.transfers == 1).await.expect("it is measured");
        assert_eq!(seen.bytes_per_second, 3_000_000);
        tasks.finish(EVERY).await.expect("it ends");
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_in_trouble_counts_as_busy() {
        let tasks = Tasks::new();
        let hangs = || Some(Trouble::Hanging { calls: 1, since: Duration::from_secs(6) });
        let mut load = watch(&tasks, delivery(), hangs, |_| {});
        load.changed().await.expect("it is measured");
        assert_eq!(load.borrow().disk, Share::clamped(1.0));
        tasks.finish(EVERY).await.expect("it ends");
    }
}
