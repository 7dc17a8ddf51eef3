//! Consumers: the messages of one queue, over as many connections as it takes.

mod acker;
mod answers;
mod flow;
mod handle;
mod intake;
mod lanes;
mod life;
pub(crate) mod moves;
mod options;
mod order;
mod outcome;
mod setbacks;
mod tags;
mod terms;
mod told;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use polyport_bootstrap::{
    framework::Witness,
    operation::{Endpoint, RequestId},
};
use tokio::{
    sync::{Mutex, Semaphore, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{acker::Acker, lanes::Lanes, order::Keys, setbacks::Setbacks, told::Told};
pub(crate) use self::{
    intake::{CUT, Intake, Remains, Started},
    terms::{Terms, configure},
};
pub use self::{
    options::{AckPolicy, Consumer},
    order::OrderKey,
};
use crate::{
    adapter::Adapter, attempts::Place, cloud_events, delivery::Delivery, dialer::Dialer,
    dispatch::Dispatch, guard::Delivered, headers, monitor::Monitor, publisher::Publisher,
    pulse::Pulse, routes::Consumed, topology::Steps,
};

/// What all consumers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) adapter: Adapter,
    pub(crate) publisher: Publisher,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) place: Place,
    pub(crate) witness: Witness,
    /// The calls in flight, and the messages that are to be settled by hand.
    pub(crate) calls: TaskTracker,
    /// Asks for nothing new to be taken.
    pub(crate) stop: CancellationToken,
    /// Asks calls in flight to be given up.
    pub(crate) cut: CancellationToken,
}

/// What works on the messages of one consumer.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The queue; of a consumer for each instance the exchange.
    pub(crate) queue: Arc<str>,
    source: Source,
    dispatch: Dispatch,
    steps: Steps,
    terms: Terms,
    keys: Option<Keys>,
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    /// Tells that the message of a key has been handled.
    finished: mpsc::UnboundedSender<u64>,
    /// What declares the queues beside this one again that are gone.
    dialer: OnceLock<Arc<Dialer>>,
    setbacks: Setbacks,
    pub(crate) pulse: Pulse,
}

/// Where the messages come from.
#[derive(Debug)]
enum Source {
    /// The queue of the worker's name.
    Queue,
    /// A queue of this connection's own, bound by these routing keys to the exchange of that name.
    Own(Vec<String>),
}

/// What was taken and is not begun. Keys stay held over connections: a message that comes again waits
/// until it is handled no more.
#[derive(Debug)]
struct Waiting {
    lanes: Lanes<Taken>,
    finished: mpsc::UnboundedReceiver<u64>,
}

/// A message, and by what the broker is told of it.
#[derive(Debug)]
struct Taken {
    incoming: Incoming,
    acker: Arc<Acker>,
}

/// A message that was taken from a queue.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) delivery: Delivery,
    /// The body as it came.
    pub(crate) body: Bytes,
    /// What is in it, where it is an event as a whole.
    data: Option<Bytes>,
    pub(crate) tag: u64,
    /// What its call is known by.
    pub(crate) id: RequestId,
    /// What handles it.
    pub(crate) endpoint: Endpoint,
    taken: Instant,
    told: Told,
}

impl Worker {
    pub(crate) fn new(
        consumed: &Consumed,
        shared: Arc<Shared>,
        settings: &crate::AmqpSettings,
        pulse: Pulse,
    ) -> Self {
        let (consumer, dispatch) = (&consumed.consumer, consumed.dispatch.clone());
        let terms = Terms::of(consumer, settings);
        let (finished, receiver) = mpsc::unbounded_channel();
        Self {
            queue: Arc::from(consumer.name()),
            source: match consumer.queue() {
                Some(_) => Source::Queue,
                None => Source::Own(consumer.own_bindings()),
            },
            dispatch,
            steps: Steps::of(consumer.name(), &terms.delays),
            keys: terms.order.clone().map(Keys::by),
            shared,
            slots: Arc::new(Semaphore::new(terms.concurrency.into())),
            waiting: Mutex::new(Waiting { lanes: Lanes::default(), finished: receiver }),
            finished,
            dialer: OnceLock::new(),
            setbacks: Setbacks::default(),
            terms,
            pulse,
        }
    }

    /// Has what is gone declared again by `dialer`.
    fn declare_by(&self, dialer: &Arc<Dialer>) {
        self.dialer.get_or_init(|| Arc::clone(dialer));
    }

    /// Whether nobody else has its queue, which is gone with its channel.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.source, Source::Own(_))
    }

    /// How many messages are being handled.
    fn in_flight(&self) -> usize {
        usize::from(self.terms.concurrency).saturating_sub(self.slots.available_permits())
    }

    fn incoming(&self, message: Delivered) -> Incoming {
        let (queue, body) = (Arc::clone(&self.queue), message.body);
        let content_type = message.properties.content_type().as_ref().map(|name| name.as_str());
        let opened = cloud_events::open(content_type, &body);
        let delivery = Delivery::new(
            queue,
            message.exchange,
            message.routing_key,
            message.redelivered,
            message.properties,
        );
        let (delivery, data) = match opened {
            None => (delivery, None),
            Some((opened, data)) => (delivery.opened_as(opened), Some(data)),
        };
        let endpoint = self.dispatch.to(&delivery).clone();
        let incoming = Incoming::of(delivery, body, message.tag, endpoint);
        Incoming { data, ..incoming }.told_to(&self.shared.witness)
    }
}

impl Incoming {
    pub(crate) fn of(delivery: Delivery, body: Bytes, tag: u64, endpoint: Endpoint) -> Self {
        let id = delivery.header(headers::REQUEST_ID).or_else(|| delivery.message_id());
        let id = RequestId::from_peer(id);
        let (taken, told) = (Instant::now(), Told::default());
        Self { delivery, body, data: None, tag, id, endpoint, taken, told }
    }

    /// What the operation's input is made of.
    pub(crate) fn data(&self) -> &Bytes {
        self.data.as_ref().unwrap_or(&self.body)
    }

    fn waited(&self) -> Duration {
        self.taken.elapsed()
    }
}
