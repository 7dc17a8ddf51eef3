//! What is counted. Alone in its process, since a recorder is the process's.

#![allow(clippy::expect_used, clippy::panic, reason = "a test ends where it fails")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use garde::Validate;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use polyport_amqp::{AmqpApp, AmqpFramework, AmqpModule, Message, PublishMode, testing::AmqpTest};
use polyport_amqp_embedded::EmbeddedBroker;
use polyport_bootstrap::{
    Bootstrap, Fault, Module, ModuleBuilder, Result, operation::Input, testing::create_bootstrap,
};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

struct Consumes;

#[derive(Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
struct Wanted {
    outcome: String,
}

async fn handle(Input(wanted): Input<Wanted>) -> Result<(), Fault> {
    match &*wanted.outcome {
        "park" => Err(Fault::invalid_argument("BAD", "it is of no use")),
        "retry" => Err(Fault::unavailable("AWAY", "not now")),
        _ => Ok(()),
    }
}

impl Module for Consumes {
    fn name(&self) -> &'static str {
        "consumes"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.amqp(|q| q.consume("q", handle));
        Ok(())
    }
}

/// By name and labels, without the framework's: what is counted.
#[derive(Debug, Clone, Default)]
struct Metrics(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Metrics {
    fn handle(&self, key: &Key) -> Arc<AtomicU64> {
        let labels = key.labels().filter(|label| label.key() != "framework");
        let labels: Vec<_> =
            labels.map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::clone(self.0.lock().expect("not poisoned").entry(name).or_default())
    }

    fn value(&self, name: &str) -> f64 {
        let all = self.0.lock().expect("not poisoned");
        let handle = all.get(name).unwrap_or_else(|| panic!("{name} is not among {all:#?}"));
        let bits = handle.load(Ordering::SeqCst);
        if name.contains("_total") { bits as f64 } else { f64::from_bits(bits) }
    }

    /// Waits until a value is as it is to be.
    async fn wait(&self, name: &str, is_so: impl Fn(f64) -> bool) {
        let waiting = async {
            while !is_so(self.value(name)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let reached = timeout(Duration::from_secs(20), waiting).await;
        reached.unwrap_or_else(|_| panic!("{name} is {}", self.value(name)));
    }

    async fn reaches(&self, name: &str, value: f64) {
        self.wait(name, |now| (now - value).abs() < 0.5).await;
    }
}

impl Recorder for Metrics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.handle(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.handle(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// What JSON cannot say: an object whose keys are no strings.
fn list_keys() -> BTreeMap<[u8; 1], u8> {
    BTreeMap::from([([1], 1)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_and_messages_are_counted() {
    let metrics = Metrics::default();
    metrics::set_global_recorder(metrics.clone()).expect("the only one");
    let broker = EmbeddedBroker::start().await.expect("a free port");
    let address = broker.local_addr().expect("it listens");
    let app = create_bootstrap(Bootstrap::new().load(AmqpFramework::new()).module(Consumes))
        .config("amqp.url", broker.url())
        .config("amqp.retry.delays", ["10ms"])
        .config("amqp.publish.outbox", 2);
    let app = app.await.expect("starts");
    for side in ["publish", "consume"] {
        metrics.reaches(&format!("polyport_amqp_connected{{side={side}}}"), 1.0).await;
    }
    for outcome in ["ok", "park", "retry"] {
        let wanted = Wanted { outcome: outcome.to_owned() };
        app.amqp().publish("", "q", &wanted).await;
    }
    metrics.reaches("polyport_amqp_parked_total{queue=q}", 2.0).await;
    metrics.reaches("polyport_amqp_retried_total{queue=q}", 1.0).await;
    metrics.reaches("polyport_amqp_consumed_total{queue=q,outcome=acknowledged}", 4.0).await;
    // Moved to the queue that waits, and twice to the one for the dead.
    metrics.reaches("polyport_amqp_published_total{outcome=ok}", 3.0).await;
    metrics.reaches("polyport_amqp_handling{queue=q}", 0.0).await;
    metrics.reaches("polyport_amqp_publishing{}", 0.0).await;
    let amqp = app.app::<AmqpApp>().expect("loaded");
    let lost = amqp.publish("no such exchange", "q", "x").await;
    lost.expect_err("nobody knows it");
    metrics.reaches("polyport_amqp_published_total{outcome=rejected}", 1.0).await;
    for (message, outcome) in [
        (Message::new("", "q", vec![0; 17 * 1024 * 1024]), "too_large"),
        (Message::new("", "x".repeat(300), ""), "too_large"),
        (Message::new("", "q", "").delay(Duration::MAX), "not_delayed"),
    ] {
        let name = format!("polyport_amqp_published_total{{outcome={outcome}}}");
        let before = metrics.value(&name);
        amqp.publish_message(message).await.expect_err("refused");
        metrics.reaches(&name, before + 1.0).await;
    }
    amqp.publish("", "q", &list_keys()).await.expect_err("no JSON");
    metrics.reaches("polyport_amqp_published_total{outcome=not_json}", 1.0).await;

    broker.stop().await;
    metrics.reaches("polyport_amqp_connected{side=publish}", 0.0).await;
    let failures = "polyport_amqp_connect_failures_total{side=publish}";
    metrics.wait(failures, |count| count >= 1.0).await;
    // Nobody waits for any of them: two are kept, and the third is refused and counted at once.
    let confirmed = metrics.value("polyport_amqp_published_total{outcome=ok}");
    for is_kept in [true, true, false] {
        let message = Message::json("", "q", &Wanted { outcome: "ok".to_owned() }).expect("JSON");
        let accepted = amqp.publish_message(message.mode(PublishMode::FireAndForget)).await;
        assert_eq!(accepted.is_ok(), is_kept, "{accepted:?}");
    }
    assert_eq!(metrics.value("polyport_amqp_published_total{outcome=outbox_full}"), 1.0);
    assert_eq!(metrics.value("polyport_amqp_published_total{outcome=ok}"), confirmed);
    let broker = EmbeddedBroker::builder().address(address).start().await.expect("free again");
    metrics.reaches("polyport_amqp_reconnects_total{side=publish}", 1.0).await;
    metrics.reaches("polyport_amqp_reconnects_total{side=consume}", 1.0).await;
    metrics.reaches("polyport_amqp_connected{side=consume}", 1.0).await;
    metrics.reaches("polyport_amqp_published_total{outcome=ok}", confirmed + 2.0).await;
    assert_eq!(metrics.value("polyport_amqp_published_total{outcome=outbox_full}"), 1.0);
    app.close().await.expect("a clean stop");
    broker.stop().await;
}
