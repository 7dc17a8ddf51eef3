//! The running half of the framework: connects, consumes, stops in order.

use std::{future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use polyport_bootstrap::{
    Application, Error, Result, Transport,
    framework::{Activity, CommandAnswer, CommandCall, at_home},
};
use tokio::time::timeout;
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    app::AmqpApp,
    commands::Commanded,
    connection::{CLOSE, Link},
    consumer::{CUT, Intake, Remains, Shared, Started, Worker},
    dialer::{Declarations, Dialer},
    fan_out::{Channels, FanOutTask, Joined},
    monitor::Side,
    publisher::{Jobs, PublisherTask},
    request::{RequestTask, Requests},
    settings::{AmqpSettings, StartMode},
    silence::SilenceWatch,
    source::Source,
    topology::Plan,
    waiting,
};

/// How long messages that were accepted may still take to be confirmed when the process ends.
const FLUSH: Duration = Duration::from_secs(2);

pub(crate) struct AmqpTransport {
    parts: Parts,
    publisher: Option<AbortOnDropHandle<()>>,
    requests: Vec<AbortOnDropHandle<()>>,
    fan_outs: Vec<AbortOnDropHandle<()>>,
    /// Looks after silent consumers.
    watch: Option<AbortOnDropHandle<()>>,
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
    /// Taken by the tasks that publish and request.
    pub(crate) jobs: Option<(Jobs, [Requests; 2])>,
}

/// How far consuming has come.
enum Stage {
    Idle,
    /// Without a link where the broker is not there yet.
    Bound {
        dialer: Arc<Dialer>,
        link: Option<Box<Link>>,
    },
    Serving(AbortOnDropHandle<Option<Remains>>),
    Stopped(Option<Remains>),
}

impl AmqpTransport {
    pub(crate) fn new(parts: Parts) -> Self {
        let flush = CancellationToken::new();
        Self {
            parts,
            publisher: None,
            requests: Vec::new(),
            fan_outs: Vec::new(),
            watch: None,
            flush,
            stage: Stage::Idle,
        }
    }

    fn shared(&self) -> &Shared {
        &self.parts.shared
    }

    async fn dialer(&mut self) -> Result<Arc<Dialer>> {
        let broker = self.parts.source.open().await?;
        self.parts.app.set_broker(broker.clone());
        let (source, plan) = (&self.parts.source, &self.parts.plan);
        waiting::watch(&self.parts.shared, source, plan, &self.parts.settings);
        Ok(Arc::new(Dialer {
            broker,
            settings: self.parts.settings.clone(),
            section: self.parts.section.clone(),
            plan: Arc::clone(&self.parts.plan),
            monitor: Arc::clone(&self.shared().monitor),
            declarations: Declarations::default(),
        }))
    }

    fn start_publishing(&mut self, dialer: Arc<Dialer>, link: Option<Link>) {
        let Some((jobs, requests)) = self.parts.jobs.take() else { return };
        let task = PublisherTask::new(dialer, jobs, self.flush.clone());
        for requests in requests {
            let requests = RequestTask::new(requests, task.links(), self.flush.clone());
            self.requests.push(AbortOnDropHandle::new(tokio::spawn(at_home(requests.run()))));
        }
        if link.is_some() {
            // At once, so that nobody who does not wait is told that there is no connection.
            self.shared().monitor.up(Side::Publish);
        }
        self.publisher = Some(AbortOnDropHandle::new(tokio::spawn(at_home(task.run(link)))));
    }

    /// Joins the exchanges by which other frameworks reach the other instances; later, where the
    /// broker is not there yet.
    async fn join_fan_outs(&mut self, dialer: &Arc<Dialer>, connected: bool) -> Result<()> {
        for opened in self.parts.channels.take() {
            let joined = match connected {
                true => self.join(dialer, &opened.exchange).await?,
                false => None,
            };
            let (dialer, stop) = (Arc::clone(dialer), self.flush.clone());
            let task = FanOutTask { dialer, opened, stop };
            self.fan_outs.push(AbortOnDropHandle::new(tokio::spawn(at_home(task.run(joined)))));
        }
        Ok(())
    }

