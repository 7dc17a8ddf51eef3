//! Keeps all consumers going, over connections that come and go.

use std::{sync::Arc, time::Duration};

use lapin::Channel;
use polyport_bootstrap::{Backoff, framework::at_home};
use tokio::task::JoinSet;

use super::{
    Shared, Worker,
    flow::{Flow, FlowEnd},
};
use crate::{
    connection::{CLOSE, Link, LinkError, settled},
    dialer::Dialer,
    monitor::Side,
};

/// Owns the consuming connection for the life of the process.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) consumers: Vec<Arc<Worker>>,
}

/// All consumers on one connection.
#[derive(Debug)]
pub(crate) struct Started {
    link: Arc<Link>,
    flows: JoinSet<LifeEnd>,
}

/// How a consumer's life on one connection ended.
#[derive(Debug)]
enum LifeEnd {
    Stopped(Arc<Channel>),
    Lost(String),
}

/// What is left when nothing is taken any more: calls in flight still acknowledge over it.
#[derive(Debug)]
pub(crate) struct Remains {
    link: Arc<Link>,
    channels: Vec<Arc<Channel>>,
}

impl Intake {
    /// Starts every consumer.
    ///
    /// # Errors
    /// Returns the queue that cannot be consumed from, and why.
    pub(crate) async fn start(&self, link: Link) -> Result<Started, (Arc<str>, LinkError)> {
        let (link, mut flows) = (Arc::new(link), JoinSet::new());
        for consumer in &self.consumers {
            let flow = consumer.open(&link).await;
            let flow = flow.map_err(|error| (Arc::clone(&consumer.queue), error))?;
            let life =
                live(Arc::clone(consumer), Arc::clone(&self.dialer), Arc::clone(&link), flow);
            flows.spawn(at_home(life));
        }
        self.dialer.monitor.up(Side::Consume);
        Ok(Started { link, flows })
    }

    /// Consumes until it is stopped; begins where it has started, if it has.
    pub(crate) async fn run(self, first: Option<Started>) -> Option<Remains> {
        let (mut next, mut backoff) = (first, Backoff::default());
        let stop = self.shared.stop.clone();
        loop {
            let started = match next.take() {
                Some(started) => started,
                None => tokio::select! {
                    biased;
                    () = stop.cancelled() => return None,
                    started = self.restart(&mut backoff) => started,
                },
            };
            match started.wait().await {
                Ok(remains) => return Some(remains),
                Err(_) if stop.is_cancelled() => return None,
                Err(reason) => self.lost(reason),
            }
        }
    }

    fn lost(&self, reason: String) {
        self.dialer.lost(Side::Consume, reason);
        let in_flight: usize = self.consumers.iter().map(|consumer| consumer.in_flight()).sum();
        if in_flight > 0 {
            tracing::warn!(in_flight, "what was in flight then is delivered again");
        }
    }

    async fn restart(&self, backoff: &mut Backoff) -> Started {
        loop {
            let link = self.dialer.redial(Side::Consume, backoff).await;
            match self.start(link).await {
                Ok(started) => return started,
                Err((queue, error)) => {
                    let reason = format!("queue \"{queue}\": {error}");
                    tracing::warn!(reason, "cannot consume");
                    self.dialer.monitor.failed(Side::Consume, reason);
                }
            }
        }
    }
}

impl Started {
    /// Waits until all consumers have stopped, or the connection is lost.
    async fn wait(mut self) -> Result<Remains, String> {
        let mut channels = Vec::new();
        loop {
            let ended = tokio::select! {
                biased;
                ended = self.flows.join_next() => ended,
                reason = self.link.lost() => return Err(reason),
            };
            match ended {
                None => return Ok(Remains { link: self.link, channels }),
                Some(Ok(LifeEnd::Stopped(channel))) => channels.push(channel),
                Some(Ok(LifeEnd::Lost(reason))) => return Err(reason),
                Some(Err(error)) => return Err(error.to_string()),
            }
        }
    }
}

/// One consumer on one connection: a queue that was deleted, and a channel that the broker
/// closed, are replaced.
async fn live(
    consumer: Arc<Worker>,
    dialer: Arc<Dialer>,
    link: Arc<Link>,
    mut flow: Flow,
) -> LifeEnd {
    let mut backoff = Backoff::default();
    loop {
        let end = tokio::select! {
            end = consumer.pump(&mut flow) => end,
            () = consumer.pulse.renewed() => match flow.close().await {
                Ok(()) => FlowEnd::Failed("it gets nothing, and messages wait".to_owned()),
                Err(error) => return LifeEnd::Lost(error.to_string()),
            },
        };
        match end {
            FlowEnd::Stopped => {
                flow.cancel().await;
                return LifeEnd::Stopped(Arc::clone(flow.channel()));
            }
            FlowEnd::Stale => {
                flow.cancel().await;
                let queue = &*consumer.queue;
                tracing::warn!(queue, "messages waited too long for their turn; they go back");
            }
            FlowEnd::Failed(reason) if link.is_up() => {
                let (queue, in_flight) = (&*consumer.queue, consumer.in_flight());
                tracing::warn!(
                    queue,
                    reason,
                    in_flight,
                    "a consumer ended; starting it again, and what is in flight may come again"
                );
            }
            FlowEnd::Failed(reason) => return LifeEnd::Lost(reason),
        }
        retire(&flow).await;
        let stop = &consumer.shared.stop;
        if tokio::time::timeout(backoff.next_delay(), stop.cancelled()).await.is_ok() {
            return LifeEnd::Stopped(Arc::clone(flow.channel()));
        }
        flow = match reopen(&consumer, &dialer, &link).await {
            Ok(flow) => flow,
            Err(reason) => return LifeEnd::Lost(reason),
        };
        tracing::info!(queue = &*consumer.queue, "consuming again");
    }
}

/// Calls in flight may still acknowledge over a channel whose consumer was cancelled; one that
/// the broker closed must be closed on both sides before it is dropped.
async fn retire(flow: &Flow) {
    if !flow.channel().status().connected() {
        settled(flow.channel()).await;
    }
}

async fn reopen(consumer: &Worker, dialer: &Dialer, link: &Link) -> Result<Flow, String> {
    dialer.forget_declarations();
    dialer.declare_for(Side::Consume, link).await.map_err(|error| error.to_string())?;
    consumer.open(link).await.map_err(|error| error.to_string())
}

impl Remains {
    /// Closes in order: a channel closes only after the acknowledgements that went over it.
    pub(crate) async fn close(self) -> Result<(), LinkError> {
        let closings = self.channels.iter().map(|channel| channel.close(200, "OK".into()));
        let closings = futures_util::future::join_all(closings);
        let _ = tokio::time::timeout(CLOSE, closings).await;
        self.link.close().await
    }
}

/// How long calls that were told to end may take for it.
pub(crate) const CUT: Duration = Duration::from_millis(500);
