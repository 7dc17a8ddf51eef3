//! The chat server in a test, on either broker.

use std::{
    ops::Deref,
    process::Command,
    sync::{Mutex, PoisonError},
};

use polyport::{
    Bootstrap,
    testing::{Received, TestApp, WebSocketClient, create_bootstrap},
};
use serde_json::Value;

/// Which broker a test runs against.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Broker {
    Embedded,
    Rabbit,
}

/// Runs each test on its own application, once with the broker in memory and once with RabbitMQ.
macro_rules! on_both_brokers {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::support::run(crate::support::Broker::Embedded, super::$name).await;
            })*
        }

        mod rabbitmq {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::support::run(crate::support::Broker::Rabbit, super::$name).await;
            })*
        }
    };
}
pub(crate) use on_both_brokers;

/// A running chat server.
#[derive(Debug)]
pub(crate) struct Im(TestApp);

impl Deref for Im {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.0
    }
}

impl Im {
    pub(crate) async fn close(self) {
        self.0.close().await.expect("stops cleanly");
    }
}

/// Starts the chat server for one test and stops it afterwards.
pub(crate) async fn run(broker: Broker, test: impl AsyncFnOnce(&Im)) {
    let Some(im) = start(broker, polyport_im::bootstrap()).await else { return };
    test(&im).await;
    im.close().await;
}

/// Starts `bootstrap` on `broker`; `None` where there is no RabbitMQ and need not be.
pub(crate) async fn start(broker: Broker, bootstrap: Bootstrap) -> Option<Im> {
    let test = create_bootstrap(bootstrap).variables::<&str, &str>([]);
    let test = match broker {
        Broker::Embedded => test,
        Broker::Rabbit => test.config("amqp.url", rabbitmq_vhost()?),
    };
    Some(Im(test.await.expect("starts")))
}

/// How many vhosts one call of rabbitmqctl makes: the call takes longer than a vhost.
const BATCH: usize = 8;

/// The URL of a vhost that no other test uses. `None` where no RabbitMQ is there, which is said;
/// in CI it is a failure.
pub(crate) fn rabbitmq_vhost() -> Option<String> {
    static SPARE: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let Ok(url) = std::env::var("POLYPORT_TEST_AMQP_URL") else {
        assert!(std::env::var_os("CI").is_none(), "no RabbitMQ: run the tests by scripts/test");
        eprintln!("skipped: no RabbitMQ; run the tests by scripts/test");
        return None;
    };
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    if spare.is_empty() {
        *spare = create_vhosts();
    }
    let vhost = spare.pop().expect("a batch is not empty");
    let broker = url.rsplit_once('/').expect("an AMQP URL ends in a vhost").0;
    Some(format!("{broker}/{vhost}"))
}

fn create_vhosts() -> Vec<String> {
    let names: Vec<_> = (0..BATCH).map(|_| format!("t{}", unique())).collect();
    let each = names.iter().map(|name| format!("<<\"{name}\">>")).collect::<Vec<_>>().join(",");
    let program = format!(
        "[begin rabbit_vhost:add(V, <<\"guest\">>), rabbit_auth_backend_internal:set_permissions(\
         <<\"guest\">>, V, <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"guest\">>) end || V <- [{each}]]."
    );
    let instance = std::env::var("POLYPORT_TEST_RABBITMQ").unwrap_or_else(|_| "default".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/rabbitmq");
    let output = Command::new(script)
        .args(["ctl", "--name", &instance, "--", "eval", &program])
        .output()
        .expect("the script runs");
    assert!(output.status.success(), "vhosts: {}", String::from_utf8_lossy(&output.stderr));
    names
}

/// A word that no other test of any process uses.
pub(crate) fn unique() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// The next message that is pushed to a client.
pub(crate) async fn pushed(socket: &mut WebSocketClient) -> Value {
    socket.expect_frame("message").await["data"].take()
}

/// The very next frame.
pub(crate) async fn frame(socket: &mut WebSocketClient) -> Value {
    match socket.next().await {
        Received::Frame(frame) => frame,
        other => panic!("no frame, but {other:?}"),
    }
}
