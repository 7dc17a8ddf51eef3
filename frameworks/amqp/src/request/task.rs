use std::{pin::pin, sync::Arc};

use futures_util::StreamExt;
use lapin::{Channel, message::Delivery, options::BasicConsumeOptions, types::FieldTable};
use polyport_bootstrap::Fault;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{REPLY_TO, Reply, ask::Ask, not_sent, pending::Pending};
use crate::{
    connection::{Link, LinkError, answered, describe, settled},
    guard::{Answers, Delivered, Deliveries, Heard, Returned, Voice, speech},
    monitor::Monitor,
    publisher::Links,
};

/// How many requests are taken at once.
const BATCH: usize = 64;

/// The other end of [`Requester`](super::Requester), for its task.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(super) receiver: mpsc::Receiver<Ask>,
    pub(super) monitor: Arc<Monitor>,
}

/// Sends requests and receives replies for the life of the process, on a channel of the publishing
/// connection that is opened when somebody asks for something.
#[derive(Debug)]
pub(crate) struct RequestTask {
    requests: Requests,
    links: Links,
    stop: CancellationToken,
    pending: Pending,
    taken: Vec<Ask>,
    /// What is written next.
    frames: Vec<u8>,
    /// Whether the broker takes nothing on this channel for now (`channel.flow`).
    is_held: bool,
}

impl RequestTask {
    pub(crate) fn new(requests: Requests, links: Links, stop: CancellationToken) -> Self {
        let (pending, taken, frames) = (Pending::default(), Vec::new(), Vec::new());
        Self { requests, links, stop, pending, taken, frames, is_held: false }
    }

