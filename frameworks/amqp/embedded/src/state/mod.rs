//! The state of one virtual host, and the methods that change it.
//!
//! Everything happens under one lock and without waiting: a method changes the state, answers,
//! and marks the queues that may have something to do; then [`State::settle`] delivers, expires
//! and dead-letters until nothing is left. So the order of messages in a queue, and of frames on
//! a channel, is exactly the order of the methods.

mod acknowledge;
mod bindings;
mod consumers;
mod exchanges;
mod publish;
mod queues;
mod refusals;
mod restart;
mod settle;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
};

use amq_protocol::protocol::{AMQPClass, access, basic, confirm, exchange, queue};
use tokio::time::Instant;

use crate::{
    channel::{Channel, ChannelKey, Outbox},
    dead_letter::DeadLetter,
    exception::{Exception, ReplyCode, shorten},
    exchange::{Exchange, Kind},
    message::Name,
    queue::Queue,
    snapshot::QueueState,
};

pub(crate) use self::refusals::Refusal;

/// The address that stands for direct replies to the channel that consumes from it.
const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// Exchanges, queues and channels of one virtual host.
#[derive(Debug)]
pub(crate) struct State {
    vhost: String,
    now: Instant,
    exchanges: HashMap<Name, Exchange>,
    queues: HashMap<Name, Queue>,
    channels: HashMap<ChannelKey, Channel>,
    /// Channels by the address that their requests carry as `reply_to`.
    replies: HashMap<Name, ChannelKey>,
    /// Queues to look at before the lock is released.
    dirty: VecDeque<Name>,
    dead: VecDeque<DeadLetter>,
    refusals: Vec<Refusal>,
    /// When the head of which queue expires.
    timers: BTreeSet<(Instant, Name)>,
    last_id: u64,
    randomness: RandomState,
}

impl State {
    pub(crate) fn new(vhost: String) -> Self {
        let predeclared = [
            ("", Kind::Direct),
            ("amq.direct", Kind::Direct),
            ("amq.fanout", Kind::Fanout),
            ("amq.topic", Kind::Topic),
            ("amq.headers", Kind::Headers),
            ("amq.match", Kind::Headers),
        ];
        let exchanges = predeclared.map(|(name, kind)| {
            let label = format!("exchange '{name}' in vhost '{vhost}'");
            (name.into(), Exchange::predeclared(kind, label))
        });
        Self {
            vhost,
            now: Instant::now(),
            exchanges: exchanges.into(),
            queues: HashMap::new(),
            channels: HashMap::new(),
            replies: HashMap::new(),
            dirty: VecDeque::new(),
            dead: VecDeque::new(),
            refusals: Vec::new(),
            timers: BTreeSet::new(),
            last_id: 0,
            randomness: RandomState::new(),
        }
    }

    /// Sets the time that everything until the next [`State::settle`] goes by.
    pub(crate) fn begin(&mut self) {
        self.now = Instant::now();
    }

    pub(crate) fn queue_state(&self, name: &str) -> Option<QueueState> {
        self.queues.get(name).map(Queue::state)
    }

    pub(crate) fn queue_states(&self) -> BTreeMap<String, QueueState> {
        let queues = self.queues.iter();
        queues.map(|(name, queue)| (name.as_str().to_owned(), queue.state())).collect()
    }

    pub(crate) fn open_channel(&mut self, key: ChannelKey, outbox: Outbox, notify_cancel: bool) {
        self.channels.insert(key, Channel::new(key.number, outbox, notify_cancel));
    }

    /// Ends a channel: its consumers go first, so that what it held comes to others.
    pub(crate) fn close_channel(&mut self, key: ChannelKey) {
        self.detach_consumers(key);
        self.drop_channel(key);
    }

    /// Ends all channels of a connection at once, and its exclusive queues.
    pub(crate) fn close_connection(&mut self, connection: u64) {
        let keys = self.channels.keys().filter(|key| key.connection == connection);
        let keys: Vec<ChannelKey> = keys.copied().collect();
        for key in &keys {
            self.detach_consumers(*key);
        }
        for key in &keys {
            self.drop_channel(*key);
        }
        let owned = self.queues.iter().filter(|(_, queue)| queue.owner == Some(connection));
        let owned: Vec<Name> = owned.map(|(name, _)| name.clone()).collect();
        for queue in owned {
            self.remove_queue(&queue);
        }
    }

    fn drop_channel(&mut self, key: ChannelKey) {
        if let Some(mut channel) = self.channels.remove(&key) {
            self.requeue(channel.settle_all(), false);
        }
    }

