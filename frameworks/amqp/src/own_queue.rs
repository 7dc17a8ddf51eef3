//! Queues that one instance has for itself: the broker names them, and they are gone with their
//! consumer, or at the latest with the connection.

use lapin::{
    Channel,
    options::{QueueBindOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};

use crate::connection::{LinkError, answered};

/// Declares one, and gives its name.
pub(crate) async fn declare(channel: &Channel) -> Result<ShortString, LinkError> {
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let declaring = channel.queue_declare("".into(), options, FieldTable::default());
    Ok(answered(declaring).await?.name().clone())
}

/// Has `exchange` route messages with this key to it.
pub(crate) async fn bind(
    channel: &Channel,
    queue: &ShortString,
    exchange: &str,
    key: &str,
) -> Result<(), LinkError> {
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let (queue, exchange, key) = (queue.clone(), exchange.into(), key.into());
    answered(channel.queue_bind(queue, exchange, key, options, none)).await
}
