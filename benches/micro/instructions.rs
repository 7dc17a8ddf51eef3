//! Instructions of the fixed set, as valgrind's callgrind counts them, beside those that were last
//! recorded: `scripts/instructions`.

extern crate polyport_bootstrap as polyport;

#[allow(dead_code, reason = "the benchmark takes the rest")]
mod call;
mod cases;
mod recorded;
mod turn;

use std::{collections::BTreeMap, env, fs, io, path::PathBuf, process::Command};

use polyport_bootstrap::{Error, Result};

use recorded::Recorded;

/// The first word of a process whose instructions are counted.
const WORD: &str = "--turn";

/// A case is turned so often, and then so much oftener: the difference has nothing of the start.
const TURNS: u64 = 100;
const MORE: u64 = 400;

/// Cargo's variables that change the profile of a build.
const PROFILE: [&str; 2] = ["CARGO_PROFILE_RELEASE_LTO", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS"];

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [word, case, times] = &words[..]
        && word == WORD
    {
        return turns(case, times.parse()?);
    }
    let says = |flag: &str| words.iter().any(|word| word == flag);
    // `cargo bench` runs the other benchmarks, too, and `cargo test --all-targets` this program.
    match says("--compare") {
        true => compare(says("--record")),
        false => Ok(()),
    }
}

/// Does one thing that many times: what is counted.
fn turns(case: &str, times: u64) -> Result<()> {
    let case = cases::case(case);
    let mut turn = case.ok_or_else(|| Error::other("there is no such case"))?;
    (0..times).for_each(|_| turn());
    Ok(())
}

/// Counts all cases and compares them; with `record` they are what is recorded from then on.
fn compare(record: bool) -> Result<()> {
    let (known, now) = (read()?, counted()?);
    let compared = recorded::compare(known.as_ref(), &now, &mut io::stdout().lock());
    match record {
        true => Ok(fs::write(file(), serde_json::to_string_pretty(&now)? + "\n")?),
        false => compared,
    }
}

fn counted() -> Result<Recorded> {
    let changed = PROFILE.into_iter().filter_map(|name| Some((name, env::var(name).ok()?)));
    let mut profile = "release".to_owned();
    changed.for_each(|(name, value)| profile.push_str(&format!(" {name}={value}")));
    let mut now = Recorded { compiler: compiler()?, profile, instructions: BTreeMap::new() };
    for name in cases::NAMES {
        now.instructions.insert(name.to_owned(), count(name)?);
    }
    Ok(now)
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../instructions.json")
}

fn read() -> Result<Option<Recorded>> {
    match fs::read_to_string(file()) {
        Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
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
    if !run.status.success() {
        return Err(Error::other(format!("{case} fails: {said}")));
    }
    let collected = said.lines().find_map(|line| line.split("Collected :").nth(1));
    collected
        .and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| Error::other(format!("callgrind says no count: {said}")))
}
