//! Brokers, applications and what their operations report.

use std::{
    env,
    future::Future,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use garde::Validate;
use polyport_amqp::{
    AmqpFramework, AmqpModule, AmqpRoutes, Delivery, Settlement,
    testing::{AmqpClient, TestMessage},
};
use polyport_amqp_embedded::EmbeddedBroker;
use polyport_bootstrap::{
    Bootstrap, Health, Module, ModuleBuilder, Result,
    framework::{Recorded, RecordedKind},
    testing::{TestApp, TestBootstrap, create_bootstrap},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Mutex, Semaphore, mpsc},
    time::timeout,
};

use crate::proxy::Proxy;

/// The longest that anything in a test may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A broker for one test, with names of its own.
pub(crate) struct TestBroker {
    url: String,
    pub(crate) proxy: Proxy,
    pub(crate) client: AmqpClient,
    prefix: String,
}

impl TestBroker {
    async fn at(url: &str) -> Arc<Self> {
        let (head, rest) = url.rsplit_once('@').expect("credentials");
        let (address, vhost) = rest.split_once('/').expect("a virtual host");
        let proxy = Proxy::to(address.to_owned()).await;
        Arc::new(Self {
            url: format!("{head}@127.0.0.1:{}/{vhost}", proxy.port),
            proxy,
            client: AmqpClient::new(url),
            prefix: uuid::Uuid::now_v7().simple().to_string(),
        })
    }

    /// The URL, by way of the proxy.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A name that no other test uses.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("test.{}.{name}", self.prefix)
    }

    /// An application with these routes; two short delays between attempts.
    pub(crate) fn app(
        &self,
        probe: &Arc<Probe>,
        routes: impl Fn(AmqpRoutes) -> AmqpRoutes + Send + Sync + 'static,
    ) -> TestBootstrap {
        create_bootstrap(bootstrap(probe, routes))
            .config("amqp.url", self.url())
            .config("amqp.retry.delays", ["100ms", "200ms"])
    }

    /// Waits for a message and checks that no other is there.
    pub(crate) async fn only_message(&self, queue: &str) -> TestMessage {
        let message = self.client.expect_on(queue).await;
        assert!(self.client.get(queue).await.is_none(), "one message is expected in {queue}");
        message
    }

    pub(crate) async fn delete(&self, queue: &str) {
        for suffix in ["", ".dead", ".retry.100ms", ".retry.200ms"] {
            self.client.delete(&format!("{queue}{suffix}")).await;
        }
    }
}

pub(crate) async fn with_embedded<F: Future<Output = ()>>(test: impl FnOnce(Arc<TestBroker>) -> F) {
    let broker = EmbeddedBroker::start().await.expect("a free port");
    let run = async { test(TestBroker::at(&broker.url()).await).await };
    timeout(Duration::from_secs(60), run).await.expect("the test hangs");
    broker.stop().await;
}

pub(crate) async fn with_rabbitmq<F: Future<Output = ()>>(test: impl FnOnce(Arc<TestBroker>) -> F) {
    let Ok(url) = env::var("POLYPORT_TEST_AMQP_URL") else {
        assert!(env::var_os("CI").is_none(), "no RabbitMQ: run the tests by scripts/test");
        return;
    };
    let run = async { test(TestBroker::at(&url).await).await };
    timeout(Duration::from_secs(60), run).await.expect("the test hangs");
}

pub(crate) fn bootstrap(
    probe: &Arc<Probe>,
    routes: impl Fn(AmqpRoutes) -> AmqpRoutes + Send + Sync + 'static,
) -> Bootstrap {
    let module = TestModule { probe: Arc::clone(probe), routes };
    Bootstrap::new().load(AmqpFramework::new()).module(module)
}

struct TestModule<F> {
    probe: Arc<Probe>,
    routes: F,
}

impl<F> Module for TestModule<F>
where
    F: Fn(AmqpRoutes) -> AmqpRoutes + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        "test"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.provide_value(Arc::clone(&self.probe)).amqp(&self.routes);
        Ok(())
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, Validate, PartialEq)]
pub(crate) struct Text {
    #[garde(length(min = 1))]
    pub(crate) text: String,
}

