//! What a connection costs that says nothing more.

use polyport::Result;

use super::Row;
use crate::{
    figures::{Figures, Kind},
    load::{Load, Speaks},
    process::Process,
};

/// What every server takes for its first clients is not what one more costs.
const WARM: usize = 100;

pub(super) fn measure(
    row: &Row,
    server: &str,
    speak: &dyn Fn() -> Box<dyn Speaks>,
) -> Result<Figures> {
    let mut process = Process::start(server, row.cores)?;
    let address = process.address()?;
    let warm = Load::connect(address, WARM, speak)?;
    let before = process.resident()?;
    let all = Load::connect(address, row.connections, speak)?;
    let after = process.resident()?;
    drop((warm, all));
    Ok(vec![(Kind::Connection, (after - before) / row.connections as f64), (Kind::Resident, after)])
}