    /// Works until it is stopped; what waits for a reply then ends at once.
    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        if stop.run_until_cancelled(self.work()).await.is_some() {
            tracing::debug!("nothing is published any more, and so nothing requested");
        }
        self.pending.fail("the process stops");
    }

    async fn work(&mut self) {
        while let Some(link) = self.next_link().await {
            while link.is_up() && self.links.has_changed().is_ok_and(|changed| !changed) {
                let Err(reason) = self.serve(&link).await else { return };
                self.pending.fail(&reason);
            }
            drop(link);
            // The publisher sees the end of the connection too, and makes another.
            if self.links.changed().await.is_err() {
                return;
            }
        }
    }

    async fn next_link(&mut self) -> Option<Arc<Link>> {
        let link = self.links.wait_for(Option::is_some).await.ok()?;
        link.clone()
    }

    /// Serves on one channel, from the first request on; gives why it is of no use any more, or
    /// ends where nobody can ask.
    async fn serve(&mut self, link: &Link) -> Result<(), String> {
        if !self.is_asked(link).await? {
            return Ok(());
        }
        let (channel, replies) = match open(link).await {
            Ok(opened) => opened,
            Err(error) if link.is_up() => return Err(self.refuse_taken(&error)),
            // They are for the next connection.
            Err(error) => return Err(error.to_string()),
        };
        self.is_held = false;
        let end = self.pump(link, &channel, replies).await;
        if end.is_err() {
            settled(&channel).await;
        }
        end
    }

    /// Waits until something is to be sent and the broker takes it; false where nobody can ask.
    async fn is_asked(&mut self, link: &Link) -> Result<bool, String> {
        let mut blocked = self.requests.monitor.blocked();
        let mut over = pin!(over(link, self.links.clone()));
        loop {
            let is_blocked = blocked.borrow_and_update().is_some();
            // What was taken before the last connection was lost is there already.
            if !self.taken.is_empty() && !is_blocked && link.is_up() {
                return Ok(true);
            }
            tokio::select! {
                biased;
                reason = &mut over => return Err(reason),
                count = self.requests.receiver.recv_many(&mut self.taken, BATCH),
                    if self.taken.is_empty() =>
                {
                    if count == 0 { return Ok(false) }
                }
                Ok(()) = blocked.changed() => {}
            }
        }
    }

    async fn pump(
        &mut self,
        link: &Link,
        channel: &Channel,
        mut replies: Replies,
    ) -> Result<(), String> {
        let mut blocked = self.requests.monitor.blocked();
        let mut over = pin!(over(link, self.links.clone()));
        loop {
            // What is written while the broker takes nothing can not be taken back. Nothing is
            // blocked any more when the connection is lost: what was held back is for the next one.
            let is_blocked = blocked.borrow_and_update().is_some();
            if !is_blocked && !self.is_held && link.is_up() && channel.status().connected() {
                self.send_taken(link, &replies.voice);
            }
            tokio::select! {
                biased;
                Some(some) = replies.deliveries.recv() => self.answer(some),
                Some(heard) = replies.answers.recv() => self.hear(heard),
                end = replies.consumer.next() => {
                    while let Ok(some) = replies.deliveries.try_recv() {
                        self.answer(some);
                    }
                    while let Ok(heard) = replies.answers.try_recv() {
                        self.hear(heard);
                    }
                    return Err(ended(end));
                }
                reason = &mut over => return Err(reason),
                count = self.requests.receiver.recv_many(&mut self.taken, BATCH),
                    if self.taken.is_empty() =>
                {
                    if count == 0 { return Ok(()) }
                }
                Ok(()) = blocked.changed() => {}
            }
        }
    }

    fn answer(&mut self, replies: Vec<Delivered>) {
        for Delivered { properties, body, .. } in replies {
            self.pending.reply(Reply::new(properties, body));
        }
    }

    /// That they were written says nothing that the reply, or the end of the channel, does not say.
    fn send_taken(&mut self, link: &Link, voice: &Voice) {
        let frame_max = usize::try_from(link.frame_max()).unwrap_or(usize::MAX);
        for Ask { mut message, answer, .. } in self.taken.drain(..).filter(Ask::begin) {
            let id = self.pending.add(answer);
            message.properties = message.properties.with_correlation_id(id);
            message.mandatory = true;
            let (channel, content) = (voice.channel(), message.content());
            if let Err(error) = speech::publish(&mut self.frames, channel, content, frame_max) {
                let fault = not_sent(&format!("its properties cannot be written: {error}"));
                self.pending.refuse(&message.properties, fault);
            }
        }
        if !self.frames.is_empty() {
            voice.say(&mut self.frames);
        }
    }

    /// Tells callers that there is no channel for their requests.
    fn refuse_taken(&mut self, error: &LinkError) -> String {
        let reason = error.to_string();
        for ask in self.taken.drain(..) {
            ask.answer.finish(Err(not_sent(&reason)));
        }
        reason
    }

    /// Ends the requests that no queue takes. Of the end of the channel the consumer tells.
    fn hear(&mut self, heard: Vec<Heard>) {
        for heard in heard {
            match heard {
                Heard::Returned(returned) => self.returned(&returned),
                Heard::Flow(active) => self.is_held = !active,
                Heard::Confirmed { .. } | Heard::Closed(_) => {}
            }
        }
    }

    fn returned(&mut self, returned: &Returned) {
        let (exchange, key) = (returned.exchange.as_str(), returned.routing_key.as_str());
        let fault = Fault::unavailable(
            "NO_SUCH_QUEUE",
            format!("no queue takes the request (exchange \"{exchange}\", routing key \"{key}\")"),
        );
        self.pending.refuse(&returned.properties, fault);
    }
}

/// Waits until the connection is lost, or whoever owns it has given it up.
async fn over(link: &Link, mut links: Links) -> String {
    tokio::select! {
        reason = link.lost() => reason,
        _ = links.changed() => "the connection was given up".to_owned(),
    }
}

/// What comes in on a channel.
struct Replies {
    deliveries: Deliveries,
    answers: Answers,
    voice: Voice,
    /// How it ends.
    consumer: lapin::Consumer,
}

fn ended(end: Option<lapin::Result<Delivery>>) -> String {
    match end {
        Some(Err(error)) => describe(&error),
        Some(Ok(_)) | None => "the broker closed the channel".to_owned(),
    }
}

async fn open(link: &Link) -> Result<(Channel, Replies), LinkError> {
    let channel = link.channel().await?;
    let (deliveries, answers) = (link.deliveries(&channel), link.answers(&channel));
    let voice = link.voice(&channel);
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let consuming =
        channel.basic_consume(REPLY_TO.into(), "".into(), options, FieldTable::default());
    let consumer = answered(consuming).await?;
    Ok((channel, Replies { deliveries, answers, voice, consumer }))
}
