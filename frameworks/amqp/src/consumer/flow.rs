//! A consumer on one channel: takes messages, and begins them when it is their turn.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt;
use lapin::{
    Channel,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeleteOptions},
    types::{FieldTable, ShortString},
};
use polyport_bootstrap::framework::at_home;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use super::{Source, Taken, Waiting, Worker, acker::Acker};
use crate::{
    connection::{CLOSE, Link, LinkError, answered, describe, settled},
    guard::{Delivered, Deliveries},
    own_queue,
};

/// A consumer on one channel.
#[derive(Debug)]
pub(crate) struct Flow {
    acker: Arc<Acker>,
    deliveries: Deliveries,
    /// How it ends; the deliveries go past it.
    consumer: lapin::Consumer,
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
    slot: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Lets another call go on, and goes on holding the key.
    pub(super) fn leave_slot(&mut self) {
        self.slot = None;
    }
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
        let deliveries = link.deliveries(&channel);
        match self.consume(&channel, link).await {
            Ok(consumer) => Ok(Flow { acker: Acker::new(link, channel), deliveries, consumer }),
            Err(error) => {
                settled(&channel).await;
                Err(error)
            }
        }
    }

    async fn consume(&self, channel: &Channel, link: &Link) -> Result<lapin::Consumer, LinkError> {
        let prefetch = channel.basic_qos(self.terms.prefetch, BasicQosOptions::default());
        let consuming = async {
            let queue = match &self.source {
                Source::Queue => (&*self.queue).into(),
                Source::Own(keys) => self.own_queue(channel, link, keys).await?,
            };
            let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
            answered(channel.basic_consume(queue, "".into(), options, none)).await
        };
        // The prefetch holds for what begins to consume behind it, and goes first.
        let (limited, consumer) = tokio::join!(biased; answered(prefetch), consuming);
        limited.and(consumer)
    }

    /// Declares a queue that nobody else has.
    async fn own_queue(
        &self,
        channel: &Channel,
        link: &Link,
        keys: &[String],
    ) -> Result<ShortString, LinkError> {
        let queue = own_queue::declare(channel).await?;
        if let Err(error) = self.bind(channel, &queue, keys).await {
            discard(link, queue).await;
            return Err(error);
        }
        Ok(queue)
    }

    async fn bind(
        &self,
        channel: &Channel,
        queue: &ShortString,
        keys: &[String],
    ) -> Result<(), LinkError> {
        for key in keys {
            own_queue::bind(channel, queue, &self.queue, key).await?;
        }
        Ok(())
    }

    /// Hands messages to the operation until the flow is over; what waits then goes back. As many
    /// are taken as the prefetch allows, and as many begun as there are slots.
    pub(crate) async fn pump(self: &Arc<Self>, flow: &mut Flow) -> FlowEnd {
        // Held by the flow before, until that has ended.
        let mut waiting = self.waiting.lock().await;
        if !self.is_own() {
            // What a lost connection has left here, the broker delivers again.
            drop(waiting.lanes.clear());
        }
        let end = self.take_turns(&mut waiting, flow).await;
        match &end {
            // Nobody delivers it again: it is handled over the next flow.
            FlowEnd::Failed(_) if self.is_own() => {}
            FlowEnd::Failed(_) => give_back(&mut waiting, flow, Vec::new()),
            // Only then: the broker would give it out here again.
            FlowEnd::Stopped | FlowEnd::Stale => {
                let late = flow.cancel().await;
                match self.is_own() {
                    true => self.take(&mut waiting, flow, late),
                    false => give_back(&mut waiting, flow, late),
                }
            }
        }
        end
    }

    /// Lets go of what nobody else gets, when nothing more is begun.
    pub(super) async fn abandon(&self) {
        if !self.is_own() {
            return;
        }
        let left = self.waiting.lock().await.lanes.clear().len();
        if left > 0 {
            let queue = &*self.queue;
            tracing::warn!(queue, left, "messages that were taken and not begun are dropped");
            self.count_dropped(left as u64);
        }
    }

    async fn take_turns(self: &Arc<Self>, waiting: &mut Waiting, flow: &mut Flow) -> FlowEnd {
        let (mut stopped, mut look) = (pin!(self.shared.stop.cancelled()), self.looks());
        let in_order = self.keys.is_some();
        loop {
            let end = tokio::select! {
                biased;
                () = &mut stopped => return FlowEnd::Stopped,
                Some(key) = waiting.finished.recv(), if in_order => {
                    waiting.lanes.finish(key);
                    continue;
                }
                Ok(slot) = Arc::clone(&self.slots).acquire_owned(), if waiting.lanes.has_ready() => {
                    self.begin(&mut waiting.lanes, slot);
                    continue;
                }
                _ = look.tick() => match self.is_stale(waiting) {
                    true if !self.is_own() => return FlowEnd::Stale,
                    true => {
                        self.take_anew(waiting);
                        continue;
                    }
                    false => continue,
                },
                Some(messages) = flow.deliveries.recv() => {
                    self.take(waiting, flow, messages);
                    self.begin_some(&mut waiting.lanes);
                    continue;
                }
                end = flow.consumer.next() => end,
            };
            let late = flow.rest();
            self.take(waiting, flow, late);
            return FlowEnd::Failed(match end {
                Some(Err(error)) => describe(&error),
                Some(Ok(_)) | None => "cancelled by the broker".to_owned(),
            });
        }
    }

    fn take(&self, waiting: &mut Waiting, flow: &Flow, messages: Vec<Delivered>) {
        for message in messages {
            let (incoming, acker) = (self.incoming(message), Arc::clone(&flow.acker));
            self.add(waiting, Taken { incoming, acker });
        }
    }

    fn add(&self, waiting: &mut Waiting, taken: Taken) {
        let key = self.keys.as_ref().and_then(|keys| keys.of(&taken.incoming.delivery));
        waiting.lanes.add(key, taken);
    }

    /// Begins as many as there are slots now.
    fn begin_some(self: &Arc<Self>, lanes: &mut super::Lanes<Taken>) {
        while lanes.has_ready()
            && let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned()
        {
            self.begin(lanes, slot);
        }
    }

    fn begin(self: &Arc<Self>, lanes: &mut super::Lanes<Taken>, slot: OwnedSemaphorePermit) {
        let Some((key, Taken { incoming, acker })) = lanes.begin() else { return };
        let key = key.map(|key| (key, self.finished.clone()));
        let call = Arc::clone(self).handle(incoming, acker, Turn { key, slot: Some(slot) });
        self.shared.calls.spawn(at_home(call));
    }

    /// Gives back what waits, in its order, and so gets it at once again: the broker waits anew. Its
    /// queue must keep its consumer, with which it would be gone.
    fn take_anew(&self, waiting: &mut Waiting) {
        let all = waiting.lanes.clear().into_iter();
        let (mut held, orphans): (Vec<_>, Vec<_>) = all.partition(Taken::is_held);
        orphans.into_iter().for_each(|taken| self.add(waiting, taken));
        held.sort_unstable_by_key(|taken| taken.incoming.tag);
        for Taken { incoming, acker } in held {
            acker.requeue(incoming.tag);
        }
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
        waiting.lanes.waiting().any(|taken| taken.is_held() && taken.incoming.waited() >= limit)
    }
}