    /// Carries out a method on an open channel. A publish comes with its content, through
    /// [`State::publish`].
    ///
    /// # Errors
    /// The exception to close the channel or the connection with.
    pub(crate) fn handle(&mut self, key: ChannelKey, method: AMQPClass) -> Result<(), Exception> {
        match method {
            AMQPClass::Exchange(method) => self.handle_exchange(key, method),
            AMQPClass::Queue(method) => self.handle_queue(key, method),
            AMQPClass::Basic(method) => self.handle_basic(key, method),
            AMQPClass::Confirm(confirm::AMQPMethod::Select(select)) => {
                self.confirm_select(key, select)
            }
            AMQPClass::Access(access::AMQPMethod::Request(_)) => {
                let ok = access::AMQPMethod::RequestOk(access::RequestOk {});
                self.reply(key, false, AMQPClass::Access(ok));
                Ok(())
            }
            AMQPClass::Tx(_) => {
                Err(ReplyCode::NotImplemented.because("transactions are not part of this broker"))
            }
            _ => Err(out_of_place()),
        }
    }

    fn handle_exchange(
        &mut self,
        key: ChannelKey,
        method: exchange::AMQPMethod,
    ) -> Result<(), Exception> {
        use exchange::AMQPMethod as Method;
        match method {
            Method::Declare(declare) => self.exchange_declare(key, &declare),
            Method::Delete(delete) => self.exchange_delete(key, &delete),
            Method::Bind(bind) => self.exchange_bind(key, bind),
            Method::Unbind(unbind) => self.exchange_unbind(key, unbind),
            _ => Err(out_of_place()),
        }
    }

    fn handle_queue(
        &mut self,
        key: ChannelKey,
        method: queue::AMQPMethod,
    ) -> Result<(), Exception> {
        use queue::AMQPMethod as Method;
        match method {
            Method::Declare(declare) => self.queue_declare(key, declare),
            Method::Bind(bind) => self.queue_bind(key, bind),
            Method::Unbind(unbind) => self.queue_unbind(key, unbind),
            Method::Purge(purge) => self.queue_purge(key, purge),
            Method::Delete(delete) => self.queue_delete(key, delete),
            _ => Err(out_of_place()),
        }
    }

    fn handle_basic(
        &mut self,
        key: ChannelKey,
        method: basic::AMQPMethod,
    ) -> Result<(), Exception> {
        use basic::AMQPMethod as Method;
        match method {
            Method::Qos(qos) => self.qos(key, &qos),
            Method::Consume(consume) => self.consume(key, consume),
            Method::Cancel(cancel) => self.cancel(key, cancel),
            Method::Get(get) => self.get(key, get),
            Method::Ack(ack) => self.ack(key, &ack),
            Method::Nack(nack) => self.nack(key, &nack),
            Method::Reject(reject) => self.reject(key, &reject),
            Method::Recover(recover) => self.recover(key, recover.requeue, true),
            Method::RecoverAsync(recover) => self.recover(key, recover.requeue, false),
            // The answer to a cancel of ours that some clients send without being asked.
            Method::CancelOk(_) => Ok(()),
            _ => Err(out_of_place()),
        }
    }

    fn confirm_select(
        &mut self,
        key: ChannelKey,
        select: confirm::Select,
    ) -> Result<(), Exception> {
        self.channel(key)?.enable_confirms();
        let ok = confirm::AMQPMethod::SelectOk(confirm::SelectOk {});
        self.reply(key, select.nowait, AMQPClass::Confirm(ok));
        Ok(())
    }

    fn channel(&mut self, key: ChannelKey) -> Result<&mut Channel, Exception> {
        let missing = || ReplyCode::ChannelError.because("the channel is not open");
        self.channels.get_mut(&key).ok_or_else(missing)
    }

    fn reply(&self, key: ChannelKey, nowait: bool, method: AMQPClass) {
        if let (false, Some(channel)) = (nowait, self.channels.get(&key)) {
            channel.send(method);
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// A name that nobody has and nobody guesses.
    fn fresh_name(&mut self, prefix: &str) -> Name {
        let id = self.next_id();
        let random = self.randomness.hash_one(id);
        shorten(&format!("{prefix}{random:016x}{id:x}"))
    }

    fn label(&self, kind: &str, name: &Name) -> String {
        format!("{kind} '{name}' in vhost '{}'", self.vhost)
    }

    fn no_such(&self, kind: &str, name: &Name) -> Exception {
        no_such(&self.vhost, kind, name)
    }

    fn reserved(&self, kind: &str, name: &Name) -> Result<(), Exception> {
        if !name.as_str().starts_with("amq.") {
            return Ok(());
        }
        let text = format!("{kind} name '{name}' contains reserved prefix 'amq.*'");
        Err(ReplyCode::AccessRefused.because(text))
    }
}

fn no_such(vhost: &str, kind: &str, name: &Name) -> Exception {
    ReplyCode::NotFound.because(format!("no {kind} '{name}' in vhost '{vhost}'"))
}

fn out_of_place() -> Exception {
    ReplyCode::CommandInvalid.because("a client does not send this method here")
}
