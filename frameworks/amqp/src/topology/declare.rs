use std::collections::BTreeMap;

use lapin::{
    Channel,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use serde_json::Value;

use super::{Exchange, Plan, Queue};
use crate::{
    connection::{Link, LinkError, answered, settled},
    headers,
};

/// What could not be declared, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: {error}")]
pub(crate) struct DeclareError {
    pub(crate) what: String,
    #[source]
    pub(crate) error: LinkError,
}

impl Plan {
    /// Declares everything, on a channel of its own: the broker closes the channel of whoever
    /// declares something otherwise than it knows it.
    pub(crate) async fn declare(&self, link: &Link) -> Result<(), DeclareError> {
        if self.exchanges().next().is_none() && self.queues().next().is_none() {
            return Ok(());
        }
        let opened = link.channel().await;
        let channel =
            opened.map_err(|error| DeclareError { what: "a channel".to_owned(), error })?;
        let declared = self.declare_on(&channel).await;
        match &declared {
            Ok(()) => drop(answered(channel.close(200, "OK".into())).await),
            Err(_) => settled(&channel).await,
        }
        declared
    }

    async fn declare_on(&self, channel: &Channel) -> Result<(), DeclareError> {
        for exchange in self.exchanges() {
            declare_exchange(channel, exchange)
                .await
                .map_err(|error| DeclareError { what: exchange.to_string(), error })?;
        }
        for queue in self.queues() {
            declare_queue(channel, queue)
                .await
                .map_err(|error| DeclareError { what: queue.to_string(), error })?;
        }
        for queue in self.queues() {
            bind(channel, queue).await?;
        }
        Ok(())
    }
}

async fn declare_exchange(channel: &Channel, exchange: &Exchange) -> Result<(), LinkError> {
    let options = ExchangeDeclareOptions {
        durable: exchange.durable,
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        ..ExchangeDeclareOptions::default()
    };
    let name = exchange.name.as_str().into();
    let arguments = table(&exchange.arguments);
    answered(channel.exchange_declare(name, exchange.kind.lapin(), options, arguments)).await
}

async fn declare_queue(channel: &Channel, queue: &Queue) -> Result<(), LinkError> {
    let options = QueueDeclareOptions {
        durable: queue.durable,
        auto_delete: queue.auto_delete,
        ..QueueDeclareOptions::default()
    };
    let name = queue.name.as_str().into();
    answered(channel.queue_declare(name, options, table(&queue.arguments))).await.map(drop)
}

async fn bind(channel: &Channel, queue: &Queue) -> Result<(), DeclareError> {
    for binding in &queue.bindings {
        answered(channel.queue_bind(
            queue.name.as_str().into(),
            binding.exchange.as_str().into(),
            binding.routing_key.as_str().into(),
            QueueBindOptions::default(),
            table(&binding.arguments),
        ))
        .await
        .map_err(|error| DeclareError {
            what: format!(
                "binding of queue \"{}\" to exchange \"{}\" with \"{}\"",
                queue.name, binding.exchange, binding.routing_key,
            ),
            error,
        })?;
    }
    Ok(())
}

fn table(arguments: &BTreeMap<String, Value>) -> FieldTable {
    headers::table(arguments)
}
