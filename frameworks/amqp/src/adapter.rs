//! A message ↔ the neutral call.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use polyport_bootstrap::{
    Container, Fault, FaultKind,
    operation::{
        BodyFormat, Call, Codecs, Context, Extensions, Raw, RawInput, ReplyBody, RequestId,
        UnknownFormat, peer_timeout,
    },
    wire::Envelope,
};
use tokio::time::Instant;

use crate::{
    cloud_events::{self, Opened},
    consumer::{Incoming, moves},
    delivery::Delivery,
    headers,
    publisher::{Outgoing, new_message_id, now},
    routes::PROTOCOL,
    settlement::Settlement,
};

const JSON: &str = "application/json";

/// Turns messages into calls, and answers into replies.
#[derive(Debug)]
pub(crate) struct Adapter {
    pub(crate) container: Container,
    pub(crate) envelope: Arc<dyn Envelope>,
    /// The formats in which bodies are understood.
    pub(crate) codecs: Arc<Codecs>,
    /// The longest body of a reply.
    pub(crate) max_body: usize,
}

impl Adapter {
    /// How the body of a message is written; JSON where it does not say.
    fn format(&self, delivery: &Delivery) -> BodyFormat {
        if let Some(what) = delivery.opened().and_then(Opened::fault) {
            let text = format!("the message is no CloudEvent: {what}");
            return BodyFormat::Unknown(UnknownFormat::malformed(cloud_events::MALFORMED, text));
        }
        match delivery.data_content_type() {
            None => BodyFormat::Json,
            Some(content_type) => self.codecs.format_or_unknown(content_type.as_bytes()),
        }
    }

    /// The call that a message is, which may take as long as `timeout`.
    pub(crate) fn context(
        &self,
        incoming: &Incoming,
        timeout: Duration,
        settlement: Option<&Settlement>,
    ) -> Context {
        let delivery = &incoming.delivery;
        let metadata = headers::metadata(delivery.properties().headers().as_ref());
        let limit = patience(timeout, delivery, &metadata);
        let (body, format) = (incoming.data().clone(), self.format(delivery));
        let mut extensions = Extensions::new();
        extensions.insert(delivery.clone());
        if let Some(settlement) = settlement {
            extensions.insert(settlement.weak());
        }
        Context::new(Call {
            protocol: PROTOCOL,
            operation: Arc::clone(incoming.endpoint.info()),
            container: self.container.clone(),
            request_id: incoming.id.clone(),
            deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
            metadata,
            input: RawInput { body, format, ..RawInput::default() },
            extensions,
        })
    }
}

/// How long an operation may take. Whoever waits for a reply waits no longer than the request
/// would have lived, and nobody longer than he says; a message that says so in a way that cannot be
/// understood is handled all the same.
pub(crate) fn patience(
    timeout: Duration,
    delivery: &Delivery,
    metadata: &HeaderMap,
) -> Option<Duration> {
    let timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
    let expiration = delivery.reply_to().and_then(|_| expiration(delivery.properties()));
    let peers = match peer_timeout(metadata) {
        Err(fault) if fault.kind() == FaultKind::DeadlineExceeded => Some(Duration::ZERO),
        peers => peers.ok().flatten(),
    };
    [timeout, expiration, peers].into_iter().flatten().min()
}

fn expiration(properties: &BasicProperties) -> Option<Duration> {
    let milliseconds = properties.expiration().as_ref()?.as_str().parse().ok()?;
    // A longer one is no limit in practice, and would overflow the clock.
    Some(Duration::from_millis(milliseconds)).filter(|limit| limit.as_secs() < 1 << 32)
}

/// What a message is answered with.
pub(crate) struct Answer {
    pub(crate) content_type: ShortString,
    pub(crate) body: Bytes,
    pub(crate) headers: FieldTable,
}

impl Answer {
    /// Writes the body of a reply: bytes as they are, a value as JSON in the envelope.
    pub(crate) fn of_body(
        envelope: &dyn Envelope,
        id: &RequestId,
        body: ReplyBody,
        headers: FieldTable,
    ) -> Result<Self, Fault> {
        if let ReplyBody::Raw(Raw { content_type, bytes }) = body {
            let named = content_type.to_str().ok().and_then(|name| ShortString::try_new(name).ok());
            let content_type = named.unwrap_or_else(|| "application/octet-stream".into());
            return Ok(Self { content_type, body: bytes, headers });
        }
        let mut out = Vec::new();
        body.write_json(envelope, id.as_str(), &mut out)?;
        Ok(Self { content_type: JSON.into(), body: out.into(), headers })
    }

