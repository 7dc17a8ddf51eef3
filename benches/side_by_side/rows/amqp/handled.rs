//! So many messages, consumed or published.

use std::time::Instant;

use polyport::{Error, Result};

use super::broker::Queue;
use crate::{
    cores,
    figures::{Figures, Kind},
    process::Process,
    rows::Row,
    servers::amqp::{MESSAGES, WARM},
};

/// Messages that lie in the queue when the server comes, or that it publishes.
pub(crate) fn measure(row: &Row, server: &str, window: u16, is_consumer: bool) -> Result<Figures> {
    let queue = Queue::declare()?;
    if is_consumer {
        // What lies behind the last one keeps the server busy to the end.
        queue.fill(WARM + MESSAGES + u64::from(window))?;
    }
    let task = format!("{} {window}", queue.name);
    let mut process = Process::start_with(server, row.cores, &task)?;
    hear(&mut process, "warm")?;
    let core = cores::of_load()?;
    let (begun, before, by_broker) = (Instant::now(), process.time()?, cores::busy(core)?);
    hear(&mut process, "done")?;
    let (took, spent) = (begun.elapsed(), process.time()? - before);
    let by_broker = cores::busy(core)? - by_broker;
    Ok(vec![
        (Kind::Cpu, spent as f64 / MESSAGES as f64),
        (Kind::Rate, MESSAGES as f64 / took.as_secs_f64()),
        (Kind::Resident, process.resident()?),
        (Kind::Load, by_broker as f64 / took.as_nanos() as f64),
    ])
}

/// Waits until it says so.
pub(super) fn hear(process: &mut Process, wanted: &str) -> Result<()> {
    loop {
        match process.hear()? {
            line if line == wanted => return Ok(()),
            line if line == "ready" => {}
            line => return Err(Error::other(format!("{line:?} instead of {wanted:?}"))),
        }
    }
}
