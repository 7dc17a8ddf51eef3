use std::{sync::Arc, time::Duration};

use lapin::{
    Channel, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{super::outgoing::short, PublishError, SLACK, refused, unmade};
use crate::{
    connection::{Link, LinkError, answered},
    dialer::{ADMIN, Dialer},
    headers,
};

/// A delay before an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Step {
    exchange: ShortString,
    milliseconds: u32,
    name: ShortString,
}

impl Step {
    /// # Errors
    /// Returns an error where the name would be longer than AMQP can carry.
    pub(super) fn new(exchange: &ShortString, delay: Duration) -> Result<Self, PublishError> {
        let milliseconds = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        let rounded = Duration::from_millis(milliseconds.into());
        let delay = humantime::format_duration(rounded).to_string().replace(' ', "");
        let target = if exchange.as_str().is_empty() { "default" } else { exchange.as_str() };
        let name = format!("polyport.delay.{target}.{delay}");
        let name = short("name of the queue for a delay", &name)?;
        Ok(Self { exchange: exchange.clone(), milliseconds, name })
    }

    /// The name of its exchange and of its queue.
    pub(super) fn name(&self) -> ShortString {
        self.name.clone()
    }

    /// Declares it, over a connection of its own: the broker closes the channel where something is
    /// otherwise than it is declared, and with bad luck lapin then loses the whole connection.
    pub(super) async fn declare(&self, dialer: &Arc<Dialer>) -> Result<(), PublishError> {
        let link = Link::open(&dialer.broker, ADMIN, &dialer.settings).await;
        let link = link.map_err(|error| unmade(self, &error.to_string()))?;
        let declared = self.declare_over(&link).await;
        if let Err(error) = link.close().await {
            tracing::debug!(%error, "the connection that declared a delay was cut");
        }
        declared.map_err(|error| self.because(&error))
    }

    fn because(&self, error: &LinkError) -> PublishError {
        match error {
            LinkError::Lapin(cause) if matches!(cause.kind(), ErrorKind::ProtocolError(_)) => {
                let name = &self.name;
                refused(format!(
                    "the broker refuses the exchange or the queue \"{name}\": {error}; delete them \
                     on the broker where they are there otherwise, and declare the exchange that \
                     is to get the message",
                ))
            }
            error => unmade(self, &error.to_string()),
        }
    }

    async fn declare_over(&self, link: &Link) -> Result<(), LinkError> {
        let channel = link.channel().await?;
        self.expect_target(&channel).await?;
        // Without a queue it would take messages and lose them, and so goes with its queue.
        let options =
            ExchangeDeclareOptions { durable: true, auto_delete: true, ..Default::default() };
        let (kind, none) = (ExchangeKind::Fanout, FieldTable::default());
        answered(channel.exchange_declare(self.name(), kind, options, none)).await?;
        let options = QueueDeclareOptions::durable();
        answered(channel.queue_declare(self.name(), options, self.arguments())).await?;
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        answered(channel.queue_bind(self.name(), self.name(), "".into(), options, none)).await
    }

    /// What comes for an exchange that does not exist is dropped when its time is over: better to
    /// say so now.
    async fn expect_target(&self, channel: &Channel) -> Result<(), LinkError> {
        if self.exchange.as_str().is_empty() {
            return Ok(());
        }
        let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
        let (name, kind) = (self.exchange.clone(), ExchangeKind::Direct);
        answered(channel.exchange_declare(name, kind, options, FieldTable::default())).await
    }

    /// Not with `x-dead-letter-strategy=at-least-once`: RabbitMQ keeps what no queue takes, and 32
    /// such messages hold up all others for good.
    fn arguments(&self) -> FieldTable {
        let slack = i64::try_from(SLACK.as_millis()).unwrap_or(i64::MAX);
        let delay = i64::from(self.milliseconds);
        let arguments = [
            ("x-queue-type", headers::string("quorum")),
            ("x-message-ttl", AMQPValue::LongLongInt(delay)),
            ("x-expires", AMQPValue::LongLongInt(delay.saturating_add(slack))),
            ("x-dead-letter-exchange", headers::string(self.exchange.as_str())),
        ];
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert(name.into(), value);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_named_after_its_exchange_and_delay() {
        let name = |exchange: &str, delay| {
            let step = Step::new(&exchange.into(), Duration::from_millis(delay));
            step.expect("short enough").name().to_string()
        };
        assert_eq!(name("im", 90_500), "polyport.delay.im.1m30s500ms");
        assert_eq!(name("", 1000), "polyport.delay.default.1s");
        let long = Step::new(&"x".repeat(250).as_str().into(), Duration::from_secs(1));
        assert!(matches!(long, Err(PublishError::TooLarge { .. })));
    }
}
