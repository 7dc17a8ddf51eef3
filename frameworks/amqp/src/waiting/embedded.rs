//! The in-memory broker tells what it holds.

use std::sync::{Arc, Weak};

use polyport_amqp_embedded::{EmbeddedBroker, QueueState, Snapshot};
use polyport_bootstrap::{
    Result,
    framework::{Mark, Witness},
};

use super::mark;

/// Ends when no message waits, nor is with a consumer.
pub(super) async fn handled(
    broker: Weak<EmbeddedBroker>,
    queues: Arc<[String]>,
    witness: Witness,
) -> Result<()> {
    while let Some(broker) = broker.upgrade() {
        let now = broker.snapshot();
        let _marks = match marks(&now, &queues, &witness) {
            marks if marks.is_empty() => break,
            marks => marks,
        };
        broker.until(|later| *later != now).await;
    }
    Ok(())
}

/// What is there now.
pub(super) fn left(
    broker: &Weak<EmbeddedBroker>,
    queues: &[String],
    witness: &Witness,
) -> Vec<Mark> {
    let now = broker.upgrade().map(|broker| broker.snapshot());
    now.map_or_else(Vec::new, |now| marks(&now, queues, witness))
}

fn marks(now: &Snapshot, queues: &[String], witness: &Witness) -> Vec<Mark> {
    let waiting = now.queues.iter().filter(|(name, state)| {
        !state.is_empty() && (queues.contains(name) || is_handled(name, state))
    });
    waiting.map(|(name, state)| mark(witness, name, state.ready + state.unacked)).collect()
}

/// Whether the messages of a queue with no name of the application's own are handled at some time:
/// they wait for their delay, or belong to one instance.
fn is_handled(name: &str, state: &QueueState) -> bool {
    name.starts_with("polyport.delay.") || (name.starts_with("amq.gen-") && state.consumers > 0)
}
