//! The running half of the framework: connects, consumes, stops in order.

use std::{future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use lapin::ErrorKind;
use polyport_bootstrap::{Error, Result, Transport, framework::Activity};
use tokio::time::timeout;
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    app::AmqpApp,
    connection::{CLOSE, Link, LinkError},
    consumer::{CUT, Intake, Remains, Shared, Worker},
    dialer::Dialer,
    fan_out::{Channels, FanOutTask, Joined},
    monitor::Side,
    publisher::{Jobs, PublisherTask},
    settings::AmqpSettings,
    source::Source,
    topology::{DeclareError, Plan},
};

/// How long messages that were accepted may still take to be confirmed when the process ends.
const FLUSH: Duration = Duration::from_secs(2);

pub(crate) struct AmqpTransport {
    parts: Parts,
    publisher: Option<AbortOnDropHandle<()>>,
    fan_outs: Vec<AbortOnDropHandle<()>>,
    flush: CancellationToken,
    stage: Stage,
}

/// What the build has made.
pub(crate) struct Parts {
    pub(crate) app: AmqpApp,
    /// Where the settings stand, for reports.
    pub(crate) section: String,
    pub(crate) source: Source,
    pub(crate) settings: AmqpSettings,
    pub(crate) plan: Arc<Plan>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) consumers: Vec<Arc<Worker>>,
    /// What other frameworks send to the other instances of the application.
    pub(crate) channels: Arc<Channels>,
    /// Taken by the task that publishes.
    pub(crate) jobs: Option<Jobs>,
}

/// How far consuming has come.
enum Stage {
    Idle,
    Bound { dialer: Arc<Dialer>, link: Box<Link> },
    Serving(AbortOnDropHandle<Option<Remains>>),
    Stopped(Option<Remains>),
}

impl AmqpTransport {
    pub(crate) fn new(parts: Parts) -> Self {
        let flush = CancellationToken::new();
        Self { parts, publisher: None, fan_outs: Vec::new(), flush, stage: Stage::Idle }
    }

    fn shared(&self) -> &Shared {
        &self.parts.shared
    }

    async fn dialer(&mut self) -> Result<Arc<Dialer>> {
        let broker = self.parts.source.open().await?;
        self.parts.app.set_broker(broker.clone());
        Ok(Arc::new(Dialer {
            broker,
            settings: self.parts.settings.clone(),
            plan: Arc::clone(&self.parts.plan),
            monitor: Arc::clone(&self.shared().monitor),
        }))
    }

    async fn connect(&self, dialer: &Dialer, side: Side) -> Result<Link> {
        let link = dialer.connect(side).await;
        link.map_err(|error| error.report(&dialer.broker, &format!("{}.url", self.parts.section)))
    }

    fn start_publishing(&mut self, dialer: Arc<Dialer>, link: Link) {
        let Some(jobs) = self.parts.jobs.take() else { return };
        let task = PublisherTask::new(dialer, jobs, self.flush.clone());
        self.publisher = Some(AbortOnDropHandle::new(tokio::spawn(task.run(link))));
        self.shared().monitor.up(Side::Publish);
    }

    /// Joins the exchanges by which other frameworks reach the other instances.
    async fn join_fan_outs(&mut self, dialer: &Arc<Dialer>) -> Result<()> {
        for opened in self.parts.channels.take() {
            let joined = Joined::join(dialer, &opened.exchange).await;
            let joined = joined.map_err(|error| {
                let (exchange, address) = (&opened.exchange, dialer.broker.address());
                Error::connection(format!("cannot join exchange \"{exchange}\" at {address}"))
                    .caused_by(error)
                    .advise(
                        "it must be a fanout exchange that is not durable: name another one, or \
                         delete it on the broker",
                    )
            })?;
            let (dialer, stop) = (Arc::clone(dialer), self.flush.clone());
            let task = FanOutTask { dialer, opened, stop };
            self.fan_outs.push(AbortOnDropHandle::new(tokio::spawn(task.run(joined))));
        }
        Ok(())
    }

    /// Sends what waits for the other instances. What is lost was never promised.
    async fn close_fan_outs(fan_outs: Vec<AbortOnDropHandle<()>>) {
        let _ = timeout(FLUSH + CLOSE, join_all(fan_outs)).await;
    }

    /// Sends and confirms what was accepted, and closes the publishing connection.
    async fn close_publisher(&mut self) -> Result<()> {
        self.flush.cancel();
        let Some(mut publisher) = self.publisher.take() else { return Ok(()) };
        match timeout(FLUSH + CLOSE, &mut publisher).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::deadline(format!(
                "messages were published and not confirmed within {FLUSH:?}: whether they arrived \
                 is unknown",
            ))),
        }
    }
}

