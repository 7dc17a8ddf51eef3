//! Consumers: one operation on one queue, over as many connections as it takes.

mod answers;
mod handle;
mod intake;
pub(crate) mod moves;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    },
    types::FieldTable,
};
use polyport_bootstrap::operation::Endpoint;
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::intake::{CUT, Intake, Remains, Started};
use crate::{
    adapter::Adapter,
    connection::{CLOSE, Link, LinkError, answered, describe},
    delivery::Delivery,
    monitor::Monitor,
    publisher::Publisher,
    pulse::Pulse,
    topology::Steps,
};

/// What all consumers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) adapter: Adapter,
    pub(crate) publisher: Publisher,
    pub(crate) monitor: Arc<Monitor>,
    /// The calls in flight.
    pub(crate) calls: TaskTracker,
    /// Asks for nothing new to be taken.
    pub(crate) stop: CancellationToken,
    /// Asks calls in flight to be given up.
    pub(crate) cut: CancellationToken,
}

/// One operation on one queue.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) queue: Arc<str>,
    endpoint: Endpoint,
    steps: Steps,
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    prefetch: u16,
    pub(crate) pulse: Pulse,
}

/// A message that was taken from a queue.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) delivery: Delivery,
    pub(crate) body: Bytes,
    pub(crate) tag: u64,
}

/// A consumer on one channel.
#[derive(Debug)]
pub(crate) struct Flow {
    channel: Arc<Channel>,
    stream: lapin::Consumer,
}

/// Why a flow is over.
pub(crate) enum FlowEnd {
    Stopped,
    Failed(String),
}

impl Consumer {
    pub(crate) fn new(
        queue: &str,
        endpoint: Endpoint,
        shared: Arc<Shared>,
        settings: &crate::AmqpSettings,
        pulse: Pulse,
    ) -> Self {
        Self {
            queue: Arc::from(queue),
            endpoint,
            steps: Steps::of(queue, &settings.retry.delays),
            shared,
            slots: Arc::new(Semaphore::new(settings.concurrency.into())),
            prefetch: settings.prefetch(),
            pulse,
        }
    }

    /// Begins to consume, on a channel of its own: an error there concerns nobody else.
    pub(crate) async fn open(&self, link: &Link) -> Result<Flow, LinkError> {
        let channel = link.channel().await?;
        answered(channel.basic_qos(self.prefetch, BasicQosOptions::default())).await?;
        let stream = answered(channel.basic_consume(
            (&*self.queue).into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        ))
        .await?;
        Ok(Flow { channel: Arc::new(channel), stream })
    }

    /// Hands messages to the operation, as many at once as there are slots. Messages for which
    /// there is none wait with lapin, which holds no more of them than the prefetch.
    pub(crate) async fn pump(self: &Arc<Self>, flow: &mut Flow) -> FlowEnd {
        let stop = &self.shared.stop;
        loop {
            let slot = tokio::select! {
                biased;
                () = stop.cancelled() => return FlowEnd::Stopped,
                slot = Arc::clone(&self.slots).acquire_owned() => slot,
            };
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return FlowEnd::Stopped,
                next = flow.stream.next() => next,
            };
            match (next, slot) {
                (Some(Ok(message)), Ok(slot)) => {
                    let incoming = Incoming::new(&self.queue, message);
                    let call = Arc::clone(self).handle(incoming, Arc::clone(&flow.channel), slot);
                    self.shared.calls.spawn(call);
                }
                (Some(Err(error)), _) => return FlowEnd::Failed(describe(&error)),
                (None, _) => return FlowEnd::Failed("cancelled by the broker".to_owned()),
                (_, Err(_)) => return FlowEnd::Stopped,
            }
        }
    }
}

impl Flow {
    pub(crate) fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// Closes the channel: what was delivered over it and not acknowledged goes back.
    pub(crate) async fn close(&self) -> Result<(), LinkError> {
        answered(self.channel.close(200, "OK".into())).await
    }

    /// Takes nothing new, and gives back what has come and was not begun.
    pub(crate) async fn cancel(&mut self) {
        let cancelling =
            self.channel.basic_cancel(self.stream.tag(), BasicCancelOptions::default());
        if timeout(CLOSE, cancelling).await.is_err() {
            return;
        }
        while let Ok(Some(Ok(message))) =
            timeout(Duration::from_millis(500), self.stream.next()).await
        {
            requeue(&self.channel, message.delivery_tag);
        }
    }
}

impl Incoming {
    fn new(queue: &Arc<str>, message: lapin::message::Delivery) -> Self {
        let delivery = Delivery::new(
            Arc::clone(queue),
            message.exchange,
            message.routing_key,
            message.redelivered,
            message.properties,
        );
        Self { delivery, body: message.data.into(), tag: message.delivery_tag }
    }
}

/// Acknowledges without waiting: the frame is queued at the first poll. Should the channel be
/// gone, the broker delivers the message again.
fn ack(channel: &Channel, tag: u64) {
    let sent = channel.basic_ack(tag, BasicAckOptions::default()).now_or_never();
    note(sent, "an acknowledgement came too late; the message will come again");
}

/// Puts a message back, without waiting.
fn requeue(channel: &Channel, tag: u64) {
    let options = BasicNackOptions { multiple: false, requeue: true };
    let sent = channel.basic_nack(tag, options).now_or_never();
    note(sent, "a message could not be given back; the broker does so by itself");
}

fn note(sent: Option<lapin::Result<()>>, what: &'static str) {
    if let Some(Err(error)) = sent {
        tracing::debug!(error = describe(&error), "{what}");
    }
}
