//! The parts of a call, each for itself: `cargo bench -p polyport-bench-micro` prints how long they
//! take, `scripts/instructions` counts the instructions, which repeat exactly.
//!
//! Allocations are counted in `allocations.rs`, since counting takes time.

mod cases;
mod instructions;
#[allow(dead_code, reason = "the benchmark of the container takes the rest")]
#[path = "../container/measure.rs"]
mod measure;

use std::{env, io::Write};

use polyport_bootstrap::{Error, Result};

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [word, case, times] = &words[..]
        && word == instructions::WORD
    {
        return turn(case, times.parse()?);
    }
    // `cargo bench` says so; `cargo test --all-targets` runs the program too, and has nothing to test.
    if !words.iter().any(|word| word == "--bench") {
        return Ok(());
    }
    let says = |flag: &str| words.iter().any(|word| word == flag);
    if says("--instructions") {
        return instructions::compare(says("--record"));
    }
    let cases = cases::NAMES.iter().filter_map(|name| cases::case(name)).collect();
    Ok(writeln!(std::io::stdout(), "{}", measure::run("The parts of a call", cases))?)
}

/// Does one thing that many times: what is counted.
fn turn(case: &str, times: u64) -> Result<()> {
    let case = cases::case(case);
    case.ok_or_else(|| Error::other("there is no such case"))?.turn(times);
    Ok(())
}
