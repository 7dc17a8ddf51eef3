use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::PublishError;
use crate::{CloudEvent, cloud_events::header_name, headers};

/// The longest name, id or key that AMQP can carry (a short string), in bytes.
const MAX_SHORT: usize = 255;

/// AMQP's delivery modes (0-9-1, section 1.2): the broker writes persistent messages to disk.
const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;

/// A message to be published. Persistent, with a new UUIDv7 as its message id, unless said
/// otherwise.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use polyport_amqp::Message;
///
/// let message = Message::json("im", "message.lobby", &serde_json::json!({ "text": "hi" }))?
///     .header("x-tenant", "acme")
///     .expiration(Duration::from_secs(60))
///     .mandatory();
/// # drop(message);
/// # Ok::<(), polyport_amqp::PublishError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a message is published by AmqpApp::publish_message"]
pub struct Message {
    exchange: String,
    routing_key: String,
    body: Bytes,
    content_type: Option<String>,
    message_type: Option<String>,
    pub(super) headers: Vec<(String, Value)>,
    message_id: Option<String>,
    correlation_id: Option<String>,
    pub(super) reply_to: Option<String>,
    expiration: Option<Duration>,
    priority: Option<u8>,
    mode: u8,
    mandatory: bool,
}

impl Message {
    /// A message of raw bytes. The exchange `""` routes to the queue that is named by the routing
    /// key.
    pub fn new(
        exchange: impl Into<String>,
        routing_key: impl Into<String>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            body: body.into(),
            content_type: None,
            message_type: None,
            headers: Vec::new(),
            message_id: None,
            correlation_id: None,
            reply_to: None,
            expiration: None,
            priority: None,
            mode: PERSISTENT,
            mandatory: false,
        }
    }

    /// A message whose body is `value` as JSON, with content type `application/json`.
    ///
    /// # Errors
    /// Returns [`PublishError::NotJson`] where the value cannot be written.
    pub fn json<T: Serialize + ?Sized>(
        exchange: impl Into<String>,
        routing_key: impl Into<String>,
        value: &T,
    ) -> Result<Self, PublishError> {
        let body = serde_json::to_vec(value)
            .map_err(|error| PublishError::NotJson { reason: error.to_string() })?;
        Ok(Self::new(exchange, routing_key, body).content_type("application/json"))
    }

    /// A message that is a CloudEvent in binary mode: its data is `value` as JSON, and its id the
    /// message id.
    ///
    /// # Errors
    /// Returns [`PublishError::NotJson`] where the value cannot be written.
    pub fn cloud_event<T: Serialize + ?Sized>(
        exchange: impl Into<String>,
        routing_key: impl Into<String>,
        event: CloudEvent,
        value: &T,
    ) -> Result<Self, PublishError> {
        let message = Self::json(exchange, routing_key, value)?.message_id(&event.id);
        let attributes = event.into_attributes();
        Ok(attributes
            .fold(message, |message, (name, value)| message.header(header_name(&name), value)))
    }

    /// Says what the body is: a media type.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Says what the message is, by which consumers tell types apart: `order.created`.
    pub fn message_type(mut self, name: impl Into<String>) -> Self {
        self.message_type = Some(name.into());
        self
    }

    /// Adds a header. `CC` and `BCC`, by which RabbitMQ routes copies elsewhere, are left out.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let name = name.into();
        if !headers::is_routing(&name) {
            self.headers.push((name, value.into()));
        }
        self
    }

    /// Sets the message id, by which consumers recognise duplicates.
    pub fn message_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    /// Sets what a reply is to carry, so that it is recognised.
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// Asks for a reply in this queue.
    pub fn reply_to(mut self, queue: impl Into<String>) -> Self {
        self.reply_to = Some(queue.into());
        self
    }

    /// Lets the broker drop the message when it has waited that long, to the millisecond.
    pub fn expiration(mut self, after: Duration) -> Self {
        self.expiration = Some(after);
        self
    }

    /// Sets the priority, for queues that have `x-max-priority`.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Lets the message be lost when the broker stops.
    pub fn transient(mut self) -> Self {
        self.mode = TRANSIENT;
        self
    }

    /// Makes it an error ([`PublishError::Unroutable`]) when no queue takes the message.
    pub fn mandatory(mut self) -> Self {
        self.mandatory = true;
        self
    }

    pub(crate) fn into_outgoing(self) -> Result<Outgoing, PublishError> {
        let id = match &self.message_id {
            Some(id) => short("message id", id)?,
            None => new_message_id(),
        };
        let mut properties = BasicProperties::default()
            .with_message_id(id)
            .with_timestamp(now())
            .with_delivery_mode(self.mode);
        if let Some(content_type) = &self.content_type {
            properties = properties.with_content_type(short("content type", content_type)?);
        }
        if let Some(name) = &self.message_type {
            properties = properties.with_type(short("type", name)?);
        }
        if let Some(id) = &self.correlation_id {
            properties = properties.with_correlation_id(short("correlation id", id)?);
        }
        if let Some(queue) = &self.reply_to {
            properties = properties.with_reply_to(short("reply-to", queue)?);
        }
        if let Some(after) = self.expiration {
            properties = properties.with_expiration(after.as_millis().to_string().into());
        }
        if let Some(priority) = self.priority {
            properties = properties.with_priority(priority);
        }
        if !self.headers.is_empty() {
            properties = properties.with_headers(header_table(&self.headers)?);
        }
        Ok(Outgoing {
            exchange: short("exchange name", &self.exchange)?,
            routing_key: short("routing key", &self.routing_key)?,
            properties,
            body: self.body,
            mandatory: self.mandatory,
            is_move: false,
        })
    }
}

