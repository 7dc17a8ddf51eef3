//! What is counted, by the facade `metrics`: whoever installs a recorder before the process starts
//! gets it, and without one nothing is counted, at the price of a branch.
//!
//! Every handle is registered once, when the framework is built.

use metrics::{Counter, Gauge, counter, gauge};

use crate::{monitor::Side, publisher::PublishError};

/// The connections of one framework.
#[derive(Debug)]
pub(crate) struct ConnectionMetrics {
    sides: [SideMetrics; 2],
    blocked: Gauge,
}

#[derive(Debug)]
struct SideMetrics {
    connected: Gauge,
    reconnects: Counter,
    failures: Counter,
}

impl ConnectionMetrics {
    pub(crate) fn new(framework: &str) -> Self {
        let blocked = gauge!("polyport_amqp_blocked", "framework" => framework.to_owned());
        let side = |side| SideMetrics::new(framework, side);
        Self { sides: [side(Side::Publish), side(Side::Consume)], blocked }
    }

    pub(crate) fn connected(&self, side: Side, connected: bool) {
        self.sides[side as usize].connected.set(one_if(connected));
    }

    pub(crate) fn reconnected(&self, side: Side) {
        self.sides[side as usize].reconnects.increment(1);
    }

    pub(crate) fn failed(&self, side: Side) {
        self.sides[side as usize].failures.increment(1);
    }

    pub(crate) fn blocked(&self, blocked: bool) {
        self.blocked.set(one_if(blocked));
    }
}

impl SideMetrics {
    fn new(framework: &str, side: Side) -> Self {
        let labels = [("framework", framework.to_owned()), ("side", side.as_str().to_owned())];
        Self {
            connected: gauge!("polyport_amqp_connected", &labels),
            reconnects: counter!("polyport_amqp_reconnects_total", &labels),
            failures: counter!("polyport_amqp_connect_failures_total", &labels),
        }
    }
}

/// What is published.
#[derive(Debug)]
pub(crate) struct PublishMetrics {
    in_flight: Gauge,
    ok: Counter,
    unroutable: Counter,
    nacked: Counter,
    rejected: Counter,
    outbox_full: Counter,
    not_connected: Counter,
    timed_out: Counter,
    too_large: Counter,
    not_json: Counter,
    not_delayed: Counter,
}

impl PublishMetrics {
    pub(crate) fn new(framework: &str) -> Self {
        let framework = || framework.to_owned();
        let outcome = |outcome: &'static str| {
            counter!(
                "polyport_amqp_published_total",
                "framework" => framework(), "outcome" => outcome,
            )
        };
        Self {
            in_flight: gauge!("polyport_amqp_publishing", "framework" => framework()),
            ok: outcome("ok"),
            unroutable: outcome("unroutable"),
            nacked: outcome("nacked"),
            rejected: outcome("rejected"),
            outbox_full: outcome("outbox_full"),
            not_connected: outcome("not_connected"),
            timed_out: outcome("timed_out"),
            too_large: outcome("too_large"),
            not_json: outcome("not_json"),
            not_delayed: outcome("not_delayed"),
        }
    }

    /// A message is under way, until what this gives is dropped.
    pub(crate) fn begin(&self) -> InFlight<'_> {
        InFlight::new(&self.in_flight)
    }

    pub(crate) fn end(&self, outcome: &Result<(), PublishError>) {
        let counter = match outcome {
            Ok(()) => &self.ok,
            Err(PublishError::Unroutable { .. }) => &self.unroutable,
            Err(PublishError::Nacked) => &self.nacked,
            Err(PublishError::Rejected { .. }) => &self.rejected,
            Err(PublishError::OutboxFull { .. }) => &self.outbox_full,
            Err(PublishError::NotConnected { .. }) => &self.not_connected,
            Err(PublishError::TimedOut { .. }) => &self.timed_out,
            Err(PublishError::TooLarge { .. }) => &self.too_large,
            Err(PublishError::NotJson { .. }) => &self.not_json,
            Err(PublishError::NotDelayed { .. }) => &self.not_delayed,
        };
        counter.increment(1);
    }
}

/// What is consumed from one queue.
#[derive(Debug)]
pub(crate) struct ConsumeMetrics {
    in_flight: Gauge,
    pub(crate) acknowledged: Counter,
    pub(crate) requeued: Counter,
    pub(crate) retried: Counter,
    pub(crate) parked: Counter,
    pub(crate) dropped: Counter,
    silent: Gauge,
}

impl ConsumeMetrics {
    pub(crate) fn new(framework: &str, queue: &str) -> Self {
        let labels = || [("framework", framework.to_owned()), ("queue", queue.to_owned())];
        let outcome = |outcome: &'static str| {
            let [framework, queue] = labels();
            let labels = [framework, queue, ("outcome", outcome.to_owned())];
            counter!("polyport_amqp_consumed_total", &labels)
        };
        Self {
            in_flight: gauge!("polyport_amqp_handling", &labels()),
            acknowledged: outcome("acknowledged"),
            requeued: outcome("requeued"),
            retried: counter!("polyport_amqp_retried_total", &labels()),
            parked: counter!("polyport_amqp_parked_total", &labels()),
            dropped: counter!("polyport_amqp_dropped_total", &labels()),
            silent: gauge!("polyport_amqp_silent", &labels()),
        }
    }

    /// A message is being handled, until what this gives is dropped.
    pub(crate) fn begin(&self) -> InFlight<'_> {
        InFlight::new(&self.in_flight)
    }

    pub(crate) fn silent(&self, silent: bool) {
        self.silent.set(one_if(silent));
    }
}

/// Counts something that is under way; no longer when it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a Gauge);

impl<'a> InFlight<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

fn one_if(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}
