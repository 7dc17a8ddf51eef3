//! From nothing to the first answer.

use std::time::Instant;

use polyport::Result;

use super::{Row, Variant, Work, by};
use crate::{
    figures::{Figures, Kind},
    load::{Fixed, Load},
    process::Process,
    servers::http,
    targets::{Most, Target},
};

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
        polyport("start-polyport", "polyport: three frameworks"),
    ];
    let four = vec![
        by("start-by-hand-amqp", "axum, tokio-tungstenite, tonic, lapin: by hand"),
        polyport("start-polyport-amqp", "polyport: four frameworks"),
    ];
    vec![
        row("start-3", "Start to first answer, without AMQP", three),
        row("start-4", "Start to first answer, four frameworks", four),
    ]
}

/// 2 ms and a quarter of the memory more than by hand, at most.
fn polyport(server: &'static str, name: &'static str) -> Variant {
    let time = Target { kind: Kind::Start, most: Most::Above(2e6) };
    let memory = Target { kind: Kind::Resident, most: Most::Ratio(1.25) };
    Variant { server, name, targets: vec![time, memory] }
}

pub(super) fn measure(row: &Row, server: &str) -> Result<Figures> {
    let begun = Instant::now();
    let mut process = Process::start(server, row.cores)?;
    let call = || -> Box<_> { Box::new(Fixed::http1(http::GET.as_bytes().into(), http::USER)) };
    let load = Load::connect(process.address()?, row.connections, &|| call())?;
    let took = begun.elapsed();
    drop(load);
    Ok(vec![(Kind::Start, took.as_nanos() as f64), (Kind::Resident, process.resident()?)])
}
