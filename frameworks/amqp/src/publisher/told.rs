//! What a test is told of messages that are published.

use lapin::types::ShortString;
use polyport_bootstrap::framework::{Leftover, Mark, Recorded, Witness};

use super::{Outgoing, PublishError};
use crate::headers;

/// A message until its outcome is known.
#[derive(Debug)]
pub(super) struct OnItsWay {
    witness: Witness,
    published: Option<Box<Recorded>>,
    _mark: Mark,
}

impl OnItsWay {
    pub(super) fn begin(witness: &Witness, message: &Outgoing) -> Self {
        let mut published = None;
        let mark = witness.mark(Leftover::Message, || {
            // What is put aside is told of by who does that.
            published = (!message.is_move).then(|| Box::new(recorded(message)));
            format!("to {}, which is not confirmed", route(message))
        });
        Self { witness: witness.clone(), published, _mark: mark }
    }

    pub(super) fn end(self, outcome: &Result<(), PublishError>) {
        if let (Ok(()), Some(published)) = (outcome, self.published) {
            self.witness.record(|| *published);
        }
    }
}

/// A message as it is published.
pub(crate) fn recorded(message: &Outgoing) -> Recorded {
    let properties = &message.properties;
    let table = properties.headers().as_ref();
    let call = headers::get(table, headers::REQUEST_ID).and_then(headers::text);
    let mut published = Recorded::published("amqp", route(message)).size(message.body.len());
    published.message_id = properties.message_id().as_ref().map(ShortString::to_string);
    published.request_id = call.map(str::to_owned);
    published.text = String::from_utf8(message.body.to_vec()).ok();
    published
}

/// The queue, or the exchange and the routing key.
fn route(message: &Outgoing) -> String {
    let (exchange, key) = (message.exchange.as_str(), message.routing_key.as_str());
    format!("{exchange} {key}").trim_start().to_owned()
}
