//! The figures, for people and for programs.

mod json;
mod page;
mod svg;
mod table;

use std::{
    fs,
    io::{self, Write},
};

use polyport::Result;

pub(crate) use self::table::table;
use crate::{machine::Machine, others, rounds::Measured};

/// Writes them beside what cargo builds, and says where.
pub(crate) fn write(measured: &[Measured], machine: &Machine, left_out: &[&str]) -> Result<()> {
    let folder = others::target().join("side-by-side");
    fs::create_dir_all(&folder)?;
    for (name, text) in files(measured, machine, left_out)? {
        fs::write(folder.join(name), text)?;
    }
    let minutes = measured.iter().map(|row| row.took.as_secs_f64()).sum::<f64>() / 60.0;
    let folder = folder.display();
    writeln!(io::stderr(), "measured in {minutes:.1} min")?;
    Ok(writeln!(io::stdout(), "results.md, results.json and results.svg are in {folder}")?)
}

/// The files of a run, each with its name.
pub(crate) fn files(
    measured: &[Measured],
    machine: &Machine,
    left_out: &[&str],
) -> Result<[(&'static str, String); 3]> {
    Ok([
        ("results.md", page::write(measured, machine, left_out)),
        ("results.json", json::write(measured, machine, left_out)?),
        ("results.svg", svg::draw(measured)?),
    ])
}
