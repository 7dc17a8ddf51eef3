//! polyport side by side with code wired by hand, in one run: `cargo bench -p side-by-side`.
//!
//! Each server is a process of its own on the first core (or the first two), and the load a thread
//! on the last one. The servers of a row take turns in an order that is shuffled in each round, and
//! a ratio is to the first server of the same round: what else happens on the machine changes slower
//! than that. `… -- --help` tells what can be chosen; docs/performance.md has the figures and how
//! they are read.

mod cores;
mod figures;
mod load;
mod options;
mod process;
mod report;
mod rounds;
mod rows;
mod servers;
mod targets;

use std::{
    env,
    io::{self, Write},
};

use options::Options;
use polyport::Result;

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [word, server, cores, argument] = &words[..]
        && word == servers::WORD
    {
        return servers::serve(server, cores, argument);
    }
    // `cargo bench` says so; `cargo test --all-targets` runs the program too, and has nothing to test.
    if !words.iter().any(|word| word == "--bench") {
        return Ok(());
    }
    let options = Options::read(&words)?;
    match options.help {
        true => Ok(io::stdout().write_all(options::HELP.as_bytes())?),
        false => compare(&options),
    }
}

fn compare(options: &Options) -> Result<()> {
    cores::pin(&[cores::of_load()?])?;
    let mut measured = Vec::new();
    for row in rows::all().into_iter().filter(|row| options.wants(row.name)) {
        let row = rounds::measure(row, options)?;
        writeln!(io::stdout(), "{}", report::table(&row))?;
        measured.push(row);
    }
    report::write(&measured)
}
