//! What the kernel says of a process family: its CPU time, its memory, and the memory of the machine's TCP.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{Context, Result};

/// A process and its children, as they are once a server stands: nginx's master and workers, or one ferry.
#[derive(Debug, Clone)]
pub(crate) struct Family(Vec<u32>);

/// What a family keeps in memory, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// As ps shows it for each process: a page that two of them share is in both (Rss).
    pub(crate) resident: u64,
    /// A page that two of them share is in each by half (Pss).
    pub(crate) proportional: u64,
}

/// CPU time that a family has used up to a moment.
#[derive(Debug)]
pub(crate) struct CpuTime {
    /// Nanoseconds of each thread (schedstat): exact, but a thread that ends takes its time with it.
    threads: BTreeMap<u32, u64>,
    /// User and system time of the processes with all their threads, ended ones too (stat), in steps of a clock tick.
    ticks: Duration,
}

impl Family {
    /// The process `head` and those that it has started so far.
    pub(crate) fn of(head: u32) -> Result<Self> {
        let mut family = vec![head];
        for process in numbers(Path::new("/proc"))? {
            // One that ended meanwhile is nobody's child.
            let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
            if Stat::parse(&stat).is_some_and(|stat| stat.parent == head) {
                family.push(process);
            }
        }
        Ok(Self(family))
    }

    /// The CPU time used so far. What runs at this moment is up to a tick behind: ask when the server is idle.
    pub(crate) fn cpu_time(&self) -> Result<CpuTime> {
        let (mut threads, mut ticks) = (BTreeMap::new(), 0);
        for process in &self.0 {
            let stat = read(format!("/proc/{process}/stat"))?;
            ticks += Stat::parse(&stat).with_context(|| format!("/proc/{process}/stat is unlike any"))?.ticks;
            for thread in numbers(Path::new(&format!("/proc/{process}/task")))? {
                let Ok(text) = fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat")) else { continue };
                threads.insert(thread, first_number(&text).context("schedstat begins with a number")?);
            }
        }
        Ok(CpuTime { threads, ticks: tick() * u32::try_from(ticks)? })
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let mut memory = Memory::default();
        for process in &self.0 {
            let rollup = read(format!("/proc/{process}/smaps_rollup"))?;
            let bytes = |name| kib_after(&rollup, name).map(|kib| kib * 1024).context("smaps_rollup tells both");
            memory.resident += bytes("Rss:")?;
            memory.proportional += bytes("Pss:")?;
        }
        Ok(memory)
    }

    /// Has the peak of each process begin anew, at what it has resident now. The sum of that, in bytes.
    pub(crate) fn forget_peak(&self) -> Result<u64> {
        for process in &self.0 {
            // proc_pid_clear_refs(5): 5 resets the high water mark.
            fs::write(format!("/proc/{process}/clear_refs"), "5").context("resetting the peak of a process")?;
        }
        self.peak()
    }

    /// The most that each process had resident at any time, summed up, in bytes: not less than the most that they had together.
    pub(crate) fn peak(&self) -> Result<u64> {
        self.0.iter().try_fold(0, |sum, process| {
            let status = read(format!("/proc/{process}/status"))?;
            Ok(sum + kib_after(&status, "VmHWM:").context("status tells the peak")? * 1024)
        })
    }

    /// Bytes that the family had the disk read so far.
    pub(crate) fn disk_bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for process in &self.0 {
            let io = read(format!("/proc/{process}/io"))?;
            bytes += field_after(&io, "read_bytes:").context("io has a line read_bytes")?;
        }
        Ok(bytes)
    }
}

impl CpuTime {
    /// What was used from `earlier` to this.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let complete = earlier.threads.keys().all(|thread| self.threads.contains_key(thread));
        if !complete {
            return self.ticks.saturating_sub(earlier.ticks);
        }
        let used = |(thread, now): (&u32, &u64)| now - earlier.threads.get(thread).copied().unwrap_or(0).min(*now);
        Duration::from_nanos(self.threads.iter().map(used).sum())
    }
}

/// CPU time that the calling thread has used so far.
pub(crate) fn own_cpu_time() -> Result<Duration> {
    let text = read("/proc/thread-self/schedstat".to_owned())?;
    Ok(Duration::from_nanos(first_number(&text).context("schedstat begins with a number")?))
}

/// Bytes of memory that TCP holds on the whole machine.
pub(crate) fn tcp_memory() -> Result<u64> {
    let text = read("/proc/net/sockstat".to_owned())?;
    let page = u64::try_from(rustix::param::page_size())?;
    Ok(tcp_pages(&text).context("sockstat tells TCP's memory")? * page)
}

