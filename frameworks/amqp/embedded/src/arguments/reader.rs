//! Reads single arguments, and says what is wrong with them.

use amq_protocol::types::{AMQPValue, FieldTable, ShortString};

use super::{
    DeadLetterTarget, Overflow,
    value::{bytes, integer},
};
use crate::{
    exception::{Exception, ReplyCode},
    message::Name,
};

/// The types of queue that take an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takers {
    Both,
    Classic,
    Quorum,
}

/// The arguments that RabbitMQ 3.10 knows, and the queues that take them. Those that only choose
/// where and how messages are stored mean nothing here, and nothing is missing without them.
pub(super) const KNOWN: [(&str, Takers); 19] = [
    ("x-queue-type", Takers::Both),
    ("x-message-ttl", Takers::Both),
    ("x-expires", Takers::Both),
    ("x-dead-letter-exchange", Takers::Both),
    ("x-dead-letter-routing-key", Takers::Both),
    ("x-dead-letter-strategy", Takers::Quorum),
    ("x-max-length", Takers::Both),
    ("x-max-length-bytes", Takers::Both),
    ("x-overflow", Takers::Both),
    ("x-single-active-consumer", Takers::Both),
    ("x-delivery-limit", Takers::Quorum),
    ("x-max-priority", Takers::Classic),
    ("x-queue-mode", Takers::Classic),
    ("x-queue-version", Takers::Classic),
    ("x-queue-master-locator", Takers::Classic),
    ("x-queue-leader-locator", Takers::Quorum),
    ("x-quorum-initial-group-size", Takers::Quorum),
    ("x-max-in-memory-length", Takers::Both),
    ("x-max-in-memory-bytes", Takers::Both),
];

/// The arguments of one declaration.
pub(super) struct Reader<'a> {
    pub(super) table: &'a FieldTable,
    pub(super) label: &'a str,
}

impl Reader<'_> {
    pub(super) fn natural(&self, key: &str, most: u64) -> Result<Option<u64>, Exception> {
        let Some(value) = self.table.inner().get(key) else {
            return Ok(None);
        };
        match integer(value).map(|number| (number, u64::try_from(number))) {
            Some((_, Ok(number))) if number <= most => Ok(Some(number)),
            Some((number, Ok(_))) => Err(self.invalid(key, &format!("{{value_too_big,{number}}}"))),
            Some((number, Err(_))) => {
                Err(self.invalid(key, &format!("{{value_negative,{number}}}")))
            }
            None => Err(self.invalid(key, &format!("expected integer, got {value:?}"))),
        }
    }

    pub(super) fn positive(&self, key: &str, most: u64) -> Result<Option<u64>, Exception> {
        match self.natural(key, most)? {
            Some(0) => Err(self.invalid(key, "{value_zero,0}")),
            number => Ok(number),
        }
    }

    pub(super) fn size(&self, key: &str) -> Result<Option<usize>, Exception> {
        let size = self.natural(key, u64::MAX)?;
        Ok(size.map(|size| usize::try_from(size).unwrap_or(usize::MAX)))
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, Exception> {
        match self.table.inner().get(key) {
            None => Ok(false),
            Some(AMQPValue::Boolean(flag)) => Ok(*flag),
            Some(other) => Err(self.invalid(key, &format!("expected boolean, got {other:?}"))),
        }
    }

    fn text(&self, key: &str) -> Result<Option<String>, Exception> {
        let Some(value) = self.table.inner().get(key) else {
            return Ok(None);
        };
        let invalid = || self.invalid(key, &format!("expected text, got {value:?}"));
        let text = String::from_utf8(bytes(value).ok_or_else(invalid)?.to_vec());
        text.map(Some).map_err(|_| invalid())
    }

    fn name(&self, key: &str) -> Result<Option<Name>, Exception> {
        let text = self.text(key)?;
        text.map(ShortString::try_new).transpose().map_err(|error| {
            ReplyCode::PreconditionFailed.because(format!("{key} of {}: {error}", self.label))
        })
    }

    pub(super) fn dead_letter(&self) -> Result<Option<DeadLetterTarget>, Exception> {
        let routing_key = self.name("x-dead-letter-routing-key")?;
        match (self.name("x-dead-letter-exchange")?, routing_key) {
            (Some(exchange), routing_key) => Ok(Some(DeadLetterTarget { exchange, routing_key })),
            (None, None) => Ok(None),
            (None, Some(_)) => {
                Err(self.invalid("x-dead-letter-routing-key", "routing_key_but_no_dlx_defined"))
            }
        }
    }

    /// Both strategies are the same here: no dead letter is lost on its way.
    pub(super) fn check_dead_letter_strategy(&self) -> Result<(), Exception> {
        match self.text("x-dead-letter-strategy")?.as_deref() {
            None | Some("at-most-once" | "at-least-once") => Ok(()),
            Some(_) => Err(self.invalid("x-dead-letter-strategy", "invalid_dlx_strategy")),
        }
    }

    /// A quorum queue takes `reject-publish-dlx` for the default, in RabbitMQ too.
    pub(super) fn overflow(&self, quorum: bool) -> Result<Overflow, Exception> {
        match self.text("x-overflow")?.as_deref() {
            None | Some("drop-head") => Ok(Overflow::DropHead),
            Some("reject-publish") => Ok(Overflow::RejectPublish),
            Some("reject-publish-dlx") if quorum => Ok(Overflow::DropHead),
            Some("reject-publish-dlx") => Ok(Overflow::RejectPublishDlx),
            Some(_) => Err(self.invalid("x-overflow", "invalid_overflow")),
        }
    }

    pub(super) fn max_priority(&self) -> Result<u8, Exception> {
        let most = self.natural("x-max-priority", u64::MAX)?.unwrap_or_default();
        u8::try_from(most)
            .map_err(|_| self.invalid("x-max-priority", &format!("{{max_value_exceeded,{most}}}")))
    }

    pub(super) fn is_quorum(&self) -> Result<bool, Exception> {
        match self.text("x-queue-type")?.as_deref() {
            None | Some("classic") => Ok(false),
            Some("quorum") => Ok(true),
            Some("stream") => Err(ReplyCode::NotImplemented.because(format!(
                "streams are not part of the embedded broker, and {} would be one",
                self.label
            ))),
            Some(other) => {
                Err(self.invalid("x-queue-type", &format!("unsupported queue type '{other}'")))
            }
        }
    }

    /// # Errors
    /// 406 for an argument that only the other type of queue takes.
    pub(super) fn check_belonging(&self, quorum: bool) -> Result<(), Exception> {
        for (key, _) in self.table {
            match KNOWN.iter().find(|(known, _)| *known == key.as_str()) {
                None if key.as_str().starts_with("x-") => {
                    tracing::warn!(queue = self.label, argument = %key, "argument without effect");
                }
                Some((_, Takers::Classic)) if quorum => return Err(self.misplaced(key, "quorum")),
                Some((_, Takers::Quorum)) if !quorum => return Err(self.misplaced(key, "classic")),
                _ => {}
            }
        }
        Ok(())
    }

    fn misplaced(&self, key: &Name, kind: &str) -> Exception {
        ReplyCode::PreconditionFailed.because(format!(
            "invalid arg '{key}' for {} of queue type rabbit_{kind}_queue",
            self.label
        ))
    }

    fn invalid(&self, key: &str, why: &str) -> Exception {
        let text = format!("invalid arg '{key}' for {}: {why}", self.label);
        ReplyCode::PreconditionFailed.because(text)
    }
}
