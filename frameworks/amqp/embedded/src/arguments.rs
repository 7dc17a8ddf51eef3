//! The `x-…` arguments of queues, and how declarations are compared.

use std::time::Duration;

use amq_protocol::types::{AMQPValue, FieldTable, ShortString};

use crate::{
    exception::{Exception, ReplyCode},
    message::Name,
};

/// The longest time to live, as in RabbitMQ: 2³² − 1 milliseconds.
const LONGEST_TTL: u64 = u32::MAX as u64;

/// The arguments that have an effect here.
const KNOWN: [&str; 6] = [
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-overflow",
    "x-queue-type",
];

/// Where dead letters of a queue go.
#[derive(Debug, Clone)]
pub(crate) struct DeadLetterTarget {
    pub(crate) exchange: Name,
    /// The message's own routing key is kept when this is `None`.
    pub(crate) routing_key: Option<Name>,
}

/// What a full queue does with one message more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Overflow {
    #[default]
    DropHead,
    RejectPublish,
}

/// What a queue's arguments ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueueArguments {
    pub(crate) message_ttl: Option<Duration>,
    pub(crate) dead_letter: Option<DeadLetterTarget>,
    pub(crate) max_length: Option<usize>,
    pub(crate) overflow: Overflow,
    pub(crate) quorum: bool,
}

impl QueueArguments {
    /// Reads `table`; `label` names the queue in errors and warnings.
    ///
    /// # Errors
    /// 406 for a value that RabbitMQ does not take either, 540 for a queue type without
    /// implementation.
    pub(crate) fn parse(table: &FieldTable, label: &str) -> Result<Self, Exception> {
        let reader = Reader { table, label };
        reader.warn_about_unknown();
        Ok(Self {
            message_ttl: reader.natural("x-message-ttl", LONGEST_TTL)?.map(Duration::from_millis),
            dead_letter: reader.dead_letter()?,
            max_length: reader
                .natural("x-max-length", u64::MAX)?
                .map(|length| usize::try_from(length).unwrap_or(usize::MAX)),
            overflow: reader.overflow()?,
            quorum: reader.is_quorum()?,
        })
    }
}

struct Reader<'a> {
    table: &'a FieldTable,
    label: &'a str,
}

impl Reader<'_> {
    fn natural(&self, key: &str, most: u64) -> Result<Option<u64>, Exception> {
        let Some(value) = self.table.inner().get(key) else {
            return Ok(None);
        };
        match integer(value).map(u64::try_from) {
            Some(Ok(number)) if number <= most => Ok(Some(number)),
            _ => Err(self.invalid(key, value)),
        }
    }

    fn text(&self, key: &str) -> Result<Option<String>, Exception> {
        let Some(value) = self.table.inner().get(key) else {
            return Ok(None);
        };
        let bytes = bytes(value).ok_or_else(|| self.invalid(key, value))?;
        let text = String::from_utf8(bytes.to_vec());
        text.map(Some).map_err(|_| self.invalid(key, value))
    }

    fn name(&self, key: &str) -> Result<Option<Name>, Exception> {
        let text = self.text(key)?;
        text.map(ShortString::try_new).transpose().map_err(|error| {
            ReplyCode::PreconditionFailed.because(format!("{key} of {}: {error}", self.label))
        })
    }

    fn dead_letter(&self) -> Result<Option<DeadLetterTarget>, Exception> {
        let routing_key = self.name("x-dead-letter-routing-key")?;
        match (self.name("x-dead-letter-exchange")?, routing_key) {
            (Some(exchange), routing_key) => Ok(Some(DeadLetterTarget { exchange, routing_key })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(ReplyCode::PreconditionFailed.because(format!(
                "invalid arg 'x-dead-letter-routing-key' for {}: routing_key_but_no_dlx_defined",
                self.label
            ))),
        }
    }

    fn overflow(&self) -> Result<Overflow, Exception> {
        match self.text("x-overflow")?.as_deref() {
            None | Some("drop-head") => Ok(Overflow::DropHead),
            Some("reject-publish") => Ok(Overflow::RejectPublish),
            Some(other) => Err(self.unsupported("x-overflow", other)),
        }
    }

    fn is_quorum(&self) -> Result<bool, Exception> {
        match self.text("x-queue-type")?.as_deref() {
            None | Some("classic") => Ok(false),
            Some("quorum") => Ok(true),
            Some(other) => Err(self.unsupported("x-queue-type", other)),
        }
    }

    fn invalid(&self, key: &str, value: &AMQPValue) -> Exception {
        let text = format!("invalid arg '{key}' for {}: {value:?}", self.label);
        ReplyCode::PreconditionFailed.because(text)
    }

    fn unsupported(&self, key: &str, value: &str) -> Exception {
        ReplyCode::NotImplemented.because(format!(
            "{key} '{value}' of {} is not part of the embedded broker",
            self.label
        ))
    }

    fn warn_about_unknown(&self) {
        for (key, _) in self.table {
            if key.as_str().starts_with("x-") && !KNOWN.contains(&key.as_str()) {
                tracing::warn!(queue = self.label, argument = %key, "argument has no effect here");
            }
        }
    }
}