impl Flow {
    pub(super) fn acker(&self) -> &Arc<Acker> {
        &self.acker
    }

    /// Closes the channel: what was delivered over it and not acknowledged goes back.
    pub(crate) async fn close(&self) -> Result<(), LinkError> {
        answered(self.acker.channel().close(200, "OK".into())).await
    }

    /// Takes nothing new; what was on its way is still to be settled, and is here when the broker has
    /// answered.
    async fn cancel(&mut self) -> Vec<Delivered> {
        let (channel, options) = (self.acker.channel(), BasicCancelOptions::default());
        let cancelling = channel.basic_cancel(self.consumer.tag(), options);
        let _ = timeout(CLOSE, cancelling).await;
        self.rest()
    }

    /// What has come and was not taken.
    fn rest(&mut self) -> Vec<Delivered> {
        let messages = std::iter::from_fn(|| self.deliveries.try_recv().ok());
        messages.flatten().collect()
    }
}

impl Taken {
    /// Whether the broker waits for an answer.
    fn is_held(&self) -> bool {
        self.acker.is_open()
    }
}

/// Gives back what waits and what came late, in the order in which it came.
fn give_back(waiting: &mut Waiting, flow: &Flow, late: Vec<Delivered>) {
    let left = waiting.lanes.clear();
    if !flow.acker.is_open() {
        return;
    }
    let left = left.iter().map(|taken| taken.incoming.tag);
    let mut tags: Vec<_> = left.chain(late.iter().map(|late| late.tag)).collect();
    tags.sort_unstable();
    for tag in tags {
        flow.acker.requeue(tag);
    }
}

/// Deletes a queue that never had a consumer: it would stay as long as the connection.
async fn discard(link: &Link, queue: ShortString) {
    let deleting = async {
        let channel = link.channel().await?;
        answered(channel.queue_delete(queue, QueueDeleteOptions::default())).await?;
        answered(channel.close(200, "OK".into())).await
    };
    if let Err(error) = deleting.await {
        tracing::debug!(%error, "a queue is left until the connection ends");
    }
}
