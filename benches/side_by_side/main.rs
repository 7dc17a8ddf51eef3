//! polyport side by side with code wired by hand, in one run: `cargo bench -p side-by-side`.
//!
//! Each server is a process of its own on the first core (or the first two), and the load a thread
//! on the last one. The servers of a row take turns in an order that is shuffled in each round, and
//! a ratio is to the first server of the same round: what else happens on the machine changes slower
//! than that. `… -- --help` tells what can be chosen; docs/performance.md has the figures and how
//! they are read.

mod broker;
mod cores;
mod figures;
mod load;
mod machine;
mod options;
mod others;
mod process;
mod report;
mod rounds;
mod rows;
mod servers;
mod targets;

use std::{
    env,
    io::{self, Write},
    process::{ExitCode, ExitStatus},
};

use machine::Machine;
use options::Options;
use polyport::Result;
use rounds::Measured;
use rows::Row;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match run(&words) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "\nside-by-side: {error}");
            broker::FAILED.into()
        }
    }
}

fn run(words: &[String]) -> Result<ExitCode> {
    if let [word, server, cores, argument] = words
        && word == servers::WORD
    {
        return servers::serve(server, cores, argument).map(|()| ExitCode::SUCCESS);
    }
    // `cargo bench` says so; `cargo test --all-targets` runs the program too, and has nothing to test.
    if !words.iter().any(|word| word == "--bench") {
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::read(words)?;
    if options.help {
        io::stdout().write_all(options::HELP.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    prepare(words, &options)
}

/// Builds, and sees to a broker, where the rows need that.
fn prepare(words: &[String], options: &Options) -> Result<ExitCode> {
    let mut rows = rows::all();
    rows.retain(|row| options.wants(row.name));
    let mut left_out = Vec::new();
    let needs_others = rows.iter().any(Row::has_others);
    match options.others {
        true if needs_others => others::build()?,
        true => {}
        false => rows.iter_mut().for_each(Row::leave_others_out),
    }
    if needs_others && !options.others {
        left_out.push("actix-web, summer-rs and fastwebsockets: `--others` builds them, too");
    }
    machine::open_many()?;
    cores::pin(&[cores::of_load()?])?;
    if rows.iter().any(Row::needs_broker) && servers::amqp::url().is_none() {
        if let Some(status) = broker::run_again(words)? {
            return Ok(code_of(status));
        }
        rows.retain(|row| !row.needs_broker());
        left_out.push(
            "all of AMQP, since no RabbitMQ could be started: `scripts/rabbitmq install` (as root), \
             or name one by POLYPORT_TEST_AMQP_URL",
        );
    }
    compare(rows, &left_out, options)?;
    Ok(ExitCode::SUCCESS)
}

/// As shells have it, where a signal has ended it.
fn code_of(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.unwrap_or(broker::FAILED).into()
}

fn compare(rows: Vec<Row>, left_out: &[&str], options: &Options) -> Result<()> {
    let machine = Machine::look(options);
    let mut err = io::stderr();
    writeln!(err, "{machine}")?;
    left_out.iter().try_for_each(|what| writeln!(err, "left out: {what}"))?;
    writeln!(err, "{}", rounds::forecast(&rows, options))?;
    let mut measured: Vec<Measured> = Vec::new();
    for row in rows {
        measured.push(rounds::measure(row, options)?);
        if let Some((last, before)) = measured.split_last() {
            writeln!(io::stdout(), "{}", report::table(last, before))?;
        }
    }
    report::write(&measured, &machine, left_out)
}
