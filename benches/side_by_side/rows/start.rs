//! From nothing to the first answer.

use std::time::Instant;

use polyport::Result;

use super::{Row, Variant, Work, at_most, by};
use crate::{
    figures::{Figures, Kind},
    load::{Fixed, Load},
    process::Process,
    servers::{amqp, http},
};

/// What a start may cost at most beside the one by hand, in memory. Of its time the target is a
/// difference, 2 ms, which is in the table to be seen.
const MEMORY: f64 = 1.25;

pub(super) fn rows() -> Vec<Row> {
    let row = |name, title, variants| Row {
        name,
        title,
        cores: 1,
        connections: 1,
        work: Work::Start,
        variants,
    };
    let three: Vec<Variant> = vec![
        by("start-by-hand", "axum, tokio-tungstenite, tonic: by hand"),
        at_most(MEMORY, "start-polyport", "polyport: three frameworks"),
    ];
    let four = vec![
        by("start-by-hand-amqp", "axum, tokio-tungstenite, tonic, lapin: by hand"),
        at_most(MEMORY, "start-polyport-amqp", "polyport: four frameworks"),
    ];
    let mut rows = vec![row("start-3", "Start to first answer, without AMQP", three)];
    rows.extend(amqp::url().map(|_| row("start-4", "Start to first answer, with AMQP", four)));
    rows
}

pub(super) fn measure(row: &Row, server: &str) -> Result<Figures> {
    let begun = Instant::now();
    let mut process = Process::start(server, row.cores)?;
    let call = || -> Box<_> { Box::new(Fixed::http1(http::GET.as_bytes().into(), http::USER)) };
    let load = Load::connect(process.address()?, row.connections, &|| call())?;
    let took = begun.elapsed();
    drop(load);
    Ok(vec![(Kind::Resident, process.resident()?), (Kind::Start, took.as_nanos() as f64)])
}
