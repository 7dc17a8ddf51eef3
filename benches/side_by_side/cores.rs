//! Which cores a process runs on, and how long it has run there.

use std::{fs, path::Path};

use polyport::{Error, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The kernel counts the time of cores in hundredths of a second (`USER_HZ`).
const TICK: u64 = 10_000_000;

/// Keeps this thread, and all threads and processes that it starts, on these cores.
pub(crate) fn pin(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    Ok(sched_setaffinity(None, &set)?)
}

/// The cores of servers: the first ones.
pub(crate) fn of_servers(count: usize) -> Vec<usize> {
    (0..count).collect()
}

/// The core of what loads them: the last one, so that one server and its load do not meet on a
/// machine with two.
pub(crate) fn of_load() -> Result<usize> {
    match all()? {
        1 => Err(Error::other("one core is not enough").advise("run it where there are two")),
        cores => Ok(cores - 1),
    }
}

/// How many cores there are, though this thread, or who has started it, be kept on one of them.
pub(crate) fn all() -> Result<usize> {
    let own = sched_getaffinity(None)?;
    let mut every = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|core| every.set(core));
    // The kernel leaves out what there is not, and what it does not grant.
    sched_setaffinity(None, &every)?;
    let granted = sched_getaffinity(None)?.count() as usize;
    sched_setaffinity(None, &own)?;
    Ok(granted)
}

/// The time that a core was busy with anything at all, in nanoseconds (`proc(5)`, `/proc/stat`).
pub(crate) fn busy(core: usize) -> Result<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    ticks(&text, core)
        .map(|ticks| ticks * TICK)
        .ok_or_else(|| Error::other(format!("/proc/stat tells nothing of core {core}")))
}

/// The ticks of a line `cpu1 user nice system idle iowait irq softirq steal …`, without the idle ones.
fn ticks(stat: &str, core: usize) -> Option<u64> {
    let name = format!("cpu{core}");
    let line = stat.lines().find(|line| line.split(' ').next() == Some(name.as_str()))?;
    let ticks: Vec<u64> = line.split(' ').skip(1).map_while(|word| word.parse().ok()).collect();
    let idle = *ticks.get(3)? + *ticks.get(4)?;
    // What follows the first eight is in them already.
    Some(ticks.iter().take(8).sum::<u64>() - idle)
}

/// The time that a process has run in all of its threads, in nanoseconds (`proc(5)`, `schedstat`):
/// exact, where `stat` counts in hundredths of a second.
pub(crate) fn time_of_process(id: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        // A thread may end in between.
        sum += time_in(&thread?.path().join("schedstat")).unwrap_or(0);
    }
    Ok(sum)
}

/// The time that this thread has run, in nanoseconds.
pub(crate) fn time_of_thread() -> Result<u64> {
    time_in(Path::new("/proc/thread-self/schedstat"))
}

fn time_in(file: &Path) -> Result<u64> {
    let text = fs::read_to_string(file)?;
    let first = text.split_whitespace().next();
    first.and_then(|word| word.parse().ok()).ok_or_else(|| {
        Error::other(format!("{} tells no time", file.display()))
            .advise("the kernel needs CONFIG_SCHED_INFO")
    })
}
