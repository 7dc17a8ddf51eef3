//! Where a run takes place, so that nobody takes its figures for those of another place.

use std::{env, fmt, fs};

use polyport::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    cores,
    options::{FEWEST, Options},
};

/// Cargo's variables that change the profile of a build.
const PROFILE: [&str; 2] = ["CARGO_PROFILE_RELEASE_LTO", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS"];

/// Lets this process, and all that it starts, have as many connections as the system grants.
pub(crate) fn open_many() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// What is known of it.
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    load: String,
    profile: String,
    rounds: usize,
}

impl Machine {
    /// Looks around, before anything is measured.
    pub(crate) fn look(options: &Options) -> Self {
        let changed = PROFILE.into_iter().filter_map(|name| Some((name, env::var(name).ok()?)));
        let changed: Vec<_> = changed.map(|(name, value)| format!("{name}={value}")).collect();
        Self {
            processor: processor().unwrap_or_else(|| "an unknown processor".to_owned()),
            cores: cores::all().unwrap_or_default(),
            kernel: first_word("/proc/sys/kernel/osrelease"),
            load: first_word("/proc/loadavg"),
            profile: match changed.is_empty() {
                true => "the release profile (fat LTO, one codegen unit)".to_owned(),
                false => format!("the release profile with {}", changed.join(" ")),
            },
            rounds: options.rounds,
        }
    }
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_word(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, kernel, load, profile, rounds } = self;
        write!(f, "{processor}, {cores} cores, Linux {kernel}, load average {load} before; ")?;
        write!(f, "{profile}; {rounds} rounds")?;
        match *rounds < FEWEST {
            true => write!(f, ", too few for a result."),
            false => write!(f, "."),
        }
    }
}
