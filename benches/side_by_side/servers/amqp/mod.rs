//! Messages through RabbitMQ, by several clients: what it costs to consume, to publish, and to
//! answer. The servers here are clients of the broker.

mod consume;
mod marks;
mod polyport;
mod publish;
mod reply;

use ::polyport::{Module, Result};
use futures_util::FutureExt;
use lapin::{
    Channel, Connection, ConnectionProperties, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};
use serde::{Deserialize, Serialize};

use super::Serving;
pub(crate) use marks::{MESSAGES, WARM};

/// Where the broker is.
const BROKER: &str = "POLYPORT_TEST_AMQP_URL";

/// The broker's URL, where there is one.
pub(crate) fn url() -> Option<String> {
    std::env::var(BROKER).ok()
}

/// What each message says.
pub(crate) const MESSAGE: &str = r#"{"room":"lobby","text":"hello"}"#;

#[derive(Deserialize, garde::Validate)]
struct Say {
    #[garde(length(min = 1, max = 64))]
    room: String,
    #[garde(length(max = 2000))]
    text: String,
}

#[derive(Serialize)]
struct Said {
    room: String,
    characters: usize,
}

fn said(say: Say) -> Said {
    Said { characters: say.text.len(), room: say.room }
}

/// Which queue a server is to use, and how many messages it may hold: `queue 64`.
struct Task {
    queue: String,
    window: u16,
}

impl Task {
    fn read(argument: &str) -> Result<Self> {
        let (queue, window) = argument.split_once(' ').unwrap_or((argument, "64"));
        Ok(Self { queue: queue.to_owned(), window: window.parse()? })
    }
}

/// The server of that name.
pub(super) fn find(name: &str, argument: &str) -> Option<Serving> {
    let task = Task::read(argument);
    Some(match name {
        "amqp-consume-inline" => Box::pin(consume::inline(task)),
        "amqp-consume-spawn" => Box::pin(consume::spawn(task)),
        "amqp-consume-multiple" => Box::pin(consume::multiple(task)),
        "amqp-consume-not-awaited" => Box::pin(consume::not_awaited(task)),
        "amqp-consume-polyport" => Box::pin(polyport::consume(task)),
        "amqp-publish-lapin" => Box::pin(publish::serve(task)),
        "amqp-publish-polyport" => Box::pin(polyport::publish(task)),
        "amqp-reply-lapin" => Box::pin(reply::serve(task)),
        "amqp-reply-polyport" => Box::pin(polyport::reply(task)),
        _ => return None,
    })
}

async fn connect() -> Result<(Connection, Channel)> {
    let url = url().unwrap_or_default();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

/// Consumes from a queue, which is declared first.
async fn consume_from(channel: &Channel, task: &Task) -> Result<Consumer> {
    let (queue, none) = (ShortString::try_new(task.queue.as_str())?, FieldTable::default());
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.clone(), durable, none.clone()).await?;
    channel.basic_qos(task.window, BasicQosOptions::default()).await?;
    let (tag, options) = (ShortString::default(), BasicConsumeOptions::default());
    Ok(channel.basic_consume(queue, tag, options, none).await?)
}

/// Writes the ack and does not wait until it is sent.
fn ack(channel: &Channel, delivery: &Delivery) {
    let _ = channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).now_or_never();
}

/// A consumer as one of many parts of a process.
pub(super) async fn consumer(connection: &Connection, queue: &str) -> Result<Consumer> {
    let channel = connection.create_channel().await?;
    consume_from(&channel, &Task { queue: queue.to_owned(), window: 64 }).await
}

/// The same as a module.
pub(super) fn module(queue: &'static str) -> impl Module {
    polyport::module(queue.to_owned(), None)
}
