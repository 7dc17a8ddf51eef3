use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use polyport_bootstrap::operation::RequestId;
use serde_json::Value;

use super::PublishError;
use crate::{guard::speech::Content, headers};

/// The longest name, id or key that AMQP can carry (a short string), in bytes.
const MAX_SHORT: usize = 255;

pub(super) fn header_table(headers: &[(String, Value)]) -> Result<FieldTable, PublishError> {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert(short("name of a header", name)?, headers::value(value));
    }
    Ok(table)
}

/// A short string, or the error that says which one is too long.
pub(super) fn short(what: &'static str, text: &str) -> Result<ShortString, PublishError> {
    ShortString::try_new(text).map_err(|_| PublishError::TooLarge {
        what,
        size: text.len(),
        limit: MAX_SHORT,
    })
}

/// A new UUIDv7 (RFC 9562), made as request ids are: without a lock or a system call.
pub(crate) fn new_message_id() -> ShortString {
    RequestId::new().as_str().into()
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
    /// Refuses what would cost the channel, or the whole connection; gives the bytes that it takes.
    pub(crate) fn check(&self, max_body: usize, frame_max: usize) -> Result<usize, PublishError> {
        if self.body.len() > max_body && !self.is_move {
            let size = self.body.len();
            return Err(PublishError::TooLarge { what: "body", size, limit: max_body });
        }
        let size = self.properties.headers().as_ref().map_or(0, headers::size);
        let limit = max_headers(frame_max);
        if size > limit {
            return Err(PublishError::TooLarge { what: "headers", size, limit });
        }
        Ok(self.body.len() + size)
    }

    /// What is written of it.
    pub(crate) fn content(&self) -> Content<'_> {
        Content {
            exchange: &self.exchange,
            routing_key: &self.routing_key,
            mandatory: self.mandatory,
            properties: &self.properties,
            body: &self.body,
        }
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
    use crate::Message;

    fn outgoing(message: Message) -> Outgoing {
        message.into_outgoing().expect("fits")
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
    fn a_number_stands_beside_other_headers() {
        let mut message = outgoing(Message::new("", "", "").header("a", true));
        message.number(7);
        let table = message.properties.headers().clone().expect("headers");
        assert_eq!(table.inner()[headers::SEQUENCE], AMQPValue::LongLongInt(7));
        assert_eq!(table.inner().len(), 2);
    }
}
