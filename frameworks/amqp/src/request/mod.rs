//! Requests over RabbitMQ's direct reply-to: callers hand them to a task, which has a channel of its
//! own on the publishing connection, and gives each reply to whoever waits for it.
//!
//! There are two such tasks. The broker closes the channel of whoever names an exchange that does
//! not exist; requests to queues must not suffer from that.

mod ask;
mod items;
mod pending;
mod reply;
mod task;

use std::{future::Future, sync::Arc, time::Duration};

use polyport_bootstrap::{Context, Fault, framework::Witness};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

pub use items::ReplyItems;
pub use reply::Reply;
#[cfg(feature = "testing")]
pub(crate) use reply::fault_of;
pub(crate) use task::{RequestTask, Requests};

use self::ask::Ask;
use crate::{
    monitor::Monitor,
    publisher::{LONGEST, Message, Outgoing, PublishError, Stage, obstacle, recorded},
    settings::AmqpSettings,
};

/// RabbitMQ's address for replies without a queue ("Direct Reply-to").
pub(crate) const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// How many requests may wait for their turn; more wait with their callers.
const WAITING: usize = 1024;

/// What sends requests. A cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Requester {
    to_queues: mpsc::Sender<Ask>,
    to_exchanges: mpsc::Sender<Ask>,
    monitor: Arc<Monitor>,
    timeout: Duration,
    max_body: usize,
    witness: Witness,
}

impl Requester {
    pub(crate) fn new(settings: &AmqpSettings, monitor: Arc<Monitor>) -> (Self, [Requests; 2]) {
        let (to_queues, queues) = mpsc::channel(WAITING);
        let (to_exchanges, exchanges) = mpsc::channel(WAITING);
        let requests = [queues, exchanges]
            .map(|receiver| Requests { receiver, monitor: Arc::clone(&monitor) });
        let (timeout, max_body) = (settings.request_timeout, settings.max_message_size);
        let witness = Witness::here();
        (Self { to_queues, to_exchanges, monitor, timeout, max_body, witness }, requests)
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Cancel safety
    /// Where the caller leaves, the request may or may not be sent, and a late reply is dropped.
    pub(crate) async fn request(&self, message: Message) -> Result<Reply, Fault> {
        let wait = self.wait(&message)?;
        let (ask, answer, stage) = Ask::new(self.outgoing(message, &wait)?);
        let answered = async {
            self.hand_over(ask).await?;
            answer.await.ok()
        };
        wait.for_reply(&self.monitor, &stage, answered).await?.into_result()
    }

    /// Sends a request and gives the replies to it, one after the other.
    pub(crate) async fn request_items(&self, message: Message) -> Result<ReplyItems, Fault> {
        let wait = self.wait(&message)?;
        let (ask, replies, stage) = Ask::for_items(self.outgoing(message, &wait)?);
        let sent = async { self.hand_over(ask).await.map(Ok) };
        wait.for_reply(&self.monitor, &stage, sent).await?;
        Ok(ReplyItems::new(replies, wait, Arc::clone(&self.monitor), stage))
    }

    async fn hand_over(&self, ask: Ask) -> Option<()> {
        let is_to_queue = ask.message.exchange.as_str().is_empty();
        let asks = if is_to_queue { &self.to_queues } else { &self.to_exchanges };
        asks.send(ask).await.ok()
    }

    fn outgoing(&self, message: Message, wait: &Wait) -> Result<Outgoing, PublishError> {
        let outgoing = message.into_request(wait.limit)?;
        outgoing.check(self.max_body, self.monitor.frame_max())?;
        self.witness.record(|| recorded(&outgoing));
        Ok(outgoing)
    }

    /// How long the reply is waited for: as the message says, or the settings; never longer than
    /// the current call is waited for itself.
    fn wait(&self, message: &Message) -> Result<Wait, Fault> {
        if message.is_delayed() {
            let reason = "somebody waits for the reply to a request: leave its delay out";
            return Err(PublishError::NotDelayed { reason: reason.to_owned() }.into());
        }
        let own = message.expires_after().unwrap_or(self.timeout).min(LONGEST);
        let left = Context::current().and_then(|context| context.remaining());
        let limit = left.map_or(own, |left| left.min(own));
        match limit.as_millis() {
            0 => Err(Fault::deadline_exceeded(
                "DEADLINE_EXCEEDED",
                "nobody waits any more for the reply to this request",
            )),
            _ => Ok(Wait { limit, until: Instant::now() + limit }),
        }
    }
}

/// How long a reply is waited for.
#[derive(Debug, Clone, Copy)]
struct Wait {
    limit: Duration,
    until: Instant,
}

impl Wait {
    async fn for_reply<T>(
        &self,
        monitor: &Monitor,
        stage: &Stage,
        reply: impl Future<Output = Option<Result<T, Fault>>>,
    ) -> Result<T, Fault> {
        match timeout_at(self.until, reply).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) if stage.withdraw() => Err(not_sent("the process stops")),
            Ok(None) => Err(cut_off("the process stops")),
            Err(_) if stage.withdraw() => {
                let reason = obstacle(monitor);
                Err(not_sent(reason.as_deref().unwrap_or("the broker is too slow")))
            }
            Err(_) => {
                let reason = format!("no reply has come within {:?}", self.limit);
                Err(Fault::deadline_exceeded("NO_REPLY", reason))
            }
        }
    }
}

/// The request has not left this process.
fn not_sent(reason: &str) -> Fault {
    Fault::unavailable("BROKER_UNAVAILABLE", format!("the request was not sent: {reason}"))
}

/// The request has left, and its reply can not come any more.
fn cut_off(reason: &str) -> Fault {
    let message = format!("whether the request was handled is unknown: {reason}");
    Fault::unavailable("REPLY_LOST", message)
}
