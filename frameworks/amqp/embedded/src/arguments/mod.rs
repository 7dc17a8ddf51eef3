//! The `x-…` arguments of queues, and how declarations are compared.

mod equivalence;
mod reader;
mod value;

use std::time::Duration;

use amq_protocol::types::FieldTable;

use self::reader::Reader;
pub(crate) use self::{
    equivalence::{check_equivalent, inequivalent},
    value::{bytes, integer, same_value},
};
use crate::{
    exception::{Exception, ReplyCode},
    message::Name,
};

/// The longest time to live, as in RabbitMQ 3.10: ten years, in milliseconds.
const LONGEST_TTL: u64 = 315_360_000_000;

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
    /// Refuses the message, and dead-letters it.
    RejectPublishDlx,
}

/// What a queue's arguments ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueueArguments {
    pub(crate) message_ttl: Option<Duration>,
    /// How long a queue without consumers may stay unused.
    pub(crate) expires: Option<Duration>,
    pub(crate) dead_letter: Option<DeadLetterTarget>,
    pub(crate) max_length: Option<usize>,
    pub(crate) max_length_bytes: Option<usize>,
    pub(crate) overflow: Overflow,
    pub(crate) quorum: bool,
    /// How often a message may come back before it dies.
    pub(crate) delivery_limit: Option<u64>,
    /// Whether only the consumer that came first gets messages.
    pub(crate) single_active: bool,
    /// The highest priority of messages; 0 for a queue without priorities.
    pub(crate) max_priority: u8,
}

impl QueueArguments {
    /// Reads `table`; `label` names the queue in errors and warnings.
    ///
    /// # Errors
    /// 406 for a value that RabbitMQ does not take either, or that does not belong to the queue's
    /// type; 540 for a queue type without implementation.
    pub(crate) fn parse(table: &FieldTable, label: &str) -> Result<Self, Exception> {
        let reader = Reader { table, label };
        let quorum = reader.is_quorum()?;
        reader.check_belonging(quorum)?;
        reader.check_dead_letter_strategy()?;
        Ok(Self {
            message_ttl: reader.natural("x-message-ttl", LONGEST_TTL)?.map(Duration::from_millis),
            expires: reader.positive("x-expires", LONGEST_TTL)?.map(Duration::from_millis),
            dead_letter: reader.dead_letter()?,
            max_length: reader.size("x-max-length")?,
            max_length_bytes: reader.size("x-max-length-bytes")?,
            overflow: reader.overflow(quorum)?,
            quorum,
            delivery_limit: reader.natural("x-delivery-limit", u64::MAX)?,
            single_active: reader.flag("x-single-active-consumer")?,
            max_priority: reader.max_priority()?,
        })
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
