//! Which cores a process runs on, and how long it has run there.

use std::{fs, path::Path, thread};

use polyport::{Error, Result};
use rustix::thread::{CpuSet, sched_setaffinity};

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
    let cores = thread::available_parallelism()?.get();
    match cores {
        1 => Err(Error::other("one core is not enough").advise("run it where there are two")),
        cores => Ok(cores - 1),
    }
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
