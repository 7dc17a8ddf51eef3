//! A message ↔ the neutral call.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use lapin::{BasicProperties, types::AMQPValue};
use polyport_bootstrap::{
    Container,
    operation::{Call, Context, Endpoint, RawInput, RequestId},
    wire::Envelope,
};
use tokio::time::Instant;

use crate::{
    delivery::Delivery,
    headers,
    publisher::{Outgoing, new_message_id, now},
    routes::PROTOCOL,
};

/// Turns messages into calls, and answers into replies.
#[derive(Debug)]
pub(crate) struct Adapter {
    pub(crate) container: Container,
    pub(crate) envelope: Arc<dyn Envelope>,
    /// How long an operation may take; zero is no limit.
    pub(crate) timeout: Duration,
}

impl Adapter {
    /// The call that a message is.
    pub(crate) fn context(&self, endpoint: &Endpoint, delivery: &Delivery, body: Bytes) -> Context {
        let mut call = Call::new(PROTOCOL, Arc::clone(endpoint.info()), self.container.clone());
        let id = delivery.header(headers::REQUEST_ID).or_else(|| delivery.message_id());
        call.request_id = RequestId::from_peer(id);
        call.deadline = patience(self.timeout, delivery).map(|limit| Instant::now() + limit);
        call.metadata = headers::metadata(delivery.properties().headers().as_ref());
        call.input = RawInput::json(body);
        call.extensions.insert(delivery.clone());
        Context::new(call)
    }
}

/// How long an operation may take. Whoever waits for a reply waits no longer than the request
/// would have lived.
fn patience(timeout: Duration, delivery: &Delivery) -> Option<Duration> {
    let timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
    let expiration = delivery.reply_to().and_then(|_| expiration(delivery.properties()));
    [timeout, expiration].into_iter().flatten().min()
}

fn expiration(properties: &BasicProperties) -> Option<Duration> {
    let milliseconds = properties.expiration().as_ref()?.as_str().parse().ok()?;
    // A longer one is no limit in practice, and would overflow the clock.
    Some(Duration::from_millis(milliseconds)).filter(|limit| limit.as_secs() < 1 << 32)
}

/// The reply to a message that asked for one, through the default exchange. It is not mandatory:
/// RabbitMQ returns replies to `amq.rabbitmq.reply-to` that it has delivered.
pub(crate) fn reply(
    delivery: &Delivery,
    request_id: &RequestId,
    content_type: &'static str,
    body: Vec<u8>,
) -> Option<Outgoing> {
    let asked = delivery.properties();
    let mut table = lapin::types::FieldTable::default();
    table.insert(headers::REQUEST_ID.into(), headers::string(request_id.as_str()));
    let mut properties = BasicProperties::default()
        .with_content_type(content_type.into())
        .with_message_id(new_message_id())
        .with_timestamp(now())
        .with_headers(table);
    if let Some(id) = asked.correlation_id() {
        properties = properties.with_correlation_id(id.clone());
    }
    Some(Outgoing {
        exchange: "".into(),
        routing_key: asked.reply_to().clone()?,
        properties,
        body: body.into(),
        mandatory: false,
        is_move: false,
    })
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
        patience(Duration::from_millis(timeout), &delivery).map(|limit| limit.as_millis())
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
}
