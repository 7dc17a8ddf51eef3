//! Binding queues and exchanges to exchanges.

use amq_protocol::{
    protocol::{AMQPClass, exchange, queue},
    types::FieldTable,
};

use super::{State, exchanges::check_not_default};
use crate::{channel::ChannelKey, exception::Exception, exchange::Destination, message::Name};

impl State {
    pub(super) fn queue_bind(
        &mut self,
        key: ChannelKey,
        bind: queue::Bind,
    ) -> Result<(), Exception> {
        let (queue, routing_key) = self.bound(key, bind.queue, bind.routing_key)?;
        check_not_default(&bind.exchange)?;
        self.accessible(key, &queue)?;
        self.bind(&bind.exchange, Destination::Queue(queue), routing_key, bind.arguments)?;
        let ok = queue::AMQPMethod::BindOk(queue::BindOk {});
        self.reply(key, bind.nowait, AMQPClass::Queue(ok));
        Ok(())
    }

    pub(super) fn queue_unbind(
        &mut self,
        key: ChannelKey,
        unbind: queue::Unbind,
    ) -> Result<(), Exception> {
        let (queue, routing_key) = self.bound(key, unbind.queue, unbind.routing_key)?;
        check_not_default(&unbind.exchange)?;
        if self.queues.contains_key(&queue) {
            self.accessible(key, &queue)?;
        }
        let destination = Destination::Queue(queue);
        self.unbind(&unbind.exchange, &destination, &routing_key, &unbind.arguments);
        let ok = queue::AMQPMethod::UnbindOk(queue::UnbindOk {});
        self.reply(key, false, AMQPClass::Queue(ok));
        Ok(())
    }

    /// Queue and routing key of a binding. When both are left empty, the name of the channel's
    /// last declared queue stands for both.
    fn bound(
        &mut self,
        key: ChannelKey,
        queue: Name,
        routing_key: Name,
    ) -> Result<(Name, Name), Exception> {
        let both_empty = queue.as_str().is_empty() && routing_key.as_str().is_empty();
        let queue = self.queue_name(key, queue)?;
        let routing_key = if both_empty { queue.clone() } else { routing_key };
        Ok((queue, routing_key))
    }

    pub(super) fn exchange_bind(
        &mut self,
        key: ChannelKey,
        bind: exchange::Bind,
    ) -> Result<(), Exception> {
        check_not_default(&bind.source)?;
        check_not_default(&bind.destination)?;
        if !self.exchanges.contains_key(&bind.destination) {
            return Err(self.no_such("exchange", &bind.destination));
        }
        let destination = Destination::Exchange(bind.destination);
        self.bind(&bind.source, destination, bind.routing_key, bind.arguments)?;
        let ok = exchange::AMQPMethod::BindOk(exchange::BindOk {});
        self.reply(key, bind.nowait, AMQPClass::Exchange(ok));
        Ok(())
    }

    pub(super) fn exchange_unbind(
        &mut self,
        key: ChannelKey,
        unbind: exchange::Unbind,
    ) -> Result<(), Exception> {
        check_not_default(&unbind.source)?;
        check_not_default(&unbind.destination)?;
        let destination = Destination::Exchange(unbind.destination);
        self.unbind(&unbind.source, &destination, &unbind.routing_key, &unbind.arguments);
        let ok = exchange::AMQPMethod::UnbindOk(exchange::UnbindOk {});
        self.reply(key, unbind.nowait, AMQPClass::Exchange(ok));
        Ok(())
    }

    fn bind(
        &mut self,
        source: &Name,
        destination: Destination,
        routing_key: Name,
        arguments: FieldTable,
    ) -> Result<(), Exception> {
        match self.exchanges.get_mut(source) {
            Some(exchange) => exchange.bind(destination, routing_key, arguments),
            None => return Err(self.no_such("exchange", source)),
        }
        Ok(())
    }

    /// Removing a binding that does not exist is no error, as in RabbitMQ.
    fn unbind(
        &mut self,
        source: &Name,
        destination: &Destination,
        routing_key: &Name,
        arguments: &FieldTable,
    ) {
        let exchange = self.exchanges.get_mut(source);
        if exchange.is_some_and(|exchange| exchange.unbind(destination, routing_key, arguments)) {
            self.remove_exchange_if_unused(source);
        }
    }
}