    async fn join(&self, dialer: &Dialer, exchange: &str) -> Result<Option<Joined>> {
        let error = match Joined::join(dialer, exchange).await {
            Ok(joined) => return Ok(Some(joined)),
            Err(error) => error,
        };
        if self.goes_on_without_broker() && !error.is_refusal() {
            tracing::warn!(exchange, %error, "the other instances are joined later");
            return Ok(None);
        }
        let address = dialer.broker.address();
        Err(Error::connection(format!("cannot join exchange \"{exchange}\" at {address}"))
            .caused_by(error)
            .advise(
                "it must be a fanout exchange that is not durable: name another one, or delete it \
                 on the broker",
            ))
    }

    fn goes_on_without_broker(&self) -> bool {
        self.parts.settings.start != StartMode::Fail
    }

    /// Consumes over the start's connection; later, where it is lost already and may be.
    async fn start_consuming(
        &self,
        intake: &Intake,
        link: Option<Box<Link>>,
    ) -> Result<Option<Started>> {
        let Some(link) = link else { return Ok(None) };
        let (queue, error) = match intake.start(*link).await {
            Ok(started) => return Ok(Some(started)),
            Err(trouble) => trouble,
        };
        if self.goes_on_without_broker() && !error.is_refusal() {
            intake.dialer.lost(Side::Consume, format!("queue \"{queue}\": {error}"));
            return Ok(None);
        }
        let address = intake.dialer.broker.address();
        Err(Error::connection(format!("cannot consume from queue \"{queue}\" at {address}"))
            .caused_by(error)
            .advise(
                "look into the broker's log; an exclusive consumer may hold the queue, and the \
                 exchange of a consumer for each instance has to be declared",
            ))
    }

    /// Sends what waits for the other instances. What is lost was never promised.
    async fn close_fan_outs(fan_outs: Vec<AbortOnDropHandle<()>>) {
        let _ = timeout(FLUSH + CLOSE, join_all(fan_outs)).await;
    }

    /// Sends and confirms what was accepted, and closes the publishing connection.
    async fn close_publisher(&mut self) -> Result<()> {
        self.flush.cancel();
        // They end at once; what waits for a reply is told so.
        let _ = timeout(CLOSE, join_all(std::mem::take(&mut self.requests))).await;
        let Some(mut publisher) = self.publisher.take() else { return Ok(()) };
        match timeout(FLUSH + CLOSE, &mut publisher).await {
            Ok(_) => Ok(()),
            // A broker that does not answer any more is no fault of this process's end.
            Err(_) if self.parts.app.outbox().messages == 0 => Ok(()),
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
        let (dialer, consumes) = (self.dialer().await?, !self.parts.consumers.is_empty());
        let (publish, consume) = match dialer.first(consumes).await? {
            Some(links) => (Some(links.publish), links.consume.map(Box::new)),
            None => (None, None),
        };
        self.join_fan_outs(&dialer, publish.is_some()).await?;
        self.start_publishing(Arc::clone(&dialer), publish);
        if consumes {
            self.stage = Stage::Bound { dialer, link: consume };
        }
        Ok(())
    }

    async fn serve(&mut self) -> Result<()> {
        let Stage::Bound { dialer, link } = std::mem::replace(&mut self.stage, Stage::Idle) else {
            return Ok(());
        };
        let consumers = std::mem::take(&mut self.parts.consumers);
        let intake = Intake { dialer, shared: Arc::clone(&self.parts.shared), consumers };
        let started = self.start_consuming(&intake, link).await?;
        let watch = SilenceWatch::new(Arc::clone(&intake.dialer), &intake.consumers);
        let watch = watch.run(self.parts.settings.watch_interval, self.shared().stop.clone());
        self.watch = Some(AbortOnDropHandle::new(tokio::spawn(at_home(watch))));
        let running = tokio::spawn(at_home(intake.run(started)));
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
        self.watch = None;
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
        let left = waiting::left(&self.shared().witness, &self.parts.source, &self.parts.plan);
        self.parts.app.keep(left);
        self.parts.source.close().await;
        published
    }

    async fn command(&mut self, call: &CommandCall) -> Result<CommandAnswer> {
        let Parts { app, section, source, settings, plan, .. } = &self.parts;
        let title = app.core().title();
        Commanded { title, section, source, settings, plan }.run(call).await
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
