//! The AMQP framework, as it is loaded and built.

use std::sync::Arc;

use polyport_bootstrap::{
    DEFAULT_NAME, Error, Framework, Registered, Result,
    framework::{Built, CommandArgument, FanOuts, FrameworkContext, SettingsSource},
    operation::Pipeline,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    adapter::Adapter,
    app::AmqpApp,
    attempts::Place,
    commands::COMMANDS,
    consumer::{self, Shared, Worker},
    fan_out::Channels,
    metrics::{ConnectionMetrics, PublishMetrics},
    monitor::{Monitor, Voices},
    publisher::Publisher,
    pulse::Pulse,
    request::Requester,
    routes::{AmqpRoutes, Consumed, PROTOCOL},
    settings::{AmqpSettings, BrokerHealth},
    source::Source,
    start,
    topology::Plan,
    transport::{AmqpTransport, Parts},
};

/// Serves operations from queues of an AMQP 0-9-1 broker (RabbitMQ), and publishes. It reads the
/// section `amqp` of the configuration.
///
/// # Examples
/// ```
/// use polyport_amqp::AmqpFramework;
/// use polyport_bootstrap::{Bootstrap, Config};
///
/// let bootstrap = Bootstrap::new()
///     .load(AmqpFramework::new())
///     .load(|config: &Config| {
///         AmqpFramework::named("orders").configure(config.section("brokers.orders"))
///     });
/// # drop(bootstrap);
/// ```
#[derive(Debug)]
pub struct AmqpFramework {
    name: String,
    pipeline: Pipeline,
    settings: Option<SettingsSource<AmqpSettings>>,
}

impl AmqpFramework {
    /// The framework named `default`.
    #[must_use]
    pub fn new() -> Self {
        Self::named(DEFAULT_NAME)
    }

    /// One with a name of its own, for a second broker; it reads the section `amqp_<name>`.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), pipeline: Pipeline::new(), settings: None }
    }

    /// Adds guards and whatever else is to stand around all operations that it serves.
    #[must_use]
    pub fn pipeline(mut self, add: impl FnOnce(Pipeline) -> Pipeline) -> Self {
        self.pipeline = add(self.pipeline);
        self
    }

    /// Takes these settings, or another section of the configuration.
    #[must_use]
    pub fn configure(mut self, settings: impl Into<SettingsSource<AmqpSettings>>) -> Self {
        self.settings = Some(settings.into());
        self
    }
}

impl Default for AmqpFramework {
    fn default() -> Self {
        Self::new()
    }
}

impl Framework for AmqpFramework {
    type App = AmqpApp;
    type Settings = AmqpSettings;

    /// lapin logs as errors what ends a connection, which is dealt with and told here, and whole
    /// messages that were returned.
    const LOG_DIRECTIVES: &'static str = "lapin=off";

    const COMMANDS: &'static [CommandArgument] = COMMANDS;

    fn name(&self) -> &str {
        &self.name
    }

    fn settings_source(&mut self) -> Option<SettingsSource<AmqpSettings>> {
        self.settings.take()
    }

    fn build(
        self,
        mut settings: AmqpSettings,
        mut context: FrameworkContext<'_>,
    ) -> Result<Built<AmqpApp>> {
        context.add_pipeline(self.pipeline);
        let section = context.section_key().to_owned();
        let startup = context.config().peek_or_default("startup")?;
        start::check_wait(&settings, &section, &startup)?;
        settings.tls = settings.tls.within(context.config().root());
        let environment = context.config().environment();
        let source = Source::of(&settings, environment, &section, context.in_memory())?;
        let mut registered = context.take::<AmqpRoutes>();
        let unfit = consumer::configure(&mut registered, &settings, &section);
        let plan = plan(&registered, &settings, &self.name, &context, unfit)?;
        for stranger in plan.strangers() {
            tracing::warn!("{stranger}, and nobody declares it: it must be on the broker");
        }

        let consumes = registered.iter().any(|module| !module.routes.consumers.is_empty());
        let core = context.core();
        let required = settings.health == BrokerHealth::Required;
        let voices = Voices::new(context.health(), &core.title(), required);
        let metrics = ConnectionMetrics::new(&self.name);
        let monitor = Arc::new(Monitor::new(voices, metrics, consumes));
        let metrics = PublishMetrics::new(&self.name);
        let (publisher, jobs) = Publisher::new(&settings, Arc::clone(&monitor), metrics);
        context.witness().judges(PROTOCOL);
        let shared = shared(&context, &settings, &publisher, &monitor);
        let consumers = consumers(&registered, &shared, &settings, &self.name);
        let (requester, requests) = Requester::new(&settings, Arc::clone(&monitor));
        let embedded = source.is_embedded();
        let settled = settings.clone();
        let app = AmqpApp::new(core, publisher, requester, monitor, embedded, &section, settled);
        if let Some(broker) = source.known() {
            app.set_broker(broker.clone());
        }
        let channels = Arc::new(Channels::new(settings.max_message_size));
        context.shared::<FanOuts>().offer(&section, channels.clone());
        let transport = AmqpTransport::new(Parts {
            app: app.clone(),
            channels,
            section,
            source,
            settings,
            plan,
            shared,
            consumers,
            jobs: Some((jobs, requests)),
        });
        Ok(Built { app, transport: Box::new(transport) })
    }
}

fn plan(
    registered: &[Registered<AmqpRoutes>],
    settings: &AmqpSettings,
    name: &str,
    context: &FrameworkContext<'_>,
    unfit: Vec<Error>,
) -> Result<Arc<Plan>> {
    let (plan, mut errors) = Plan::of(registered, settings, context.section_key());
    errors.extend(unfit);
    for module in registered {
        errors.extend(context.exposures().add(module.exposures(name)).err());
    }
    Error::all("exchanges, queues and consumers do not fit together", errors)?;
    Ok(Arc::new(plan))
}

fn shared(
    context: &FrameworkContext<'_>,
    settings: &AmqpSettings,
    publisher: &Publisher,
    monitor: &Arc<Monitor>,
) -> Arc<Shared> {
    Arc::new(Shared {
        adapter: Adapter {
            container: context.container().clone(),
            envelope: settings.envelope.envelope(),
            codecs: context.codecs(),
            max_body: settings.max_message_size,
        },
        publisher: publisher.clone(),
        monitor: Arc::clone(monitor),
        place: Place::here(),
        witness: context.witness(),
        calls: TaskTracker::new(),
        stop: CancellationToken::new(),
        cut: CancellationToken::new(),
    })
}

fn consumers(
    registered: &[Registered<AmqpRoutes>],
    shared: &Arc<Shared>,
    settings: &AmqpSettings,
    framework: &str,
) -> Vec<Arc<Worker>> {
    let consumed = registered.iter().flat_map(|module| &module.routes.consumers);
    let worker = |consumed: &Consumed| {
        let pulse = Pulse::new(framework, consumed.consumer.name());
        Arc::new(Worker::new(consumed, Arc::clone(shared), settings, pulse))
    };
    consumed.map(worker).collect()
}
