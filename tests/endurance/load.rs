//! An application that publishes and consumes all the time.

use std::{sync::Arc, time::Duration};

use garde::Validate;
use polyport::{
    amqp,
    prelude::*,
    testing::{TestApp, create_bootstrap},
};
use serde::{Deserialize, Serialize};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::ledger::{Ledger, Verdict};

/// How long the broker may take to be back in use.
const PATIENCE: Duration = Duration::from_secs(60);
const PUBLISHERS: usize = 16;
/// What a publisher rests between two messages: the machine has more to do.
const REST: Duration = Duration::from_millis(4);

/// The queues under load.
pub(crate) const CLASSIC: &str = "endurance.classic";
pub(crate) const QUORUM: &str = "endurance.quorum";

#[derive(Debug, Serialize, Deserialize, Validate)]
struct Numbered {
    #[garde(skip)]
    number: usize,
}

async fn note(
    Inject(ledger): Inject<Ledger>,
    Input(numbered): Input<Numbered>,
) -> Result<(), Fault> {
    ledger.saw(numbered.number);
    Ok(())
}

/// An application under load.
pub(crate) struct Load {
    app: TestApp,
    amqp: AmqpApp,
    queues: &'static [&'static str],
    pub(crate) ledger: Arc<Ledger>,
    stop: CancellationToken,
    publishers: JoinSet<()>,
}

impl Load {
    /// Starts the application and its publishers; heartbeats are short, so that what is frozen is
    /// soon noticed.
    pub(crate) async fn start(urls: &[String], queues: &'static [&'static str]) -> Self {
        let ledger = Arc::new(Ledger::default());
        let app = create_bootstrap(bootstrap(&ledger, queues))
            .config("amqp.url", urls)
            .config("amqp.heartbeat", "2s")
            .await
            .expect("starts");
        let amqp = app.app::<AmqpApp>().expect("is loaded").clone();
        let stop = CancellationToken::new();
        let mut publishers = JoinSet::new();
        for number in 0..PUBLISHERS {
            let queue = queues[number % queues.len()];
            publishers.spawn(publish(amqp.clone(), Arc::clone(&ledger), queue, stop.clone()));
        }
        Self { app, amqp, queues, ledger, stop, publishers }
    }

    /// Waits until the application says that the broker is there, or not.
    pub(crate) async fn until_connected(&self, connected: bool) {
        let mut changes = self.amqp.state_changes();
        let waiting = changes.wait_for(|state| state.connected == connected);
        let state = timeout(PATIENCE, waiting).await;
        assert!(state.is_ok(), "not {connected} within {PATIENCE:?}: {:?}", self.amqp.state());
    }

    /// Waits until the application says that the broker takes messages, or not.
    pub(crate) async fn until_blocked(&self, blocked: bool) {
        let mut changes = self.amqp.state_changes();
        let waiting = changes.wait_for(|state| state.blocked.is_some() == blocked);
        let state = timeout(PATIENCE, waiting).await;
        assert!(state.is_ok(), "not {blocked} within {PATIENCE:?}: {:?}", self.amqp.state());
    }

    /// Shows that every queue is consumed: one more message in each comes.
    pub(crate) async fn until_served(&self) {
        for queue in self.queues {
            let published = async {
                loop {
                    let number = self.ledger.next();
                    if send(&self.amqp, &self.ledger, queue, number).await == Verdict::Confirmed {
                        return number;
                    }
                }
            };
            let number = timeout(PATIENCE, published).await.unwrap_or_else(|_| {
                panic!("nothing is confirmed in {queue}: {:?}", self.amqp.state());
            });
            self.ledger.until_seen(number).await;
        }
    }

    /// Stops publishing, and waits until what was confirmed has come.
    pub(crate) async fn finish(mut self, what: &str) {
        self.quiet().await;
        self.ledger.until_complete().await;
        self.app.close().await.expect("stops cleanly");
        let figures = self.ledger.figures();
        eprintln!("{what}: {figures}");
        figures.assert_nothing_lost();
    }

    /// Stops publishing.
    pub(crate) async fn quiet(&mut self) {
        self.stop.cancel();
        while let Some(ended) = self.publishers.join_next().await {
            ended.expect("no publisher panics");
        }
    }
}

fn bootstrap(ledger: &Arc<Ledger>, queues: &'static [&'static str]) -> Bootstrap {
    let ledger = Arc::clone(ledger);
    let module = module("endurance", move |m| {
        m.provide_value(Arc::clone(&ledger)).amqp(|q| {
            let declared = |queue: &str| match queue {
                QUORUM => Queue::quorum(queue),
                queue => Queue::new(queue),
            };
            queues.iter().fold(q, |q, queue| q.queue(declared(queue)).consume(*queue, note))
        });
        Ok(())
    });
    Bootstrap::new().load(AmqpFramework::new()).module(module)
}

async fn publish(amqp: AmqpApp, ledger: Arc<Ledger>, queue: &'static str, stop: CancellationToken) {
    while !stop.is_cancelled() {
        send(&amqp, &ledger, queue, ledger.next()).await;
        tokio::time::sleep(REST).await;
    }
}

async fn send(amqp: &AmqpApp, ledger: &Ledger, queue: &str, number: usize) -> Verdict {
    let message = amqp::Message::json("", queue, &Numbered { number }).expect("is JSON");
    let outcome = amqp.publish_message(message.message_id(number.to_string()).mandatory()).await;
    let verdict = Verdict::of(&outcome);
    if let Err(error) = &outcome {
        tracing::warn!(%error, number, queue, "not published");
    }
    ledger.told(number, verdict);
    verdict
}
