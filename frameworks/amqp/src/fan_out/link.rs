//! One incarnation of a channel: a connection of its own with the exchange and the queue.

use lapin::{
    Channel, Consumer, ExchangeKind,
    options::{BasicConsumeOptions, ConfirmSelectOptions, ExchangeDeclareOptions},
    types::FieldTable,
};

use crate::{
    connection::{Link, LinkError, answered, settled},
    dialer::Dialer,
    own_queue,
    refusal::OpenError,
};

/// What the connection is for, as the broker shows it.
const PURPOSE: &str = "fan-out";

/// A channel that is up, or was.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(super) link: Link,
    pub(super) channel: Channel,
    pub(super) deliveries: Consumer,
}

/// Why an instance could not join.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JoinError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl JoinError {
    /// Whether trying again is of no use, until somebody has changed something.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Open(error) => error.is_refusal(),
            Self::Link(error) => error.is_refusal(),
        }
    }
}

impl Joined {
    /// Connects and joins: from now on the instance gets what is sent.
    pub(crate) async fn join(dialer: &Dialer, exchange: &str) -> Result<Self, JoinError> {
        let link = Link::open(&dialer.broker, PURPOSE, &dialer.settings).await?;
        let channel = link.channel().await?;
        match consume(&channel, exchange).await {
            Ok(deliveries) => Ok(Self { link, channel, deliveries }),
            Err(error) => {
                settled(&channel).await;
                Err(error.into())
            }
        }
    }
}

async fn consume(channel: &Channel, exchange: &str) -> Result<Consumer, LinkError> {
    // Gone with the broker's memory, and not before: instances come and go.
    let (options, none) = (ExchangeDeclareOptions::default(), FieldTable::default);
    let kind = ExchangeKind::Fanout;
    answered(channel.exchange_declare(exchange.into(), kind, options, none())).await?;
    let queue = own_queue::declare(channel).await?;
    own_queue::bind(channel, &queue, exchange, "").await?;
    answered(channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let options =
        BasicConsumeOptions { no_ack: true, exclusive: true, ..BasicConsumeOptions::default() };
    answered(channel.basic_consume(queue, "".into(), options, none())).await
}
