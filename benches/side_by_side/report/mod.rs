//! The figures, for people and for programs.

mod json;
mod svg;
mod table;

use std::{fs, io::Write, path::PathBuf};

use polyport::Result;

pub(crate) use self::table::table;
use crate::rounds::Measured;

/// Writes `results.json` and `results.svg`.
pub(crate) fn write(measured: &[Measured]) -> Result<()> {
    // Cargo says where its own folder for such things is: below target/.
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.parent().unwrap_or(&folder).join("side-by-side");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("results.json"), json::write(measured)?)?;
    fs::write(folder.join("results.svg"), svg::draw(measured)?)?;
    Ok(writeln!(std::io::stdout(), "results.json and results.svg are in {}", folder.display())?)
}
