use lapin::{
    Channel,
    options::{ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};

use super::{Exchange, Plan, Queue, TopologyMode, binding::Binding, refused::Undeclared};
use crate::connection::{CLOSE, Link, LinkError, answered, settled};

/// All that the broker did not take or does not have, as far as it could be asked.
#[derive(Debug, Clone)]
pub(crate) struct DeclareError(pub(super) Vec<Undeclared>);

impl Plan {
    /// Declares everything, or looks whether it is there, as the settings say; exclusive queues
    /// are for [`declare_exclusive`](Self::declare_exclusive).
    ///
    /// The broker closes the channel of whoever declares something otherwise than it knows it, so
    /// the link is best one on which nothing else goes on.
    pub(crate) async fn declare(&self, link: &Link) -> Result<(), DeclareError> {
        let queues: Vec<_> = self.queues().filter(|queue| !queue.exclusive).collect();
        let mut asking = Asking::on(link);
        match self.mode {
            TopologyMode::None => return Ok(()),
            TopologyMode::Passive => asking.look_for(self.exchanges(), &queues).await?,
            TopologyMode::Declare => {
                let bound = asking.declare_exchanges(self.exchanges()).await?;
                asking.bind_exchanges(&bound).await?;
                asking.declare_queues(&queues).await?;
            }
        }
        asking.end().await
    }

    /// Declares the exclusive queues, in every mode: they belong to the connection that does so,
    /// which is the one that consumes.
    pub(crate) async fn declare_exclusive(&self, link: &Link) -> Result<(), DeclareError> {
        let queues: Vec<_> = self.queues().filter(|queue| queue.exclusive).collect();
        let mut asking = Asking::on(link);
        asking.declare_queues(&queues).await?;
        asking.end().await
    }
}

/// Asks one thing after the other, each on a channel that is up, and collects what is refused.
struct Asking<'l> {
    link: &'l Link,
    channel: Option<Channel>,
    refused: Vec<Undeclared>,
}

impl<'l> Asking<'l> {
    fn on(link: &'l Link) -> Self {
        Self { link, channel: None, refused: Vec::new() }
    }

    /// Whether the broker has done it. A refusal costs the channel only, and is kept; whatever
    /// else fails ends the asking.
    async fn ask(
        &mut self,
        what: impl FnOnce() -> String,
        method: impl AsyncFnOnce(&Channel) -> Result<(), LinkError>,
    ) -> Result<bool, DeclareError> {
        let asked = match self.channel().await {
            Ok(channel) => method(channel).await,
            Err(error) => Err(error),
        };
        let Err(error) = asked else { return Ok(true) };
        let refused = Undeclared { what: what(), error, passive: false };
        self.refuse(refused).await.map(|()| false)
    }

    /// Whether it is there.
    async fn look(
        &mut self,
        what: impl FnOnce() -> String,
        method: impl AsyncFnOnce(&Channel) -> Result<(), LinkError>,
    ) -> Result<(), DeclareError> {
        if !self.ask(what, method).await?
            && let Some(refused) = self.refused.last_mut()
        {
            refused.passive = true;
        }
        Ok(())
    }