/// Whether the arguments of two declarations of one queue mean the same.
///
/// # Errors
/// 406, which names the first argument that differs.
pub(crate) fn check_equivalent(
    current: &FieldTable,
    declared: &FieldTable,
    label: &str,
) -> Result<(), Exception> {
    for key in KNOWN {
        let (current, declared) = (current.inner().get(key), declared.inner().get(key));
        if !same(key, current, declared) {
            let (declared, current) = (describe(declared), describe(current));
            return Err(inequivalent(key, label, &declared, &current));
        }
    }
    Ok(())
}

fn same(key: &str, current: Option<&AMQPValue>, declared: Option<&AMQPValue>) -> bool {
    let classic = AMQPValue::LongString("classic".into());
    let default = (key == "x-queue-type").then_some(&classic);
    match (current.or(default), declared.or(default)) {
        (Some(current), Some(declared)) => same_value(current, declared),
        (current, declared) => current.is_none() && declared.is_none(),
    }
}

/// The exception for two declarations that differ in `key`.
pub(crate) fn inequivalent(key: &str, label: &str, declared: &str, current: &str) -> Exception {
    ReplyCode::PreconditionFailed.because(format!(
        "inequivalent arg '{key}' for {label}: received {declared} but current is {current}"
    ))
}

fn describe(value: Option<&AMQPValue>) -> String {
    match value {
        None => "none".to_owned(),
        Some(value) => match (integer(value), bytes(value)) {
            (Some(number), _) => format!("the value '{number}' of type 'signedint'"),
            (_, Some(bytes)) => {
                format!("the value '{}' of type 'longstr'", String::from_utf8_lossy(bytes))
            }
            _ => format!("{value:?}"),
        },
    }
}

/// Equality over the types in which clients send the same number or text.
pub(crate) fn same_value(left: &AMQPValue, right: &AMQPValue) -> bool {
    match (integer(left), integer(right), bytes(left), bytes(right)) {
        (Some(left), Some(right), ..) => left == right,
        (_, _, Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

fn integer(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(number) => Some(number.into()),
        AMQPValue::ShortShortUInt(number) => Some(number.into()),
        AMQPValue::ShortInt(number) => Some(number.into()),
        AMQPValue::ShortUInt(number) => Some(number.into()),
        AMQPValue::LongInt(number) => Some(number.into()),
        AMQPValue::LongUInt(number) => Some(number.into()),
        AMQPValue::LongLongInt(number) => Some(number),
        _ => None,
    }
}

/// The bytes of a value of any AMQP string type.
pub(crate) fn bytes(value: &AMQPValue) -> Option<&[u8]> {
    match value {
        AMQPValue::LongString(text) => Some(text.as_bytes()),
        AMQPValue::ShortString(text) => Some(text.as_str().as_bytes()),
        AMQPValue::ByteArray(bytes) => Some(bytes.as_slice()),
        _ => None,
    }
}

/// The `expiration` of a message, in milliseconds written as text.
///
/// # Errors
/// 406 for anything else.
pub(crate) fn expiration(text: &str) -> Result<Duration, Exception> {
    match text.parse() {
        Ok(milliseconds) if milliseconds <= LONGEST_TTL => Ok(Duration::from_millis(milliseconds)),
        _ => {
            let text = format!("invalid expiration '{text}': not a number of milliseconds");
            Err(ReplyCode::PreconditionFailed.because(text))
        }
    }
}