pub(crate) fn text(text: &str) -> Text {
    Text { text: text.to_owned() }
}

/// What an operation saw.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) text: String,
    pub(crate) delivery: Delivery,
    pub(crate) at: Instant,
}

/// Where operations report to, and where they wait for leave to go on.
#[derive(Debug)]
pub(crate) struct Probe {
    seen: mpsc::UnboundedSender<Seen>,
    reports: Mutex<mpsc::UnboundedReceiver<Seen>>,
    gate: Semaphore,
    /// Settlements that an operation keeps.
    pub(crate) kept: Mutex<Vec<Settlement>>,
    /// Whether the trouble that an operation has is over.
    pub(crate) mended: AtomicBool,
}

impl Probe {
    pub(crate) fn new() -> Arc<Self> {
        let (seen, reports) = mpsc::unbounded_channel();
        Arc::new(Self {
            seen,
            reports: Mutex::new(reports),
            gate: Semaphore::new(0),
            kept: Mutex::default(),
            mended: AtomicBool::new(false),
        })
    }

    pub(crate) fn report(&self, text: Text, delivery: Delivery) {
        let _ = self.seen.send(Seen { text: text.text, delivery, at: Instant::now() });
    }

    /// The next report.
    pub(crate) async fn next(&self) -> Seen {
        let mut reports = self.reports.lock().await;
        timeout(LIMIT, reports.recv()).await.expect("no operation reports").expect("a report")
    }

    /// The reports that are there now.
    pub(crate) async fn rest(&self) -> Vec<String> {
        let mut reports = self.reports.lock().await;
        std::iter::from_fn(|| reports.try_recv().ok()).map(|seen| seen.text).collect()
    }

    /// Waits, in an operation, for [`open`](Self::open).
    pub(crate) async fn pass(&self) {
        self.gate.acquire().await.expect("never closed").forget();
    }

    /// Lets so many operations go on.
    pub(crate) fn open(&self, count: usize) {
        self.gate.add_permits(count);
    }
}

/// Waits until what can only be looked at is so.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LIMIT, waiting).await.expect("it never holds");
}

/// Waits until the application says that it is connected, or not.
pub(crate) async fn until_connected(app: &TestApp, connected: bool) {
    let app = app.app::<polyport_amqp::AmqpApp>().expect("loaded");
    let mut changes = app.state_changes();
    let waiting = changes.wait_for(|state| state.connected == connected);
    timeout(LIMIT, waiting).await.expect("the state does not change").expect("it lives");
}

/// Waits until a component of health is down for a reason that names `part`, or up again.
pub(crate) async fn until_told(app: &TestApp, component: &str, part: Option<&str>) {
    let health = app.container().get::<Health>().await.expect("provided");
    let mut changes = health.watch();
    let is_told = || {
        let components = health.readiness().components;
        let reason = components.into_iter().find(|one| one.name == component)?.reason;
        (reason.is_some() == part.is_some()).then_some(())?;
        part.is_none_or(|part| reason.is_some_and(|reason| reason.contains(part))).then_some(())
    };
    let told = async {
        while is_told().is_none() {
            changes.changed().await;
        }
    };
    let told = timeout(LIMIT, told).await;
    assert!(told.is_ok(), "{component} {part:?}: {:?}", health.readiness());
}

/// Waits for a line of the application's log that names both: a queue, say, and what is told of it.
pub(crate) async fn until_logged(app: &TestApp, name: &str, what: &str) {
    let tells = |line: &Recorded| {
        let text = line.text.as_deref().unwrap_or_default();
        line.kind == RecordedKind::Logged && text.contains(name) && text.contains(what)
    };
    app.recorder().wait_for(tells).await;
}

/// The report of a start that must fail.
pub(crate) async fn start_error(bootstrap: TestBootstrap) -> String {
    let started = timeout(LIMIT, bootstrap).await.expect("the start hangs");
    let report = format!("{:?}", started.map(drop).expect_err("the start must fail"));
    // A report is wrapped; its words are not.
    report.split_whitespace().collect::<Vec<_>>().join(" ")
}
