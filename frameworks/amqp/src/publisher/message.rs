use std::time::Duration;

use bytes::Bytes;
use lapin::BasicProperties;
use polyport_bootstrap::operation::{TIMEOUT_HEADER, trace::Carrier as _};
use serde::Serialize;
use serde_json::Value;

use super::{
    PublishError, PublishMode,
    outgoing::{Outgoing, header_table, new_message_id, now, short},
};
use crate::{CloudEvent, cloud_events::header_name, headers, request::REPLY_TO};

/// AMQP's delivery modes (0-9-1, section 1.2): the broker writes persistent messages to disk.
const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;

/// The longest expiration that RabbitMQ takes: it has milliseconds of 32 bits.
pub(crate) const LONGEST: Duration = Duration::from_millis(u32::MAX as u64);

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
    delivery_mode: u8,
    mandatory: bool,
    app_id: Option<String>,
    pub(super) mode: Option<PublishMode>,
    pub(super) delay: Option<Duration>,
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
            delivery_mode: PERSISTENT,
            mandatory: false,
            app_id: None,
            mode: None,
            delay: None,
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

    /// A message whose body is `value` in protobuf's binary format, with content type
    /// `application/protobuf` and the full name of its message type as its type
    /// ([`message_type`](Self::message_type)).
    pub fn protobuf<M: prost::Message + prost::Name>(
        exchange: impl Into<String>,
        routing_key: impl Into<String>,
        value: &M,
    ) -> Self {
        Self::new(exchange, routing_key, value.encode_to_vec())
            .content_type("application/protobuf")
            .message_type(M::full_name())
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

    /// Says what the message is (AMQP's property `type`), by which consumers tell types apart:
    /// `order.created`.
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

    /// Lets the broker drop the message when it has waited that long, to the millisecond; at most 49
    /// days, the longest that RabbitMQ knows.
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
        self.delivery_mode = TRANSIENT;
        self
    }

    /// Makes it an error ([`PublishError::Unroutable`]) when no queue takes the message.
    pub fn mandatory(mut self) -> Self {
        self.mandatory = true;
        self
    }

    /// Names the application that sends it (AMQP's property `app-id`).
    pub fn app_id(mut self, id: impl Into<String>) -> Self {
        self.app_id = Some(id.into());
        self
    }

    /// Says what is waited for when it is published; otherwise the setting `amqp.publish.mode`
    /// does. A request is always waited for.
    pub fn mode(mut self, mode: PublishMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Lets the message wait that long, to the millisecond and up to 48 days, before its exchange
    /// gets it: in a queue on the broker, which is made when a delay to an exchange is used first.
    /// It is confirmed when it waits there.
    ///
    /// Nobody is told where no queue takes it after that, [`mandatory`](Self::mandatory) or not,
    /// and it cannot have an [`expiration`](Self::expiration). A request cannot be delayed.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use polyport_amqp::Message;
    ///
    /// let reminder = Message::new("", "reminders", "call back").delay(Duration::from_secs(60));
    /// # drop(reminder);
    /// ```
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Whether it is to wait before its exchange gets it.
    pub(crate) fn is_delayed(&self) -> bool {
        self.delay.is_some_and(|delay| !delay.is_zero())
    }

    /// How long it may wait, where it says so.
    pub(crate) fn expires_after(&self) -> Option<Duration> {
        self.expiration
    }

    /// The message as a request whose reply is waited for that long. It outlives neither the broker
    /// nor whoever waits.
    pub(crate) fn into_request(mut self, limit: Duration) -> Result<Outgoing, PublishError> {
        let milliseconds = limit.as_millis().to_string();
        self.set(TIMEOUT_HEADER, &milliseconds);
        let request = self.reply_to(REPLY_TO).expiration(limit).transient().mandatory();
        request.into_outgoing()
    }

    pub(crate) fn into_outgoing(self) -> Result<Outgoing, PublishError> {
        let id = match &self.message_id {
            Some(id) => short("message id", id)?,
            None => new_message_id(),
        };
        let mut properties = BasicProperties::default()
            .with_message_id(id)
            .with_timestamp(now())
            .with_delivery_mode(self.delivery_mode);
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
        if let Some(after) = self.expiration.map(|after| after.min(LONGEST)) {
            properties = properties.with_expiration(after.as_millis().to_string().into());
        }
        if let Some(priority) = self.priority {
            properties = properties.with_priority(priority);
        }
        if let Some(id) = &self.app_id {
            properties = properties.with_app_id(short("app id", id)?);
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
    fn an_expiration_is_no_longer_than_the_broker_takes() {
        let message = outgoing(Message::new("", "q", "").expiration(Duration::MAX));
        let expiration = message.properties.expiration().as_ref().map(ToString::to_string);
        assert_eq!(expiration.as_deref(), Some("4294967295"));
    }

    #[test]
    fn protobuf_says_what_it_is() {
        let message = outgoing(Message::protobuf("", "q", &"hi".to_owned()));
        assert_eq!(&message.body[..], b"\x0a\x02hi");
        let properties = &message.properties;
        let text =
            |value: &Option<lapin::types::ShortString>| value.as_ref().map(ToString::to_string);
        let content_type = text(properties.content_type());
        assert_eq!(content_type.as_deref(), Some("application/protobuf"));
        let kind = text(properties.kind());
        assert_eq!(kind.as_deref(), Some("google.protobuf.StringValue"));
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
            Message::new("", "", "").message_type(&long),
            Message::new("", "", "").app_id(&long),
            Message::new("", "", "").header(&long, 1),
        ];
        for message in faulty {
            let error = message.into_outgoing().expect_err("too long");
            assert!(matches!(error, PublishError::TooLarge { size: 256, .. }), "{error}");
        }
    }

    #[test]
    fn headers_that_route_copies_are_left_out() {
        let message = Message::new("", "", "").header("CC", "q").header("BCC", "q").header("cc", 1);
        let table = outgoing(message).properties.headers().clone().expect("one is left");
        assert_eq!(table.inner().len(), 1);
    }
}