    /// The fault that a call has ended in, marked as one: not every envelope says so.
    pub(crate) fn of_fault(envelope: &dyn Envelope, id: &RequestId, fault: &Fault) -> Self {
        let mut body = Vec::new();
        envelope.write_fault(&mut body, &fault.view(id.as_str()));
        let mut headers = headers::of_reply(Some(fault.headers()));
        for (name, value) in moves::marks_of(fault) {
            headers.insert(name.into(), value);
        }
        Self { content_type: envelope.fault_content_type().into(), body: body.into(), headers }
    }

    /// What stands behind the last of several replies.
    pub(crate) fn end_of_items() -> Self {
        let body = Bytes::from_static(b"null");
        Self { content_type: JSON.into(), body, headers: FieldTable::default() }
    }

    /// Says which of several replies it is.
    pub(crate) fn numbered(mut self, number: i64, is_last: bool) -> Self {
        self.headers.insert(headers::ITEM.into(), AMQPValue::LongLongInt(number));
        if is_last {
            self.headers.insert(headers::LAST.into(), AMQPValue::Boolean(true));
        }
        self
    }

    /// The reply to a message that asked for one, through the default exchange. It is not
    /// mandatory: RabbitMQ returns replies to `amq.rabbitmq.reply-to` that it has delivered.
    pub(crate) fn reply(mut self, delivery: &Delivery, id: &RequestId) -> Option<Outgoing> {
        let asked = delivery.properties();
        self.headers.insert(headers::REQUEST_ID.into(), headers::string(id.as_str()));
        let mut properties = BasicProperties::default()
            .with_content_type(self.content_type)
            .with_message_id(new_message_id())
            .with_timestamp(now())
            .with_headers(self.headers);
        if let Some(id) = asked.correlation_id() {
            properties = properties.with_correlation_id(id.clone());
        }
        Some(Outgoing {
            exchange: "".into(),
            routing_key: asked.reply_to().clone()?,
            properties,
            body: self.body,
            mandatory: false,
            is_move: false,
        })
    }
}

/// The time as AMQP tables hold it.
pub(crate) fn timestamp() -> AMQPValue {
    AMQPValue::Timestamp(now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience_of(timeout: u64, properties: BasicProperties) -> Option<u128> {
        let delivery = Delivery::new(Arc::from("q"), "".into(), "q".into(), false, properties);
        let metadata = headers::metadata(delivery.properties().headers().as_ref());
        let limit = patience(Duration::from_millis(timeout), &delivery, &metadata);
        limit.map(|limit| limit.as_millis())
    }

    #[test]
    fn a_request_is_worked_on_no_longer_than_it_lives() {
        let message =
            |expiration: &str| BasicProperties::default().with_expiration(expiration.into());
        let request = |expiration: &str| message(expiration).with_reply_to("r".into());
        assert_eq!(patience_of(500, request("20")), Some(20));
        assert_eq!(patience_of(0, request("20")), Some(20));
        assert_eq!(patience_of(500, request("900")), Some(500));
        assert_eq!(patience_of(500, message("20")), Some(500));
        assert_eq!(patience_of(0, message("20")), None);
        for strange in ["", "-1", "soon", "99999999999999999999", "18446744073709551615"] {
            assert_eq!(patience_of(500, request(strange)), Some(500), "{strange}");
        }
    }

    #[test]
    fn nobody_is_worked_for_longer_than_he_says() {
        let message = |timeout: AMQPValue| {
            let mut table = FieldTable::default();
            table.insert(polyport_bootstrap::operation::TIMEOUT_HEADER.into(), timeout);
            BasicProperties::default().with_headers(table)
        };
        assert_eq!(patience_of(500, message(headers::string("20"))), Some(20));
        assert_eq!(patience_of(0, message(AMQPValue::LongInt(20))), Some(20));
        assert_eq!(patience_of(500, message(headers::string("900"))), Some(500));
        assert_eq!(patience_of(500, message(headers::string("0"))), Some(0));
        assert_eq!(patience_of(500, message(headers::string("soon"))), Some(500));
    }
}
