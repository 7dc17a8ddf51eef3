//! What the harness itself says to the broker.

use std::{
    process,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{FieldTable, ShortString},
};
use polyport::{Error, Result};
use tokio::runtime::{Builder, Runtime};

use crate::servers::amqp::{MESSAGE, url};

/// A queue of this run alone, deleted when this is dropped.
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) channel: Channel,
    pub(super) runtime: Runtime,
    _connection: Connection,
}

impl Queue {
    pub(super) fn declare() -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("side-by-side.{}.{}", process::id(), COUNT.fetch_add(1, Relaxed));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (connection, channel) = runtime.block_on(async {
            let url = url().unwrap_or_default();
            let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            let queue = ShortString::try_new(name.as_str())?;
            channel.queue_declare(queue, durable, FieldTable::default()).await?;
            Ok::<_, Error>((connection, channel))
        })?;
        Ok(Self { name, channel, runtime, _connection: connection })
    }

    /// Puts messages into it, and waits until they are there.
    pub(super) fn fill(&self, messages: u64) -> Result<()> {
        let (queue, properties) = (ShortString::try_new(self.name.as_str())?, json());
        self.runtime.block_on(async {
            self.channel.confirm_select(ConfirmSelectOptions::default()).await?;
            for _ in 0..messages {
                let (exchange, options) = (ShortString::default(), BasicPublishOptions::default());
                let properties = properties.clone();
                let body = MESSAGE.as_bytes();
                self.channel
                    .basic_publish(exchange, queue.clone(), options, body, properties)
                    .await?;
            }
            self.channel.wait_for_confirms().await?;
            Ok(())
        })
    }
}

/// What messages say of themselves.
pub(super) fn json() -> BasicProperties {
    BasicProperties::default().with_content_type("application/json".into())
}

impl Drop for Queue {
    fn drop(&mut self) {
        for name in [self.name.clone(), format!("{}.dead", self.name)] {
            let delete = async {
                let options = QueueDeleteOptions::default();
                drop(self.channel.queue_delete(ShortString::try_new(name)?, options).await);
                Ok::<_, Error>(())
            };
            let _ = self.runtime.block_on(delete);
        }
    }
}