#[async_trait]
impl Transport for AmqpTransport {
    /// Connects twice, so that a broker short of memory, which stops reading from whoever
    /// publishes, still gets acknowledgements; and declares everything.
    async fn bind(&mut self) -> Result<()> {
        let dialer = self.dialer().await?;
        let publishing = self.connect(&dialer, Side::Publish).await?;
        self.parts.plan.declare(&publishing).await.map_err(|error| undeclared(error, &dialer))?;
        if !self.parts.consumers.is_empty() {
            let link = Box::new(self.connect(&dialer, Side::Consume).await?);
            self.stage = Stage::Bound { dialer: Arc::clone(&dialer), link };
        }
        self.join_fan_outs(&dialer).await?;
        self.start_publishing(dialer, publishing);
        Ok(())
    }

    async fn serve(&mut self) -> Result<()> {
        let Stage::Bound { dialer, link } = std::mem::replace(&mut self.stage, Stage::Idle) else {
            return Ok(());
        };
        let address = dialer.broker.address();
        let consumers = std::mem::take(&mut self.parts.consumers);
        let intake = Intake { dialer, shared: Arc::clone(&self.parts.shared), consumers };
        let started = intake.start(*link).await.map_err(|(queue, error)| {
            Error::connection(format!("cannot consume from queue \"{queue}\" at {address}"))
                .caused_by(error)
                .advise(
                    "look into the broker's log; an exclusive consumer may hold the queue, and the \
                     exchange of a consumer for each instance has to be declared",
                )
        })?;
        let running = tokio::spawn(intake.run(started));
        self.stage = Stage::Serving(AbortOnDropHandle::new(running));
        Ok(())
    }

    /// Both tasks outlive every trouble with the broker; they end early by a panic only.
    async fn failed(&mut self) -> Error {
        let intake = async {
            match &mut self.stage {
                Stage::Serving(intake) => intake.await.map(drop),
                _ => pending().await,
            }
        };
        let publisher = async {
            match &mut self.publisher {
                Some(publisher) => publisher.await,
                None => pending().await,
            }
        };
        let (task, ended) = tokio::select! {
            ended = intake => ("consumes", ended),
            ended = publisher => ("publishes", ended),
        };
        // What has ended must not be waited for again.
        match task {
            "consumes" => self.stage = Stage::Stopped(None),
            _ => self.publisher = None,
        }
        let error = Error::other(format!("the task that {task} has ended"));
        ended.err().into_iter().fold(error, Error::caused_by)
    }

    async fn stop_intake(&mut self) {
        self.shared().stop.cancel();
        if let Stage::Serving(intake) = &mut self.stage {
            let remains = intake.await.ok().flatten();
            self.stage = Stage::Stopped(remains);
        }
    }

    async fn drain(&mut self) {
        self.shared().calls.close();
        self.shared().calls.wait().await;
    }

    async fn close(&mut self) -> Result<()> {
        self.shared().stop.cancel();
        self.shared().cut.cancel();
        self.shared().calls.close();
        let _ = timeout(CUT, self.shared().calls.wait()).await;
        let remains = match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Stopped(remains) => remains,
            Stage::Idle | Stage::Bound { .. } | Stage::Serving(_) => None,
        };
        let fan_outs = Self::close_fan_outs(std::mem::take(&mut self.fan_outs));
        let (published, (), ()) = tokio::join!(self.close_publisher(), close(remains), fan_outs);
        self.parts.source.close().await;
        published
    }

    fn activity(&self) -> Option<Arc<dyn Activity>> {
        Some(Arc::new(Calls(self.shared().calls.clone())))
    }
}

/// The calls in flight.
struct Calls(TaskTracker);

impl Activity for Calls {
    fn calls(&self) -> usize {
        self.0.len()
    }
}

/// A broker that does not answer any more is no fault of this process's end.
async fn close(remains: Option<Remains>) {
    if let Some(remains) = remains
        && let Err(error) = remains.close().await
    {
        tracing::debug!(%error, "the consuming connection was cut");
    }
}

fn undeclared(error: DeclareError, dialer: &Dialer) -> Error {
    let message =
        format!("the AMQP broker at {} refuses the {}", dialer.broker.address(), error.what);
    let contradicts = matches!(
        &error.error,
        LinkError::Lapin(cause) if matches!(cause.kind(), ErrorKind::ProtocolError(_))
    );
    let report = if contradicts { Error::wiring(message) } else { Error::connection(message) };
    report.caused_by(error.error).advise(
        "declare it as it is on the broker, or delete it there; a binding needs its exchange, and \
         the user the permission to declare",
    )
}