    async fn channel(&mut self) -> Result<&Channel, LinkError> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.link.channel().await?,
        };
        Ok(self.channel.insert(channel))
    }

    async fn refuse(&mut self, refused: Undeclared) -> Result<(), DeclareError> {
        let goes_on = refused.is_refusal();
        self.refused.push(refused);
        if let Some(channel) = self.channel.take() {
            settled(&channel).await;
        }
        if goes_on { Ok(()) } else { Err(DeclareError(std::mem::take(&mut self.refused))) }
    }

    async fn end(self) -> Result<(), DeclareError> {
        if let Some(channel) = self.channel {
            let closing = answered(channel.close(200, "OK".into()));
            let _ = tokio::time::timeout(CLOSE, closing).await;
        }
        if self.refused.is_empty() { Ok(()) } else { Err(DeclareError(self.refused)) }
    }

    async fn look_for(
        &mut self,
        exchanges: impl Iterator<Item = &Exchange>,
        queues: &[&Queue],
    ) -> Result<(), DeclareError> {
        for exchange in exchanges {
            let look = async |channel: &Channel| declare_exchange(channel, exchange, true).await;
            self.look(|| exchange.to_string(), look).await?;
        }
        for queue in queues {
            let look = async |channel: &Channel| declare_queue(channel, queue, true).await;
            self.look(|| queue.to_string(), look).await?;
        }
        Ok(())
    }

    /// Gives those that are there now.
    async fn declare_exchanges<'p>(
        &mut self,
        exchanges: impl Iterator<Item = &'p Exchange>,
    ) -> Result<Vec<&'p Exchange>, DeclareError> {
        let mut declared = Vec::new();
        for exchange in exchanges {
            let declare =
                async |channel: &Channel| declare_exchange(channel, exchange, false).await;
            if self.ask(|| exchange.to_string(), declare).await? {
                declared.push(exchange);
            }
        }
        Ok(declared)
    }

    async fn bind_exchanges(&mut self, exchanges: &[&Exchange]) -> Result<(), DeclareError> {
        for exchange in exchanges {
            for binding in &exchange.bindings {
                let bind =
                    async |channel: &Channel| bind_exchange(channel, exchange, binding).await;
                self.ask(|| told("exchange", &exchange.name, binding), bind).await?;
            }
        }
        Ok(())
    }

    /// Binds those that are there then.
    async fn declare_queues(&mut self, queues: &[&Queue]) -> Result<(), DeclareError> {
        for queue in queues {
            let declare = async |channel: &Channel| declare_queue(channel, queue, false).await;
            if !self.ask(|| queue.to_string(), declare).await? {
                continue;
            }
            for binding in &queue.bindings {
                let bind = async |channel: &Channel| bind_queue(channel, queue, binding).await;
                self.ask(|| told("queue", &queue.name, binding), bind).await?;
            }
        }
        Ok(())
    }
}

async fn declare_exchange(
    channel: &Channel,
    exchange: &Exchange,
    passive: bool,
) -> Result<(), LinkError> {
    let options = ExchangeDeclareOptions {
        passive,
        durable: exchange.durable,
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        ..ExchangeDeclareOptions::default()
    };
    let name = exchange.name.as_str().into();
    let arguments = arguments(&exchange.arguments, passive);
    answered(channel.exchange_declare(name, exchange.kind.lapin(), options, arguments)).await
}

async fn declare_queue(channel: &Channel, queue: &Queue, passive: bool) -> Result<(), LinkError> {
    let options = QueueDeclareOptions {
        passive,
        durable: queue.durable,
        exclusive: queue.exclusive,
        auto_delete: queue.auto_delete,
        ..QueueDeclareOptions::default()
    };
    let name = queue.name.as_str().into();
    let arguments = arguments(&queue.arguments, passive);
    answered(channel.queue_declare(name, options, arguments)).await.map(drop)
}

/// Whoever only looks says nothing of them.
fn arguments(arguments: &super::arguments::Arguments, passive: bool) -> FieldTable {
    if passive { FieldTable::default() } else { arguments.table() }
}

async fn bind_exchange(
    channel: &Channel,
    exchange: &Exchange,
    binding: &Binding,
) -> Result<(), LinkError> {
    answered(channel.exchange_bind(
        exchange.name.as_str().into(),
        binding.exchange.as_str().into(),
        binding.routing_key.as_str().into(),
        ExchangeBindOptions::default(),
        binding.arguments.table(),
    ))
    .await
}

async fn bind_queue(channel: &Channel, queue: &Queue, binding: &Binding) -> Result<(), LinkError> {
    answered(channel.queue_bind(
        queue.name.as_str().into(),
        binding.exchange.as_str().into(),
        binding.routing_key.as_str().into(),
        QueueBindOptions::default(),
        binding.arguments.table(),
    ))
    .await
}

fn told(what: &str, name: &str, binding: &Binding) -> String {
    let Binding { exchange, routing_key, .. } = binding;
    format!("binding of {what} \"{name}\" to exchange \"{exchange}\" with \"{routing_key}\"")
}
