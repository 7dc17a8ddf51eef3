//! A queue: ready messages in order, and who consumes them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use amq_protocol::{protocol::queue::Declare, types::FieldTable};
use tokio::time::Instant;

use crate::{
    arguments::{Overflow, QueueArguments, check_equivalent, inequivalent},
    channel::ChannelKey,
    exception::{Exception, ReplyCode},
    message::{Entry, Message},
};

/// A consumer as its queue knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConsumerKey {
    pub(crate) channel: ChannelKey,
    pub(crate) id: u64,
}

/// A queue of a virtual host.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Tells this queue from a later one of the same name.
    pub(crate) id: u64,
    pub(crate) arguments: QueueArguments,
    pub(crate) auto_delete: bool,
    /// The connection that alone may use the queue, and with which it goes.
    pub(crate) owner: Option<u64>,
    /// The next to be served is in front.
    pub(crate) consumers: VecDeque<ConsumerKey>,
    pub(crate) has_exclusive_consumer: bool,
    /// Messages that are with consumers, not acknowledged.
    pub(crate) unacked: usize,
    /// When the virtual host's timer looks at this queue next.
    pub(crate) timer: Option<Instant>,
    durable: bool,
    table: FieldTable,
    label: String,
    ready: BTreeMap<u64, Entry>,
    next_position: u64,
}

impl Queue {
    /// # Errors
    /// 406 or 540 for arguments that cannot be.
    pub(crate) fn new(
        id: u64,
        declare: &Declare,
        connection: u64,
        label: String,
    ) -> Result<Self, Exception> {
        let arguments = QueueArguments::parse(&declare.arguments, &label)?;
        if arguments.quorum {
            check_quorum(declare, &label)?;
        }
        Ok(Self {
            id,
            arguments,
            auto_delete: declare.auto_delete,
            owner: declare.exclusive.then_some(connection),
            consumers: VecDeque::new(),
            has_exclusive_consumer: false,
            unacked: 0,
            timer: None,
            durable: declare.durable,
            table: declare.arguments.clone(),
            label,
            ready: BTreeMap::new(),
            next_position: 0,
        })
    }

    /// # Errors
    /// 405 when the queue belongs to another connection.
    pub(crate) fn check_access(&self, connection: u64) -> Result<(), Exception> {
        match self.owner {
            Some(owner) if owner != connection => Err(self.locked()),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// 405 when one declaration is exclusive and the other is not, 406 when they differ elsewhere.
    pub(crate) fn check_equivalent(&self, declare: &Declare) -> Result<(), Exception> {
        if declare.exclusive != self.owner.is_some() {
            return Err(self.locked());
        }
        self.same("durable", declare.durable, self.durable)?;
        self.same("auto_delete", declare.auto_delete, self.auto_delete)?;
        check_equivalent(&self.table, &declare.arguments, &self.label)
    }

    fn same(&self, key: &str, declared: bool, current: bool) -> Result<(), Exception> {
        if declared == current {
            return Ok(());
        }
        Err(inequivalent(key, &self.label, &format!("'{declared}'"), &format!("'{current}'")))
    }

    fn locked(&self) -> Exception {
        ReplyCode::ResourceLocked.because(format!(
            "cannot obtain exclusive access to locked {}. It could be originally declared on \
             another connection or the exclusive property value does not match that of the \
             original declaration.",
            self.label
        ))
    }

    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether the queue refuses one message more; the other policy makes room by itself.
    pub(crate) fn refuses(&self) -> bool {
        self.arguments.overflow == Overflow::RejectPublish
            && self.arguments.max_length.is_some_and(|most| self.ready.len() >= most)
    }

    /// A place for `message` at the end of the queue, with the shorter of the queue's and the
    /// message's time to live.
    pub(crate) fn admit(&mut self, message: Arc<Message>, now: Instant) -> Entry {
        let own = message.properties.expiration().as_ref();
        let own = own.and_then(|text| crate::arguments::expiration(text.as_str()).ok());
        let ttl = own.into_iter().chain(self.arguments.message_ttl).min();
        let position = self.next_position;
        self.next_position += 1;
        let expires = ttl.and_then(|ttl| now.checked_add(ttl));
        Entry { position, message, redelivered: false, expires }
    }

    /// Puts an entry at its place: a new one at the end, a requeued one where it was.
    pub(crate) fn put(&mut self, entry: Entry) {
        self.ready.insert(entry.position, entry);
    }

    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.ready.pop_first().map(|(_, entry)| entry)
    }

    /// Removes the head when its time is over. As in RabbitMQ, a message that has expired behind
    /// one that has not waits for its turn.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<Entry> {
        self.next_expiry().filter(|expires| *expires <= now)?;
        self.pop()
    }

    /// Removes the head when there are more messages than `x-max-length` allows.
    pub(crate) fn pop_excess(&mut self) -> Option<Entry> {
        let most = self.arguments.max_length?;
        (self.arguments.overflow == Overflow::DropHead && self.ready.len() > most)
            .then(|| self.pop())?
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.ready.first_key_value().and_then(|(_, entry)| entry.expires)
    }

    /// Drops all ready messages; says how many.
    pub(crate) fn purge(&mut self) -> usize {
        std::mem::take(&mut self.ready).len()
    }
}

/// Quorum queues are durable and shared, in RabbitMQ too.
fn check_quorum(declare: &Declare, label: &str) -> Result<(), Exception> {
    let unfit = [
        ("non-durable", !declare.durable),
        ("exclusive", declare.exclusive),
        ("auto-delete", declare.auto_delete),
    ];
    match unfit.iter().find(|(_, unfit)| *unfit) {
        Some((property, _)) => Err(ReplyCode::PreconditionFailed
            .because(format!("invalid property '{property}' for quorum {label}"))),
        None => Ok(()),
    }
}

/// A count as a reply carries it.
pub(crate) fn count(messages: usize) -> u32 {
    u32::try_from(messages).unwrap_or(u32::MAX)
}
