//! Messages that wait in queues are not handled yet: a test that settles waits for them, and one that
//! ends must leave none in the in-memory broker.

#[cfg(feature = "embedded")]
mod embedded;
mod remote;

use std::sync::Arc;

use futures_util::{FutureExt, future::ready};
use polyport_bootstrap::framework::{Leftover, Mark, Witness};

use crate::{consumer::Shared, settings::AmqpSettings, source::Source, topology::Plan};

/// Has the test wait for the messages in the queues that are consumed from.
pub(crate) fn watch(shared: &Arc<Shared>, source: &Source, plan: &Plan, settings: &AmqpSettings) {
    let queues: Arc<[String]> = plan.handled().map(str::to_owned).collect();
    // Whoever is asked to wait must not keep the one who asks.
    let shared_by = Arc::downgrade(shared);
    match source {
        Source::Url(broker) => {
            let (broker, settings) = (broker.clone(), settings.clone());
            shared.witness.wait_for(move || {
                let Some(shared) = shared_by.upgrade() else { return ready(Ok(())).boxed() };
                let (broker, settings) = (broker.clone(), settings.clone());
                // First where messages come from: they must not be overlooked on their way.
                let mut all = shared.publisher.delay_queues();
                all.extend(queues.iter().cloned());
                remote::handled(broker, settings, all, shared.witness.clone()).boxed()
            });
        }
        #[cfg(feature = "embedded")]
        Source::Embedded(embedded) => {
            let broker = embedded.running();
            shared.witness.wait_for(move || {
                let witness = shared_by.upgrade().map(|shared| shared.witness.clone());
                let queues = Arc::clone(&queues);
                embedded::handled(broker.clone(), queues, witness.unwrap_or_default()).boxed()
            });
        }
    }
}

/// What is in the in-memory broker, which keeps nothing, when the process ends.
#[cfg(feature = "embedded")]
pub(crate) fn left(witness: &Witness, source: &Source, plan: &Plan) -> Vec<Mark> {
    let Source::Embedded(embedded) = source else { return Vec::new() };
    let queues: Vec<_> = plan.handled().map(str::to_owned).collect();
    embedded::left(&embedded.running(), &queues, witness)
}

/// A broker elsewhere keeps what it has.
#[cfg(not(feature = "embedded"))]
pub(crate) fn left(_: &Witness, _: &Source, _: &Plan) -> Vec<Mark> {
    Vec::new()
}

fn mark(witness: &Witness, queue: &str, messages: usize) -> Mark {
    witness.mark(Leftover::Message, || format!("in queue {queue}, {messages} of them"))
}
