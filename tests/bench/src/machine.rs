//! Who else was busy on this machine while something was measured.

use std::{collections::BTreeMap, fs, time::Instant};

use anyhow::{Context, Result};

use crate::procfs::{Stat, tick};

/// Looks at the machine's CPU time from one figure to the next.
#[derive(Debug)]
pub(crate) struct Watch {
    at: Instant,
    /// Clock ticks in which any core was busy, or was taken away by a hypervisor.
    busy: u64,
    /// Clock ticks of this program and of all that it started.
    own: u64,
}

impl Watch {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self { at: Instant::now(), busy: busy_ticks()?, own: own_ticks()? })
    }

    /// How many cores others have kept busy since the last time that this was asked.
    pub(crate) fn others(&mut self) -> Result<f64> {
        let now = Self::start()?;
        let ticks = (now.busy - self.busy).saturating_sub(now.own.saturating_sub(self.own));
        let cores = tick().as_secs_f64() * f64::from(u32::try_from(ticks)?) / self.at.elapsed().as_secs_f64();
        *self = now;
        Ok(cores)
    }
}

fn busy_ticks() -> Result<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    busy(&text).context("/proc/stat begins with the sums of all cores")
}

/// proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal.
fn busy(text: &str) -> Option<u64> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
    Some([0, 1, 2, 5, 6, 7].iter().filter_map(|at| fields.get(*at)).sum())
}

/// Of this process and its descendants, those included that have ended and were waited for.
fn own_ticks() -> Result<u64> {
    let mut processes = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(text) = fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
        processes.extend(Stat::parse(&text).map(|stat| (process, stat)));
    }
    let own = std::process::id();
    let ours = processes.iter().filter(|(process, _)| descends(**process, own, &processes));
    Ok(ours.map(|(_, stat)| stat.ticks + stat.ended_ticks).sum())
}

fn descends(mut process: u32, from: u32, processes: &BTreeMap<u32, Stat>) -> bool {
    while process != from {
        match processes.get(&process) {
            Some(stat) => process = stat.parent,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{busy, descends};
    use crate::procfs::Stat;

    #[test]
    fn idle_and_waiting_for_a_disk_are_not_busy() {
        assert_eq!(busy("cpu  1 2 4 1000 2000 8 16 32 64 128\ncpu0 9 9 9\n"), Some(1 + 2 + 4 + 8 + 16 + 32));
        assert_eq!(busy("intr 1\n"), None);
    }

    #[test]
    fn a_worker_of_a_server_is_ours_and_a_neighbour_is_not() {
        let child_of = |parent| Stat { parent, ticks: 0, ended_ticks: 0 };
        let processes =
            BTreeMap::from([(1, child_of(0)), (7, child_of(1)), (8, child_of(7)), (9, child_of(8)), (10, child_of(1))]);
        assert!([7, 8, 9].iter().all(|process| descends(*process, 7, &processes)));
        assert!(!descends(10, 7, &processes) && !descends(1, 7, &processes));
    }
}
