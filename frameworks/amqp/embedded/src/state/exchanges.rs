//! Declaring and deleting exchanges.

use amq_protocol::protocol::{AMQPClass, exchange};

use super::State;
use crate::{
    channel::ChannelKey,
    exception::{Exception, ReplyCode},
    exchange::{Destination, Exchange},
    message::Name,
};

impl State {
    pub(super) fn exchange_declare(
        &mut self,
        key: ChannelKey,
        declare: &exchange::Declare,
    ) -> Result<(), Exception> {
        check_not_default(&declare.exchange)?;
        match self.exchanges.get(&declare.exchange) {
            Some(_) if declare.passive => {}
            Some(exchange) => exchange.check_equivalent(declare)?,
            None if declare.passive => return Err(self.no_such("exchange", &declare.exchange)),
            None => self.create_exchange(declare)?,
        }
        let ok = exchange::AMQPMethod::DeclareOk(exchange::DeclareOk {});
        self.reply(key, declare.nowait, AMQPClass::Exchange(ok));
        Ok(())
    }

    fn create_exchange(&mut self, declare: &exchange::Declare) -> Result<(), Exception> {
        self.reserved("exchange", &declare.exchange)?;
        let label = self.label("exchange", &declare.exchange);
        let exchange = Exchange::new(declare, label)?;
        self.exchanges.insert(declare.exchange.clone(), exchange);
        Ok(())
    }

    pub(super) fn exchange_delete(
        &mut self,
        key: ChannelKey,
        delete: &exchange::Delete,
    ) -> Result<(), Exception> {
        check_not_default(&delete.exchange)?;
        self.check_deletable(delete)?;
        self.remove_exchange(&delete.exchange);
        let ok = exchange::AMQPMethod::DeleteOk(exchange::DeleteOk {});
        self.reply(key, delete.nowait, AMQPClass::Exchange(ok));
        Ok(())
    }

    fn check_deletable(&self, delete: &exchange::Delete) -> Result<(), Exception> {
        let label = || self.label("exchange", &delete.exchange);
        if delete.exchange.as_str().starts_with("amq.") {
            let text = format!("deletion of system {} not allowed", label());
            return Err(ReplyCode::AccessRefused.because(text));
        }
        let exchange = self.exchanges.get(&delete.exchange);
        let in_use = exchange.is_some_and(|exchange| !exchange.bindings.is_empty());
        if delete.if_unused && in_use {
            return Err(ReplyCode::PreconditionFailed.because(format!("{} in use", label())));
        }
        Ok(())
    }

    pub(super) fn remove_exchange(&mut self, name: &Name) {
        if self.exchanges.remove(name).is_some() {
            self.remove_bindings_to(&Destination::Exchange(name.clone()));
        }
    }

    /// Removes all bindings that lead to `destination`, which is gone.
    pub(super) fn remove_bindings_to(&mut self, destination: &Destination) {
        let mut unused = Vec::new();
        for (name, exchange) in &mut self.exchanges {
            let before = exchange.bindings.len();
            exchange.bindings.retain(|binding| binding.destination != *destination);
            if exchange.bindings.len() < before {
                unused.push(name.clone());
            }
        }
        for name in unused {
            self.remove_exchange_if_unused(&name);
        }
    }

    /// Removes an auto-delete exchange that has just lost a binding, when it was the last.
    pub(super) fn remove_exchange_if_unused(&mut self, name: &Name) {
        let exchange = self.exchanges.get(name);
        if exchange.is_some_and(|exchange| exchange.auto_delete && exchange.bindings.is_empty()) {
            self.remove_exchange(name);
        }
    }
}

/// # Errors
/// 403: the default exchange can be neither declared, deleted nor bound.
pub(super) fn check_not_default(exchange: &Name) -> Result<(), Exception> {
    if exchange.as_str().is_empty() {
        let text = "operation not permitted on the default exchange";
        return Err(ReplyCode::AccessRefused.because(text));
    }
    Ok(())
}