fn header_table(headers: &[(String, Value)]) -> Result<FieldTable, PublishError> {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert(short("name of a header", name)?, headers::value(value));
    }
    Ok(table)
}

/// A short string, or the error that says which one is too long.
fn short(what: &'static str, text: &str) -> Result<ShortString, PublishError> {
    ShortString::try_new(text).map_err(|_| PublishError::TooLarge {
        what,
        size: text.len(),
        limit: MAX_SHORT,
    })
}

pub(crate) fn new_message_id() -> ShortString {
    let mut buffer = Uuid::encode_buffer();
    (&*Uuid::now_v7().hyphenated().encode_lower(&mut buffer)).into()
}

/// Seconds since 1970, as AMQP has them.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A message as it goes over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Bytes,
    pub(crate) mandatory: bool,
    /// Whether it came from this broker, so that its body's size has been accepted before.
    pub(crate) is_move: bool,
}

impl Outgoing {
    /// Refuses what would cost the channel, or the whole connection.
    pub(crate) fn check(&self, max_body: usize, frame_max: usize) -> Result<(), PublishError> {
        if self.body.len() > max_body && !self.is_move {
            let size = self.body.len();
            return Err(PublishError::TooLarge { what: "body", size, limit: max_body });
        }
        let size = self.properties.headers().as_ref().map_or(0, headers::size);
        let limit = max_headers(frame_max);
        if size > limit {
            return Err(PublishError::TooLarge { what: "headers", size, limit });
        }
        Ok(())
    }

    /// Numbers the message, so that it is recognised if the broker returns it.
    pub(crate) fn number(&mut self, sequence: i64) {
        let mut table = self.properties.headers().clone().unwrap_or_default();
        table.insert(headers::SEQUENCE.into(), AMQPValue::LongLongInt(sequence));
        self.properties = std::mem::take(&mut self.properties).with_headers(table);
    }
}

/// How many bytes headers may take: all properties are one frame, and the others may take up to
/// ten short strings, besides ours.
pub(crate) fn max_headers(frame_max: usize) -> usize {
    frame_max.saturating_sub(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(message: Message) -> Outgoing {
        message.into_outgoing().expect("fits")
    }

    #[test]
    fn a_message_is_persistent_and_has_an_id_and_a_time() {
        let message = outgoing(Message::new("im", "key", "body"));
        let properties = &message.properties;
        assert_eq!(*properties.delivery_mode(), Some(2));
        assert_eq!(properties.message_id().as_ref().map(|id| id.as_str().len()), Some(36));
        assert!(properties.timestamp().is_some_and(|time| time > 1_700_000_000));
        assert_eq!(
            *outgoing(Message::new("", "q", "").transient()).properties.delivery_mode(),
            Some(1)
        );
    }

    #[test]
    fn what_amqp_cannot_carry_is_an_error_and_never_a_panic() {
        let long = "x".repeat(256);
        let faulty = [
            Message::new(&long, "", ""),
            Message::new("", &long, ""),
            Message::new("", "", "").message_id(&long),
            Message::new("", "", "").correlation_id(&long),
            Message::new("", "", "").reply_to(&long),
            Message::new("", "", "").content_type(&long),
            Message::new("", "", "").header(&long, 1),
        ];
        for message in faulty {
            let error = message.into_outgoing().expect_err("too long");
            assert!(matches!(error, PublishError::TooLarge { size: 256, .. }), "{error}");
        }
    }

    #[test]
    fn large_bodies_and_headers_are_refused_before_they_are_sent() {
        let body = outgoing(Message::new("", "", vec![0; 11]));
        assert!(matches!(
            body.check(10, 131_072),
            Err(PublishError::TooLarge { what: "body", .. })
        ));
        body.check(11, 131_072).expect("fits");
        let headers = outgoing(Message::new("", "", "").header("x", "x".repeat(127_000)));
        let error = headers.check(10, 131_072).expect_err("over the limit");
        assert!(matches!(error, PublishError::TooLarge { what: "headers", .. }), "{error}");
    }

    #[test]
    fn headers_that_route_copies_are_left_out() {
        let message = Message::new("", "", "").header("CC", "q").header("BCC", "q").header("cc", 1);
        let table = outgoing(message).properties.headers().clone().expect("one is left");
        assert_eq!(table.inner().len(), 1);
    }

    #[test]
    fn a_number_stands_beside_other_headers() {
        let mut message = outgoing(Message::new("", "", "").header("a", true));
        message.number(7);
        let table = message.properties.headers().clone().expect("headers");
        assert_eq!(table.inner()[headers::SEQUENCE], AMQPValue::LongLongInt(7));
        assert_eq!(table.inner().len(), 2);
    }
}
