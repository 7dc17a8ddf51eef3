//! AMQP, on a broker.

mod broker;
mod handled;
mod requests;

pub(super) use self::{handled::measure as measure_handled, requests::measure as measure_requests};
use super::{Row, Work, at_most, by};

/// How many messages may be unconfirmed.
const WINDOW: u16 = 256;
/// How many requests are under way.
pub(super) const REQUESTS: usize = 64;

pub(super) fn rows() -> Vec<Row> {
    [1, 64, 256].map(consume).into_iter().chain([publish(), reply()]).collect()
}

fn consume(prefetch: u16) -> Row {
    let (name, title) = match prefetch {
        1 => ("amqp-consume-1", "AMQP, consume and ack, prefetch 1"),
        64 => ("amqp-consume-64", "AMQP, consume and ack, prefetch 64"),
        _ => ("amqp-consume-256", "AMQP, consume and ack, prefetch 256"),
    };
    let polyport = match prefetch {
        1 => by("amqp-consume-polyport", "polyport: the whole chain"),
        _ => at_most(0.16, "amqp-consume-polyport", "polyport: the whole chain"),
    };
    Row {
        name,
        title,
        cores: 1,
        connections: 1,
        work: Work::Consume(prefetch),
        variants: vec![
            by("amqp-consume-inline", "lapin: ack awaited inline"),
            by("amqp-consume-spawn", "lapin: a task for each message"),
            by("amqp-consume-multiple", "lapin: one ack for up to 32"),
            by("amqp-consume-not-awaited", "lapin: acks not awaited"),
            polyport,
        ],
    }
}

fn publish() -> Row {
    Row {
        name: "amqp-publish",
        title: "AMQP, publish with confirms, window 256",
        cores: 1,
        connections: 1,
        work: Work::Publish(WINDOW),
        variants: vec![
            by("amqp-publish-lapin", "lapin: by hand"),
            at_most(0.8, "amqp-publish-polyport", "polyport"),
        ],
    }
}

fn reply() -> Row {
    Row {
        name: "amqp-reply",
        title: "AMQP request and reply, 64 under way",
        cores: 1,
        connections: 1,
        work: Work::Requests,
        variants: vec![
            by("amqp-reply-lapin", "lapin: by hand"),
            at_most(1.05, "amqp-reply-polyport", "polyport: the whole chain"),
        ],
    }
}
