//! A queue: ready messages in order, and who consumes them.

use std::sync::Arc;

use amq_protocol::{protocol::queue::Declare, types::FieldTable};
use tokio::time::Instant;

use crate::{
    arguments::{Overflow, QueueArguments, check_equivalent, inequivalent},
    exception::{Exception, ReplyCode},
    message::{Entry, Message},
    ready::Ready,
    receivers::Receivers,
    snapshot::QueueState,
};

/// A queue of a virtual host.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Tells this queue from a later one of the same name.
    pub(crate) id: u64,
    pub(crate) arguments: QueueArguments,
    pub(crate) auto_delete: bool,
    pub(crate) durable: bool,
    /// The connection that alone may use the queue, and with which it goes.
    pub(crate) owner: Option<u64>,
    pub(crate) consumers: Receivers,
    pub(crate) has_exclusive_consumer: bool,
    /// Messages that are with consumers, not acknowledged.
    pub(crate) unacked: usize,
    /// When the virtual host's timer looks at this queue next.
    pub(crate) timer: Option<Instant>,
    table: FieldTable,
    label: String,
    ready: Ready,
    /// When the queue goes, unless it is used before.
    unused_until: Option<Instant>,
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
            auto_delete: declare.auto_delete,
            durable: declare.durable,
            owner: declare.exclusive.then_some(connection),
            consumers: Receivers::new(arguments.single_active),
            has_exclusive_consumer: false,
            unacked: 0,
            timer: None,
            table: declare.arguments.clone(),
            label,
            ready: Ready::default(),
            unused_until: None,
            arguments,
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

    pub(crate) fn state(&self) -> QueueState {
        let consumers = self.consumers.len();
        QueueState { ready: self.ready(), unacked: self.unacked, consumers }
    }

    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether the queue refuses `message`; the other policy makes room by itself. A quorum queue
    /// notices that it is full by the message that was too much, in RabbitMQ too.
    pub(crate) fn refuses(&self, message: &Message) -> bool {
        let (more, bytes) = if self.arguments.quorum { (0, 0) } else { (1, message.body.len()) };
        self.arguments.overflow != Overflow::DropHead && self.is_over(more, bytes)
    }

    /// Whether there are more messages, or bytes of them, than the queue may hold, with so many
    /// more of both.
    fn is_over(&self, more: usize, bytes: usize) -> bool {
        let over = |size: usize, most: Option<usize>| most.is_some_and(|most| size > most);
        over(self.ready.len() + more, self.arguments.max_length)
            || over(self.ready.bytes().saturating_add(bytes), self.arguments.max_length_bytes)
    }

    /// A place for `message` at the end of the queue, with the shorter of the queue's and the
    /// message's time to live.
    pub(crate) fn admit(&mut self, message: Arc<Message>, now: Instant) -> Entry {
        let own = message.properties.expiration().as_ref();
        let own = own.and_then(|text| crate::arguments::expiration(text.as_str()).ok());
        let ttl = own.into_iter().chain(self.arguments.message_ttl).min();
        let most = self.arguments.max_priority;
        let priority = message.properties.priority().unwrap_or_default().min(most);
        let place = self.ready.last_place(most - priority);
        let expires = ttl.and_then(|ttl| now.checked_add(ttl));
        Entry { place, message, redelivered: false, returns: 0, expires }
    }

    /// Puts an entry at its place: a new one at the end, one that comes back where it was.
    pub(crate) fn put(&mut self, entry: Entry) {
        self.ready.put(entry);
    }

    /// Puts an entry back that a consumer has `refused`. A quorum queue that sets no limit to
    /// that puts it at its end, in RabbitMQ too.
    pub(crate) fn put_back(&mut self, mut entry: Entry, refused: bool) {
        if refused && self.arguments.quorum && self.arguments.delivery_limit.is_none() {
            entry.place = self.ready.last_place(entry.place.rank);
        }
        self.ready.put(entry);
    }

    /// Whether an entry has come back more often than the queue allows.
    pub(crate) fn gives_up(&self, entry: &Entry) -> bool {
        self.arguments.delivery_limit.is_some_and(|limit| entry.returns > limit)
    }

    /// An entry's message as it goes out. A quorum queue tells a get how often the message has
    /// come back, and a consumer only when it has, in RabbitMQ too.
    pub(crate) fn outgoing(&self, entry: &Entry, to_get: bool) -> Arc<Message> {
        match self.arguments.quorum && (to_get || entry.returns > 0) {
            true => Arc::new(entry.message.counted(entry.returns)),
            false => Arc::clone(&entry.message),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.ready.pop()
    }

    /// Removes the head when its time is over. As in RabbitMQ, a message that has expired behind
    /// one that has not waits for its turn.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<Entry> {
        self.next_expiry().filter(|expires| *expires <= now)?;
        self.pop()
    }

    /// Removes the head when there is more than the queue may hold.
    pub(crate) fn pop_excess(&mut self) -> Option<Entry> {
        let drops = self.arguments.overflow == Overflow::DropHead && self.is_over(0, 0);
        drops.then(|| self.pop())?
    }

    fn next_expiry(&self) -> Option<Instant> {
        self.ready.head().and_then(|entry| entry.expires)
    }

    /// Counts the queue's `x-expires` from now on; not while somebody consumes from it.
    pub(crate) fn touch(&mut self, now: Instant) {
        let lease = self.arguments.expires.filter(|_| self.consumers.is_empty());
        self.unused_until = lease.and_then(|lease| now.checked_add(lease));
    }

    /// Whether the queue was unused for as long as it may be.
    pub(crate) fn is_abandoned(&self, now: Instant) -> bool {
        self.unused_until.is_some_and(|until| until <= now)
    }

    /// When something in the queue, or the queue itself, expires next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.next_expiry().into_iter().chain(self.unused_until).min()
    }

    /// Drops all ready messages; says how many.
    pub(crate) fn purge(&mut self) -> usize {
        self.ready.clear()
    }

    /// Drops what no disk would hold. A quorum queue stores all that it takes.
    pub(crate) fn lose_transient(&mut self) {
        if !self.arguments.quorum {
            self.ready.retain(Message::is_persistent);
        }
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
