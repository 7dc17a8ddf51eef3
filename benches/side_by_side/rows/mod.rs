//! The rows: a piece of work, and the servers that do it.

mod amqp;
mod call;
mod grpc;
mod http;
mod idle;
mod start;
mod websocket;

use std::time::Duration;

use polyport::Result;

use crate::{
    figures::{Figures, Kind},
    load::Speaks,
    options::Options,
    others,
    targets::{Most, Target},
};

/// Work that several servers do.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// The cores of each server.
    pub(crate) cores: usize,
    pub(crate) connections: usize,
    pub(crate) work: Work,
    /// The first is the baseline.
    pub(crate) variants: Vec<Variant>,
}

impl Row {
    /// Whether some of its servers live in another workspace.
    pub(crate) fn has_others(&self) -> bool {
        self.variants.iter().any(|variant| others::has(variant.server))
    }

    /// Goes without those.
    pub(crate) fn leave_others_out(&mut self) {
        self.variants.retain(|variant| !others::has(variant.server));
    }

    /// Whether its servers are clients of a broker.
    pub(crate) fn needs_broker(&self) -> bool {
        self.variants.iter().any(|variant| variant.server.contains("amqp"))
    }
}

/// A server that does it.
pub(crate) struct Variant {
    pub(crate) server: &'static str,
    pub(crate) name: &'static str,
    pub(crate) targets: Vec<Target>,
}

/// What is done.
pub(crate) enum Work {
    /// Calls, over connections of which each says this.
    Calls(Box<dyn Fn() -> Box<dyn Speaks>>),
    /// Nothing, over connections of which each has said this once.
    Idle(Box<dyn Fn() -> Box<dyn Speaks>>),
    /// Messages of a broker to be consumed, so many at a time.
    Consume(u16),
    /// Messages to be published, so many of them unconfirmed.
    Publish(u16),
    /// Requests by a broker.
    Requests,
    /// Only to begin.
    Start,
}

impl Work {
    /// Starts a server, has it do the work, and ends it.
    pub(crate) fn measure(&self, row: &Row, server: &str, options: &Options) -> Result<Figures> {
        match self {
            Self::Calls(speak) => call::measure(row, server, speak, options),
            Self::Idle(speak) => idle::measure(row, server, speak),
            Self::Consume(prefetch) => amqp::measure_handled(row, server, *prefetch, true),
            Self::Publish(window) => amqp::measure_handled(row, server, *window, false),
            Self::Requests => amqp::measure_requests(row, server, options),
            Self::Start => start::measure(row, server),
        }
    }

    /// How long [`measure`](Self::measure) takes, about.
    pub(crate) fn forecast(&self, row: &Row, options: &Options) -> Duration {
        let connecting = Duration::from_micros(200) * row.connections as u32;
        let begin = Duration::from_millis(50) + connecting;
        match self {
            Self::Calls(_) => begin + options.warm_up + options.saturated + options.at_rate,
            // The queue is filled first, and one by one takes its time.
            Self::Consume(1) => begin + Duration::from_secs(5),
            Self::Consume(_) | Self::Publish(_) => begin + Duration::from_secs(2),
            Self::Requests => begin + options.warm_up + options.saturated,
            _ => begin,
        }
    }
}

/// All rows, in the order of the report.
pub(crate) fn all() -> Vec<Row> {
    [http::rows(), websocket::rows(), grpc::rows(), amqp::rows(), start::rows()]
        .into_iter()
        .flatten()
        .collect()
}

/// A server and what it is.
fn by(server: &'static str, name: &'static str) -> Variant {
    Variant { server, name, targets: Vec::new() }
}

/// The same, where a connection may cost so many bytes.
fn within(bytes: f64, server: &'static str, name: &'static str) -> Variant {
    let target = Target { kind: Kind::Connection, most: Most::Figure(bytes) };
    Variant { server, name, targets: vec![target] }
}

/// The same, where its ratio may not be above what it is in that row.
fn no_more_than_in(row: &'static str, server: &'static str, name: &'static str) -> Variant {
    let target = Target { kind: Kind::Cpu, most: Most::RatioIn(row) };
    Variant { server, name, targets: vec![target] }
}

/// The same, where its ratio to the baseline has a target.
fn at_most(target: f64, server: &'static str, name: &'static str) -> Variant {
    Variant { server, name, targets: vec![Target::ratio(target)] }
}
