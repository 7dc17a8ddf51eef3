//! A consumer on one channel: takes messages, and begins them when it is their turn.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt;
use lapin::{
    Channel,
    options::{
        BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::FieldTable,
};
use polyport_bootstrap::framework::at_home;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use super::{Incoming, Source, Waiting, Worker, settle::requeue};
use crate::connection::{CLOSE, Link, LinkError, answered, describe};

/// How long deliveries that were on their way at a cancel may still take.
const LAST: Duration = Duration::from_millis(500);

/// A consumer on one channel.
#[derive(Debug)]
pub(crate) struct Flow {
    channel: Arc<Channel>,
    stream: lapin::Consumer,
}

/// Why a flow is over.
pub(crate) enum FlowEnd {
    Stopped,
    /// A message has waited for its turn for too long.
    Stale,
    Failed(String),
}

/// A call's turn among those that go on at once. Dropped, it is that of the next.
#[derive(Debug)]
pub(super) struct Turn {
    /// The key that the message holds, and whom to tell when it does no more.
    key: Option<(u64, mpsc::UnboundedSender<u64>)>,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((key, finished)) = &self.key {
            // Nobody is left to be told where the process ends.
            let _ = finished.send(*key);
        }
    }
}

impl Worker {
    /// Begins to consume, on a channel of its own: an error there concerns nobody else.
    pub(crate) async fn open(&self, link: &Link) -> Result<Flow, LinkError> {
        let channel = link.channel().await?;
        answered(channel.basic_qos(self.terms.prefetch, BasicQosOptions::default())).await?;
        let queue = match &self.source {
            Source::Queue => (&*self.queue).into(),
            Source::Own(keys) => self.own_queue(&channel, keys).await?,
        };
        let stream = answered(channel.basic_consume(
            queue,
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        ))
        .await?;
        Ok(Flow { channel: Arc::new(channel), stream })
    }

    /// Declares a queue that is gone with its consumer, or at the latest with the connection.
    async fn own_queue(
        &self,
        channel: &Channel,
        keys: &[String],
    ) -> Result<lapin::types::ShortString, LinkError> {
        let options =
            QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let declared = channel.queue_declare("".into(), options, FieldTable::default());
        let queue = answered(declared).await?.name().clone();
        for key in keys {
            answered(channel.queue_bind(
                queue.clone(),
                (&*self.queue).into(),
                key.as_str().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            ))
            .await?;
        }
        Ok(queue)
    }

    /// Hands messages to the operation until the flow is over; what waits then goes back. As many
    /// are taken as the prefetch allows, and as many begun as there are slots.
    pub(crate) async fn pump(self: &Arc<Self>, flow: &mut Flow) -> FlowEnd {
        // Held by the flow before, until that has ended.
        let mut waiting = self.waiting.lock().await;
        // What a lost connection has left here, the broker delivers again.
        drop(waiting.lanes.clear());
        let end = self.take_turns(&mut waiting, flow).await;
        let left = waiting.lanes.clear();
        if flow.channel.status().connected() {
            left.iter().for_each(|incoming| requeue(&flow.channel, incoming.tag));
        }
        end
    }

    async fn take_turns(self: &Arc<Self>, waiting: &mut Waiting, flow: &mut Flow) -> FlowEnd {
        let (mut stopped, mut look) = (pin!(self.shared.stop.cancelled()), self.looks());
        let in_order = self.keys.is_some();
        loop {
            let next = tokio::select! {
                biased;
                () = &mut stopped => return FlowEnd::Stopped,
                Some(key) = waiting.finished.recv(), if in_order => {
                    waiting.lanes.finish(key);
                    continue;
                }
                Ok(slot) = Arc::clone(&self.slots).acquire_owned(), if waiting.lanes.has_ready() => {
                    self.begin(&mut waiting.lanes, flow, slot);
                    continue;
                }
                _ = look.tick() => {
                    if self.is_stale(waiting) {
                        return FlowEnd::Stale;
                    }
                    continue;
                }
                next = flow.stream.next() => next,
            };
            match next {
                Some(Ok(message)) => self.add(waiting, self.taken(message)),
                Some(Err(error)) => return FlowEnd::Failed(describe(&error)),
                None => return FlowEnd::Failed("cancelled by the broker".to_owned()),
            }
        }
    }

    fn add(&self, waiting: &mut Waiting, incoming: Incoming) {
        let key = self.keys.as_ref().and_then(|keys| keys.of(&incoming.delivery));
        waiting.lanes.add(key, incoming);
    }

    fn begin(
        self: &Arc<Self>,
        lanes: &mut super::Lanes<Incoming>,
        flow: &Flow,
        slot: OwnedSemaphorePermit,
    ) {
        let Some((key, incoming)) = lanes.begin() else { return };
        let key = key.map(|key| (key, self.finished.clone()));
        let call =
            Arc::clone(self).handle(incoming, Arc::clone(&flow.channel), Turn { key, _slot: slot });
        self.shared.calls.spawn(at_home(call));
    }

    /// Often enough to find what waits in time.
    fn looks(&self) -> Interval {
        let mut look = interval((self.terms.begin_within / 4).max(Duration::from_millis(1)));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        look
    }

    fn is_stale(&self, waiting: &Waiting) -> bool {
        // By then the next look would come too late.
        let limit = self.terms.begin_within.mul_f32(0.75);
        waiting.lanes.waiting().any(|incoming| incoming.waited() >= limit)
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
        while let Ok(Some(Ok(message))) = timeout(LAST, self.stream.next()).await {
            requeue(&self.channel, message.delivery_tag);
        }
    }
}
