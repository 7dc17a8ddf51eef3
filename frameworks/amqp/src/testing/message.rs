use lapin::{BasicProperties, types::AMQPValue};
use polyport_bootstrap::Fault;
use serde::de::DeserializeOwned;

use super::must;
use crate::{Attempt, Reply, attempts, headers, request::fault_of};

/// A message as a plain client sees it.
#[derive(Debug, Clone)]
pub struct TestMessage {
    exchange: String,
    routing_key: String,
    redelivered: bool,
    properties: BasicProperties,
    body: Vec<u8>,
    pub(super) tag: u64,
}

impl TestMessage {
    pub(super) fn new(message: lapin::message::Delivery) -> Self {
        Self {
            exchange: message.exchange.to_string(),
            routing_key: message.routing_key.to_string(),
            redelivered: message.redelivered,
            properties: message.properties,
            body: message.data,
            tag: message.delivery_tag,
        }
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Panics where it is no such JSON.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        let shown = String::from_utf8_lossy(&self.body);
        must(serde_json::from_slice(&self.body), &format!("the message {shown:?}"))
    }

    /// The value that a reply is, taken out of whichever envelope.
    ///
    /// # Errors
    /// Returns the fault that it is instead, an internal one where it is no such value.
    pub fn value<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        match self.fault() {
            Some(fault) => Err(fault),
            None => Reply::new(self.properties.clone(), self.body.clone().into()).json(),
        }
    }

    /// The fault that a reply is, in whichever envelope; none where its headers name no kind of
    /// fault.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        fault_of(&self.properties, &self.body)
    }

    /// The exchange that it was published to.
    #[must_use]
    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    /// The routing key that it was published with.
    #[must_use]
    pub fn routing_key(&self) -> &str {
        &self.routing_key
    }

    /// Whether it was given out before.
    #[must_use]
    pub fn redelivered(&self) -> bool {
        self.redelivered
    }

    /// The content type.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        self.properties.content_type().as_ref().map(ToString::to_string)
    }

    /// The message id.
    #[must_use]
    pub fn message_id(&self) -> Option<String> {
        self.properties.message_id().as_ref().map(ToString::to_string)
    }

    /// The correlation id.
    #[must_use]
    pub fn correlation_id(&self) -> Option<String> {
        self.properties.correlation_id().as_ref().map(ToString::to_string)
    }

    /// A header: strings, integers and booleans as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let value = headers::get(self.properties.headers().as_ref(), name)?;
        let number = || headers::integer(value).map(|number| number.to_string());
        let boolean = || match value {
            AMQPValue::Boolean(value) => Some(value.to_string()),
            _ => None,
        };
        headers::text(value).map(str::to_owned).or_else(number).or_else(boolean)
    }

    /// The attempts at handling it that have failed, as a consumer of its queue sees them.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        let history = headers::get(self.properties.headers().as_ref(), headers::ATTEMPTS);
        match history {
            Some(AMQPValue::FieldArray(entries)) => {
                entries.as_slice().iter().filter_map(attempts::read).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether the broker keeps it over a restart.
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        *self.properties.delivery_mode() == Some(2)
    }
}
