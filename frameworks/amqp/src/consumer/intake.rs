//! Keeps all consumers going, over connections that come and go.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use polyport_bootstrap::{Backoff, framework::at_home};
use tokio::task::JoinSet;

use super::{
    Shared, Worker,
    acker::Acker,
    flow::Flow,
    life::{Life, LifeEnd},
};
use crate::{
    connection::{CLOSE, Link, LinkError},
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
    lives: JoinSet<LifeEnd>,
}

/// What is left when nothing is taken any more: calls in flight still acknowledge over it.
#[derive(Debug)]
pub(crate) struct Remains {
    link: Arc<Link>,
    ackers: Vec<Arc<Acker>>,
}

impl Intake {
    /// Starts every consumer, for the first time.
    ///
    /// # Errors
    /// Returns the queue that cannot be consumed from, and why.
    pub(crate) async fn start(&self, link: Link) -> Result<Started, (Arc<str>, LinkError)> {
        let (link, mut flows) = (Arc::new(link), Vec::new());
        for (consumer, flow) in self.consumers.iter().zip(self.open(&link).await) {
            flows.push(Ok(flow.map_err(|error| (Arc::clone(&consumer.queue), error))?));
        }
        Ok(self.begin(link, flows))
    }

    /// Has every consumer begin. What one is refused keeps no other waiting.
    async fn open(&self, link: &Link) -> Vec<Result<Flow, LinkError>> {
        let opening = self.consumers.iter().map(|consumer| {
            consumer.declare_by(&self.dialer);
            consumer.open(link)
        });
        join_all(opening).await
    }

    /// Has every consumer live on, whether it consumes already or is to try again.
    fn begin(&self, link: Arc<Link>, flows: Vec<Result<Flow, LinkError>>) -> Started {
        let mut lives = JoinSet::new();
        for (consumer, flow) in self.consumers.iter().zip(flows) {
            lives.spawn(at_home(Life::new(consumer, &self.dialer, &link).run(flow)));
        }
        self.dialer.monitor.up(Side::Consume);
        Started { link, lives }
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

    /// Connects anew.
    async fn restart(&self, backoff: &mut Backoff) -> Started {
        loop {
            let link = Arc::new(self.dialer.redial(Side::Consume, backoff).await);
            let flows = self.open(&link).await;
            if link.is_up() {
                return self.begin(link, flows);
            }
            self.dialer.lost(Side::Consume, link.lost().await);
        }
    }
}

impl Started {
    /// Waits until all consumers have stopped, or the connection is lost.
    async fn wait(mut self) -> Result<Remains, String> {
        let mut ackers = Vec::new();
        loop {
            let ended = tokio::select! {
                biased;
                ended = self.lives.join_next() => ended,
                reason = self.link.lost() => return Err(reason),
            };
            match ended {
                None => return Ok(Remains { link: self.link, ackers }),
                Some(Ok(LifeEnd::Stopped(acker))) => ackers.extend(acker),
                Some(Ok(LifeEnd::Lost(reason))) => return Err(reason),
                Some(Err(error)) => return Err(error.to_string()),
            }
        }
    }
}

impl Remains {
    /// Closes in order: a channel closes only after the acknowledgements that went over it.
    pub(crate) async fn close(self) -> Result<(), LinkError> {
        let closings = self.ackers.iter().map(async |acker| {
            acker.flushed().await;
            acker.channel().close(200, "OK".into()).await
        });
        let _ = tokio::time::timeout(CLOSE, join_all(closings)).await;
        self.link.close().await
    }
}

/// How long calls that were told to end may take for it.
pub(crate) const CUT: Duration = Duration::from_millis(500);
