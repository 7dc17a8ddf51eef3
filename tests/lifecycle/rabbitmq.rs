//! RabbitMQ: the one that the tests share, and one that a test owns and may kill.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicPublishOptions, QueueDeclareOptions},
    types::FieldTable,
};
use polyport::testing::AmqpClient;
use polyport_proto::helloworld::HelloRequest;

use crate::program::{unique, within};

/// The URL of the one that the tests share. `None` where there is none and need not be.
pub(crate) fn shared() -> Option<String> {
    if let Ok(url) = std::env::var("POLYPORT_TEST_AMQP_URL") {
        return Some(url);
    }
    missing("no RabbitMQ: run the tests by scripts/test");
    None
}

/// In CI, what cannot be tested is a failure; elsewhere it is told.
fn missing(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("skipped: {why}");
}

/// A queue that no other test uses, as any client sees it.
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) client: AmqpClient,
    url: String,
}

impl Queue {
    pub(crate) fn on(url: &str) -> Self {
        Self { name: unique(), client: AmqpClient::new(url), url: url.to_owned() }
    }

    /// What the name of a queue that belongs to it ends in.
    pub(crate) fn beside(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.name)
    }

    /// Sends what operations of the fixtures take.
    pub(crate) async fn send(&self, queue: &str, name: &str) {
        self.client.publish("", queue, &HelloRequest { name: name.to_owned() }).await;
    }

    /// Declares the queue as polyport does, and publishes bare bodies: no header and no property.
    pub(crate) async fn fill(&self, body: &str, count: usize) {
        let connection = Connection::connect(&self.url, ConnectionProperties::default());
        let connection = within(connection).await.expect("connects");
        let channel = connection.create_channel().await.expect("opens");
        self.declare(&channel).await;
        for _ in 0..count {
            let (name, options) = (self.name.as_str().into(), BasicPublishOptions::default());
            let properties = BasicProperties::default();
            let sent = channel.basic_publish("".into(), name, options, body.as_bytes(), properties);
            sent.await.expect("is sent").await.expect("needs no confirmation");
        }
        // What was sent before it has arrived when this is answered.
        self.declare(&channel).await;
        connection.close(200, "done".into()).await.expect("closes");
    }

    async fn declare(&self, channel: &Channel) {
        let (name, options) = (self.name.as_str().into(), QueueDeclareOptions::durable());
        channel.queue_declare(name, options, FieldTable::default()).await.expect("is declared");
    }

    /// How many messages wait with the broker.
    pub(crate) async fn depth(&self) -> usize {
        self.client.queue_depth(&self.name).await as usize
    }

    pub(crate) async fn delete(self, suffixes: &[&str]) {
        self.client.delete(&self.name).await;
        for suffix in suffixes {
            self.client.delete(&self.beside(suffix)).await;
        }
    }
}

/// A RabbitMQ that belongs to one test, which may kill it; it is stopped and removed at the end.
pub(crate) struct Owned {
    name: String,
    pub(crate) url: String,
}

impl Owned {
    /// `None` where there is no RabbitMQ and need not be.
    pub(crate) fn start() -> Option<Self> {
        shared()?;
        if !Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server").exists() {
            missing("no RabbitMQ on this machine that could be killed: scripts/rabbitmq install");
            return None;
        }
        let name = format!("killed-{}", uuid::Uuid::now_v7().simple());
        let mut owned = Self { name, url: String::new() };
        owned.restart();
        Some(owned)
    }

    /// Starts it, on the ports and with the data that it had.
    pub(crate) fn restart(&mut self) {
        let output = self.script("start").output().expect("the script runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.url = String::from_utf8(output.stdout).expect("is text").trim().to_owned();
    }

    /// SIGKILL: nothing is closed in order, and nothing said to anybody.
    pub(crate) fn kill(&self) {
        let pid = std::fs::read_to_string(self.files().join("pid")).expect("runs");
        let pid = pid.split_whitespace().next().expect("its process id");
        let killed = Command::new("kill").args(["-KILL", pid]).status().expect("kill runs");
        assert!(killed.success());
    }

    fn script(&self, action: &str) -> Command {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/rabbitmq"));
        command.args([action, "--name", &self.name]);
        command
    }

    fn files(&self) -> PathBuf {
        let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("run/rabbitmq");
        run.join(&self.name)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.script("stop").arg("--purge").output();
        let _ = std::fs::remove_file(self.files().with_extension("lock"));
    }
}
