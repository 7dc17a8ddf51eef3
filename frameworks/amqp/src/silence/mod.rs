//! Notices consumers that are silent while their queues grow: connected as far as anybody can
//! tell, and forgotten by the broker or by something between.
//!
//! Queues that belong to the consuming connection cannot be asked for what waits in them, and are
//! gone with it: exclusive ones, and those of consumers for each instance.

mod ear;

use std::{sync::Arc, time::SystemTime};

use lapin::{Channel, options::QueueDeclareOptions, types::FieldTable};
use tokio::time::{Duration, Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use self::ear::{Depth, Ear, Silent};
use crate::{
    connection::{CLOSE, Link, answered, settled},
    consumer::Worker,
    dialer::{ADMIN, Dialer},
};

/// Looks at every consumer, again and again.
#[derive(Debug)]
pub(crate) struct SilenceWatch {
    dialer: Arc<Dialer>,
    consumers: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    consumer: Arc<Worker>,
    ear: Ear,
}

impl SilenceWatch {
    pub(crate) fn new(dialer: Arc<Dialer>, consumers: &[Arc<Worker>]) -> Self {
        let watched = |consumer: &Arc<Worker>| Watched {
            consumer: Arc::clone(consumer),
            ear: Ear::default(),
        };
        let asked = |one: &&Arc<Worker>| !one.is_own() && !dialer.plan.is_exclusive(&one.queue);
        let consumers = consumers.iter().filter(asked).map(watched).collect();
        Self { dialer, consumers }
    }

    /// Looks once every `pause`, until it is stopped; never, where that is zero, nor through pipes,
    /// where nothing stands between that could forget a consumer.
    pub(crate) async fn run(mut self, pause: Duration, stop: CancellationToken) {
        if pause.is_zero() || !self.dialer.broker.has_address() {
            return;
        }
        let mut ticks = interval_at(Instant::now() + pause, pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if stop.run_until_cancelled(self.look()).await.is_none() {
                return;
            }
        }
    }

    async fn look(&mut self) {
        let connected = self.dialer.monitor.consume_trouble().is_none();
        let mut asked = Vec::new();
        for (place, watched) in self.consumers.iter_mut().enumerate() {
            let hears_nothing = watched.ear.hears_nothing(watched.consumer.pulse.look());
            if hears_nothing && connected {
                asked.push(place);
            }
        }
        if !asked.is_empty()
            && let Err(error) = self.ask(&asked).await
        {
            tracing::debug!(error, "cannot look at what waits in the queues");
        }
        self.tell();
        if let Err(error) = self.dialer.declare_refused().await {
            tracing::debug!(%error, "cannot declare again what was refused");
        }
    }

    /// Asks the broker what waits in these consumers' queues, over one short-lived connection.
    async fn ask(&mut self, places: &[usize]) -> Result<(), String> {
        let Dialer { broker, settings, .. } = &*self.dialer;
        let link = Link::open(broker, ADMIN, settings).await.map_err(|error| error.to_string())?;
        for &place in places {
            let watched = &mut self.consumers[place];
            let channel = link.channel().await.map_err(|error| error.to_string())?;
            let depth = depth(&channel, &watched.consumer.queue).await;
            let by_turns = self.dialer.plan.is_single_active(&watched.consumer.queue);
            watched.hear(depth, by_turns);
        }
        link.close().await.map_err(|error| error.to_string())
    }

    /// Health is told of all that are silent.
    fn tell(&self) {
        let silent = self.consumers.iter().filter_map(|watched| {
            let depth = watched.ear.silent()?.depth;
            Some(format!("queue \"{}\" holds {depth} messages and gives none", watched.queue()))
        });
        let silent: Vec<_> = silent.collect();
        self.dialer.monitor.set_silent((!silent.is_empty()).then(|| silent.join("; ")));
        for watched in &self.consumers {
            watched.consumer.pulse.metrics.silent(watched.ear.silent().is_some());
        }
    }
}

impl Watched {
    fn queue(&self) -> &str {
        &self.consumer.queue
    }

    fn hear(&mut self, depth: Option<Depth>, by_turns: bool) {
        let Some(Silent { depth, since }) = self.ear.judge(depth, by_turns) else { return };
        let seconds = SystemTime::now().duration_since(since).map_or(0, |passed| passed.as_secs());
        tracing::warn!(
            queue = self.queue(),
            depth,
            seconds,
            "a consumer gets nothing although messages wait in its queue; starting it again"
        );
        self.consumer.pulse.renew();
    }
}

/// None where there is no such queue: the consumer notices that by itself.
async fn depth(channel: &Channel, queue: &str) -> Option<Depth> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
    match answered(declared).await {
        Ok(queue) => {
            let closing = channel.close(200, "OK".into());
            drop(tokio::time::timeout(CLOSE, closing).await);
            Some(Depth { ready: queue.message_count(), consumers: queue.consumer_count() })
        }
        Err(_) => {
            settled(channel).await;
            None
        }
    }
}
