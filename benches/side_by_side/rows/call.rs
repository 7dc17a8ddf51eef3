//! What a call costs.

use std::time::Instant;

use polyport::Result;

use super::Row;
use crate::{
    cores,
    figures::{Figures, Kind},
    load::{Load, Speaks},
    options::Options,
    process::Process,
};

/// The fixed load, in calls a second: what the slowest server does with ease.
const RATE: u32 = 2_000;

pub(super) fn measure(
    row: &Row,
    server: &str,
    speak: &dyn Fn() -> Box<dyn Speaks>,
    options: &Options,
) -> Result<Figures> {
    let mut process = Process::start(server, row.cores)?;
    let mut load = Load::connect(process.address()?, row.connections, speak)?;
    load.saturate(options.warm_up)?;
    let (begun, by_server, by_load) = (Instant::now(), process.time()?, cores::time_of_thread()?);
    let calls = load.saturate(options.saturated)? as f64;
    let (took, by_load) = (begun.elapsed(), cores::time_of_thread()? - by_load);
    let by_server = process.time()? - by_server;
    let latency = load.at_rate(RATE, options.at_rate)?;
    Ok(vec![
        (Kind::Cpu, by_server as f64 / calls),
        (Kind::Rate, calls / took.as_secs_f64()),
        (Kind::Latency, latency.as_nanos() as f64),
        (Kind::Resident, process.resident()?),
        (Kind::Load, by_load as f64 / took.as_nanos() as f64),
    ])
}
