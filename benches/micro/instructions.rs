//! Instructions, as valgrind's callgrind counts them, beside those that were last recorded.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write},
    path::PathBuf,
    process::Command,
};

use polyport_bootstrap::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::cases;

/// The first word of a process whose instructions are counted.
pub(crate) const WORD: &str = "--turn";

/// A case is turned so often, and then so much oftener: the difference has nothing of the start.
const TURNS: u64 = 100;
const MORE: u64 = 400;

/// What may be more than was recorded.
const GROWTH: f64 = 0.03;

/// The file of what was recorded.
#[derive(Default, Serialize, Deserialize)]
struct Recorded {
    /// The compiler that they were counted with; another one makes other code.
    compiler: String,
    /// Of each case, for one turn.
    instructions: BTreeMap<String, u64>,
}

/// Counts all cases and compares them; with `record` they are what is recorded from then on.
pub(crate) fn compare(record: bool) -> Result<()> {
    let known = read()?;
    let mut counted = Recorded { compiler: compiler()?, ..Recorded::default() };
    let mut out = io::stdout().lock();
    writeln!(out, "{:<32}{:>12}{:>12}{:>9}", "instructions a turn", "recorded", "now", "")?;
    let mut grown = Vec::new();
    for name in cases::NAMES {
        let now = count(name)?;
        let before = known.instructions.get(name).copied();
        let growth = before.map_or(0.0, |before| now as f64 / before as f64 - 1.0);
        let shown = before.map_or_else(|| "-".to_owned(), |before| before.to_string());
        writeln!(out, "{name:<32}{shown:>12}{now:>12}{:>+8.1}%", growth * 100.0)?;
        if growth > GROWTH {
            grown.push(name);
        }
        counted.instructions.insert(name.to_owned(), now);
    }
    if known.compiler != counted.compiler && !record {
        writeln!(out, "recorded with {:?}, now {:?}", known.compiler, counted.compiler)?;
    }
    match (record, grown.is_empty()) {
        (true, _) => Ok(fs::write(file(), serde_json::to_string_pretty(&counted)? + "\n")?),
        (false, true) => Ok(()),
        (false, false) => Err(Error::other(format!("more than before: {}", grown.join(", ")))
            .advise("mend it, or record it on purpose: scripts/instructions --record")),
    }
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../instructions.json")
}

fn read() -> Result<Recorded> {
    match fs::read_to_string(file()) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Recorded::default()),
        Err(error) => Err(error.into()),
    }
}

fn compiler() -> Result<String> {
    let said = Command::new("rustc").arg("--version").output()?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// The instructions of one turn.
fn count(case: &str) -> Result<u64> {
    let (few, many) = (run(case, TURNS)?, run(case, TURNS + MORE)?);
    Ok(many.saturating_sub(few) / MORE)
}

fn run(case: &str, turns: u64) -> Result<u64> {
    let program = env::current_exe()?;
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([WORD, case, &turns.to_string()])
        .output()
        .map_err(|error| {
            let error = Error::other(format!("valgrind cannot be run: {error}"));
            error.advise("install it: apt-get install valgrind")
        })?;
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    let collected = said.lines().find_map(|line| line.split("Collected :").nth(1));
    collected
        .and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| Error::other(format!("callgrind says no count: {said}")))
}
