//! gRPC.

use super::{Row, Work, at_most, by};
use crate::{
    load::{Http2, Speaks},
    servers::grpc::{HELLO, PATH, REPLY},
};

/// How many calls are under way.
const CALLS: usize = 64;

pub(super) fn rows() -> Vec<Row> {
    let titles = [
        ("grpc-unary-1", "gRPC unary, 64 under way over 1 connection", 1, 1),
        ("grpc-unary-8", "gRPC unary, 64 under way over 8 connections", 1, 8),
        ("grpc-2-cores", "gRPC unary, 64 under way over 8 connections, two cores", 2, 8),
    ];
    let row = |(name, title, cores, connections)| Row {
        name,
        title,
        cores,
        connections,
        work: Work::Calls(Box::new(move || say_hello(CALLS / connections))),
        variants: vec![
            by("grpc-tonic", "tonic: by hand"),
            by("grpc-h2", "h2: by hand"),
            at_most(1.0, "grpc-polyport", "polyport: an operation"),
            at_most(1.03, "grpc-polyport-service", "polyport: a generated service"),
        ],
    };
    titles.map(row).into()
}

fn say_hello(window: usize) -> Box<dyn Speaks> {
    Box::new(Http2::new(window, PATH, HELLO, REPLY))
}
