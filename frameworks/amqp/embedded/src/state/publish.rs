//! Publishing: routing, returns, confirms and direct replies.

use std::{collections::HashSet, sync::Arc};

use amq_protocol::{
    protocol::{BasicProperties, basic},
    types::FieldTable,
};
use bytes::Bytes;

use super::{REPLY_TO, State, no_such};
use crate::{
    arguments,
    channel::ChannelKey,
    exception::{Exception, ReplyCode},
    exchange::Destination,
    message::{Message, Name},
};

impl State {
    /// Carries out a publish whose content is complete.
    ///
    /// # Errors
    /// 404 for an unknown exchange, 403 for an internal one, 406 for properties that cannot be,
    /// 540 for `immediate`.
    pub(crate) fn publish(
        &mut self,
        key: ChannelKey,
        publish: basic::Publish,
        properties: BasicProperties,
        body: Bytes,
    ) -> Result<(), Exception> {
        self.check_publish(&publish, &properties)?;
        let message = Arc::new(Message {
            properties: self.with_reply_address(key, properties)?,
            exchange: publish.exchange,
            routing_key: publish.routing_key,
            body,
        });
        let may_refuse = self.channel(key)?.wants_confirms();
        let accepted = match self.distribute(&message, may_refuse) {
            Some(accepted) => accepted,
            None => {
                self.unroutable(key, publish.mandatory, &message);
                true
            }
        };
        self.channel(key)?.confirm(accepted);
        Ok(())
    }

    fn check_publish(
        &self,
        publish: &basic::Publish,
        properties: &BasicProperties,
    ) -> Result<(), Exception> {
        if publish.immediate {
            return Err(ReplyCode::NotImplemented.because("immediate=true"));
        }
        let exchange = self.exchanges.get(&publish.exchange);
        let missing = || no_such(&self.vhost, "exchange", &publish.exchange);
        if exchange.ok_or_else(missing)?.internal {
            let label = self.label("exchange", &publish.exchange);
            let text = format!("cannot publish to internal {label}");
            return Err(ReplyCode::AccessRefused.because(text));
        }
        let expiration = properties.expiration().as_ref();
        expiration.map_or(Ok(()), |text| arguments::expiration(text.as_str()).map(drop))
    }

    /// Replaces the pseudo-address of direct replies by the channel's own.
    fn with_reply_address(
        &mut self,
        key: ChannelKey,
        properties: BasicProperties,
    ) -> Result<BasicProperties, Exception> {
        if properties.reply_to().as_ref().is_none_or(|to| to.as_str() != REPLY_TO) {
            return Ok(properties);
        }
        let missing =
            || ReplyCode::PreconditionFailed.because("fast reply consumer does not exist");
        let reply = self.channel(key)?.reply_consumer.clone().ok_or_else(missing)?;
        Ok(properties.with_reply_to(reply.address))
    }

    /// Sends a message wherever it is routed to; says whether all queues took it, and `None` when
    /// there are none.
    fn distribute(&mut self, message: &Arc<Message>, may_refuse: bool) -> Option<bool> {
        if let Some(delivered) = self.reply_directly(message) {
            return delivered.then_some(true);
        }
        let queues = self.route(&message.exchange, &message.routing_key, message.headers());
        let mut accepted = (!queues.is_empty()).then_some(true)?;
        if may_refuse && self.is_refused(&queues) {
            return Some(false);
        }
        for queue in queues {
            accepted &= self.enqueue(&queue, message);
        }
        Some(accepted)
    }

    /// Delivers a direct reply; says whether somebody waits for it, and `None` when it is none.
    fn reply_directly(&mut self, message: &Arc<Message>) -> Option<bool> {
        let address = message.routing_key.as_str();
        if !message.exchange.as_str().is_empty() || !address.starts_with(REPLY_TO) {
            return None;
        }
        let channel = self.replies.get(&message.routing_key);
        let channel = channel.and_then(|key| self.channels.get_mut(key));
        let waiting = channel.and_then(|channel| {
            let tag = channel.reply_consumer.as_ref()?.tag.clone();
            channel.deliver_reply(tag, Arc::clone(message));
            Some(())
        });
        Some(waiting.is_some())
    }

    /// The queues that a message reaches from `exchange`, each once, through bound exchanges too.
    pub(super) fn route(
        &self,
        exchange: &Name,
        key: &Name,
        headers: Option<&FieldTable>,
    ) -> Vec<Name> {
        if exchange.as_str().is_empty() {
            return self.queues.contains_key(key).then(|| key.clone()).into_iter().collect();
        }
        let (mut queues, mut seen, mut open) = (Vec::new(), HashSet::new(), vec![exchange]);
        let mut seen_exchanges = HashSet::from([exchange]);
        while let Some(name) = open.pop() {
            let Some(exchange) = self.exchanges.get(name) else {
                continue;
            };
            let (mut matched, mut next) = (false, Vec::new());
            for destination in exchange.targets(key, headers) {
                matched = true;
                match destination {
                    _ if !seen.insert(destination) => {}
                    Destination::Queue(queue) => queues.push(queue.clone()),
                    Destination::Exchange(exchange) => next.push(exchange),
                }
            }
            next.extend(exchange.alternate.as_ref().filter(|_| !matched));
            open.extend(next.into_iter().filter(|next| seen_exchanges.insert(next)));
        }
        queues
    }

    fn unroutable(&mut self, key: ChannelKey, mandatory: bool, message: &Arc<Message>) {
        let Some(channel) = self.channels.get(&key).filter(|_| mandatory) else {
            return;
        };
        let returned = basic::Return {
            reply_code: ReplyCode::NoRoute.code(),
            reply_text: "NO_ROUTE".into(),
            exchange: message.exchange.clone(),
            routing_key: message.routing_key.clone(),
        };
        channel.send_content(basic::AMQPMethod::Return(returned), Arc::clone(message));
    }
}
