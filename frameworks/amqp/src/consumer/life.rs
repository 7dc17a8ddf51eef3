//! The life of one consumer on one connection, whatever becomes of the others.

use std::sync::Arc;

use polyport_bootstrap::Backoff;

use super::{
    Worker,
    acker::Acker,
    flow::{Flow, FlowEnd},
};
use crate::{
    connection::{Link, LinkError, settled},
    dialer::Dialer,
    monitor::Side,
};

/// How a consumer's life on one connection ended.
#[derive(Debug)]
pub(super) enum LifeEnd {
    /// Over the channel calls in flight still acknowledge.
    Stopped(Option<Arc<Acker>>),
    Lost(String),
}

/// Opens and consumes by turns: a queue that was deleted, and a channel that the broker closed,
/// are replaced; what the broker refuses is tried again. Only the connection's loss and the stop
/// end it.
#[derive(Debug)]
pub(super) struct Life {
    consumer: Arc<Worker>,
    dialer: Arc<Dialer>,
    link: Arc<Link>,
    backoff: Backoff,
    /// That of the last channel that it had.
    acker: Option<Arc<Acker>>,
    /// Why it does not consume, as it was told last.
    told: Option<String>,
}

impl Life {
    pub(super) fn new(consumer: &Arc<Worker>, dialer: &Arc<Dialer>, link: &Arc<Link>) -> Self {
        Self {
            consumer: Arc::clone(consumer),
            dialer: Arc::clone(dialer),
            link: Arc::clone(link),
            backoff: Backoff::default(),
            acker: None,
            told: None,
        }
    }

    /// Lives from its first attempt to consume on.
    pub(super) async fn run(self, first: Result<Flow, LinkError>) -> LifeEnd {
        let consumer = Arc::clone(&self.consumer);
        let end = self.live(first).await;
        if matches!(end, LifeEnd::Stopped(_)) {
            consumer.abandon().await;
        }
        end
    }

    async fn live(mut self, first: Result<Flow, LinkError>) -> LifeEnd {
        let mut opened = first.map_err(|error| error.to_string());
        loop {
            let ended = match opened {
                Ok(flow) => self.consume(flow).await,
                Err(reason) => self.refused(reason),
            };
            if let Some(end) = ended {
                return end;
            }
            let stop = self.consumer.shared.stop.clone();
            opened = match stop.run_until_cancelled(self.open()).await {
                Some(opened) => opened,
                None => return LifeEnd::Stopped(self.acker),
            };
        }
    }

    /// Declares what belongs to it, which may be gone, and begins to consume.
    async fn open(&mut self) -> Result<Flow, String> {
        tokio::time::sleep(self.backoff.next_delay()).await;
        self.dialer.forget_declarations();
        let declared = self.dialer.declare_again(Side::Consume, &self.link).await;
        declared.map_err(|error| error.to_string())?;
        let flow = self.consumer.open(&self.link).await.map_err(|error| error.to_string())?;
        tracing::info!(queue = &*self.consumer.queue, "consuming again");
        Ok(flow)
    }

    /// Consumes until the flow is over; none where another one is to follow.
    async fn consume(&mut self, mut flow: Flow) -> Option<LifeEnd> {
        self.acker = Some(Arc::clone(flow.acker()));
        self.told = None;
        self.dialer.monitor.consuming(&self.consumer.queue, None);
        let end = self.pump(&mut flow).await;
        let (queue, in_flight) = (&*self.consumer.queue, self.consumer.in_flight());
        match end {
            FlowEnd::Stopped => return Some(LifeEnd::Stopped(self.acker.take())),
            FlowEnd::Failed(reason) if !self.link.is_up() => return Some(LifeEnd::Lost(reason)),
            FlowEnd::Stale => {
                tracing::warn!(queue, "messages waited too long for their turn; they go back");
            }
            FlowEnd::Failed(reason) => tracing::warn!(
                queue,
                reason,
                in_flight,
                "a consumer ended; starting it again, and what is in flight may come again"
            ),
        }
        retire(flow.acker()).await;
        None
    }

    async fn pump(&self, flow: &mut Flow) -> FlowEnd {
        tokio::select! {
            end = self.consumer.pump(flow) => end,
            () = self.consumer.pulse.renewed() => match flow.close().await {
                Ok(()) => FlowEnd::Failed("it gets nothing, and messages wait".to_owned()),
                Err(error) => FlowEnd::Failed(error.to_string()),
            },
        }
    }

    /// Says it once for each reason; health is told as long as it lasts.
    fn refused(&mut self, reason: String) -> Option<LifeEnd> {
        if !self.link.is_up() {
            return Some(LifeEnd::Lost(reason));
        }
        let queue = &self.consumer.queue;
        if self.told.as_ref() != Some(&reason) {
            tracing::error!(
                queue = &**queue,
                reason,
                advice = "look whether it is on the broker, and whether an exclusive consumer or \
                          another connection holds it",
                "cannot consume; trying again, and the other consumers go on"
            );
        }
        self.dialer.monitor.consuming(queue, Some(reason.clone()));
        self.told = Some(reason);
        None
    }
}

/// Calls in flight may still acknowledge over a channel whose consumer was cancelled; one that
/// the broker closed must be closed on both sides before it is dropped.
async fn retire(acker: &Acker) {
    if !acker.is_open() {
        settled(acker.channel()).await;
    }
}