/// The unit of times in /proc.
pub(crate) fn tick() -> Duration {
    // sysconf(3): 100 on every Linux of the last decades.
    Duration::from_secs(1) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100)
}

/// Of /proc/PID/stat, what is wanted here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    /// utime + stime.
    pub(crate) ticks: u64,
    /// The same of children that have ended and were waited for (cutime + cstime).
    pub(crate) ended_ticks: u64,
}

impl Stat {
    /// The program's name is in parentheses and may have spaces and parentheses itself: fields are counted from its end.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        // proc_pid_stat(5): ppid is field 4, utime 14, stime 15, cutime 16, cstime 17; the first after the name is field 3.
        Some(Self {
            parent: number(1)?.try_into().ok()?,
            ticks: number(11)? + number(12)?,
            ended_ticks: number(13)? + number(14)?,
        })
    }
}

fn tcp_pages(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find(|line| line.starts_with("TCP:"))?;
    first_number(line.split_once(" mem ")?.1)
}

fn kib_after(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| first_number(line.strip_prefix(name)?.strip_suffix("kB")?))
}

fn field_after(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| first_number(line.strip_prefix(name)?))
}

fn first_number(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// The entries of a directory that are numbers.
fn numbers(directory: &Path) -> Result<Vec<u32>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

fn read(path: String) -> Result<String> {
    fs::read_to_string(&path).context(path)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::{CpuTime, Family, Stat, kib_after, tcp_pages};

    #[test]
    fn a_name_with_spaces_and_parentheses_shifts_no_field() {
        let text = "14902 (a) S 1 (b) R 14896 14896 13945 0 -1 4194304 102 0 0 0 37 5 6 7 20 0 1 0 1168302 2998272";
        assert_eq!(Stat::parse(text), Some(Stat { parent: 14896, ticks: 42, ended_ticks: 13 }));
        assert_eq!(Stat::parse("14902 (cut short) R 1"), None);
    }

    #[test]
    fn a_peak_is_remembered_until_it_is_forgotten() {
        let own = Family(vec![std::process::id()]);
        let before = own.forget_peak().expect("a process may look at itself");
        let large = 64 * 1024 * 1024;
        drop(std::hint::black_box(vec![1_u8; large]));
        let peak = own.peak().expect("it may do so again");
        assert!(peak > before + large as u64 / 2, "from {before} to {peak}");
        let after = own.forget_peak().expect("and again");
        assert!(after < peak - large as u64 / 2, "from {peak} to {after}");
    }

    #[test]
    fn tcp_memory_is_the_field_mem_of_the_line_tcp() {
        let text = "sockets: used 15\nTCP: inuse 1 orphan 0 tw 0 alloc 1 mem 50\nUDP: inuse 0 mem 7\n";
        assert_eq!(tcp_pages(text), Some(50));
        assert_eq!(tcp_pages("UDP: inuse 0 mem 7\n"), None);
    }

    #[test]
    fn pss_is_told_from_its_kinds() {
        let text = "Rss:    900 kB\nPss_Anon:  17 kB\nPss:     450 kB\nPss_File: 3 kB\n";
        assert_eq!(kib_after(text, "Pss:"), Some(450));
    }

    fn used(threads: &[(u32, u64)], ticks: u64) -> CpuTime {
        CpuTime { threads: BTreeMap::from_iter(threads.iter().copied()), ticks: Duration::from_millis(ticks) }
    }

    #[test]
    fn threads_that_start_count_from_nothing() {
        let (before, after) = (used(&[(1, 100)], 0), used(&[(1, 350), (2, 50)], 10));
        assert_eq!(after.since(&before), Duration::from_nanos(300));
    }

    #[test]
    fn a_thread_that_ended_leaves_the_coarser_clock() {
        let (before, after) = (used(&[(1, 100), (2, 100)], 20), used(&[(1, 350)], 50));
        assert_eq!(after.since(&before), Duration::from_millis(30));
    }

    #[test]
    fn this_process_has_used_cpu_time_and_memory() {
        let family = Family::of(std::process::id()).expect("a process can look at itself");
        let used = family.cpu_time().expect("the kernel accounts CPU time");
        assert!(used.threads.values().sum::<u64>() > 0);
        let memory = family.memory().expect("the kernel accounts memory");
        assert!(memory.proportional > 100 * 1024 && memory.proportional <= memory.resident);
    }
}
