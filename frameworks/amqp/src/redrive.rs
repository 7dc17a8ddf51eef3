//! Parked messages are brought back to the queue that they were parked from.

use lapin::{
    BasicProperties, Channel, Confirmation,
    message::BasicGetMessage,
    options::{
        BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueDeclareOptions,
    },
    types::FieldTable,
};
use polyport_bootstrap::{Error, Result};

use crate::{
    broker::Broker,
    connection::{Link, LinkError, answered, settled},
    headers,
    settings::AmqpSettings,
    topology::Steps,
};

/// What tells of the fault that a message was parked for.
const EXCEPTION: &str = "x-exception-";

/// Why one message was not brought back.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the broker could not route it: the queue is gone")]
    Unroutable,
    #[error("the broker refused it: the queue may be full")]
    Refused,
}

/// Moves the messages that are in `<queue>.dead` now back to `queue`, each as a first attempt:
/// confirmed there before it is taken from here, so that none is lost and one may come twice.
/// Says how many.
///
/// # Errors
/// Returns why it could not go on, with how many were moved by then.
pub(crate) async fn redrive(broker: &Broker, settings: &AmqpSettings, queue: &str) -> Result<u64> {
    let address = broker.address();
    let link = Link::open(broker, "redrive", settings).await.map_err(|error| {
        Error::connection(format!("the AMQP broker at {address} cannot be reached"))
            .caused_by(error)
            .advise("start the broker, or correct its url in the configuration")
    })?;
    let mut moved = 0;
    let outcome = move_all(&link, queue, &mut moved).await;
    // What was moved is moved; whatever the broker makes of the end.
    let _ = link.close().await;
    outcome.map(|()| moved).map_err(|trouble| {
        Error::connection(format!(
            "queue \"{queue}\" at {address} got {moved} messages back, and then no more"
        ))
        .caused_by(trouble)
        .advise("mend what the broker says, and call again: what is left is still parked")
    })
}

async fn move_all(link: &Link, queue: &str, moved: &mut u64) -> Result<(), Trouble> {
    let channel = link.channel().await?;
    let outcome = move_on(&channel, queue, moved).await;
    if matches!(outcome, Err(Trouble::Link(_))) {
        settled(&channel).await;
    }
    outcome
}

async fn move_on(channel: &Channel, queue: &str, moved: &mut u64) -> Result<(), Trouble> {
    let dead = Steps::of(queue, &[]).dead;
    answered(channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let parked = channel.queue_declare(dead.as_str().into(), options, FieldTable::default());
    // What is parked again meanwhile is not brought back twice.
    for _ in 0..answered(parked).await?.message_count() {
        let options = BasicGetOptions { no_ack: false };
        let got = answered(channel.basic_get(dead.as_str().into(), options)).await?;
        let Some(message) = got else { break };
        move_one(channel, queue, message).await?;
        *moved += 1;
    }
    Ok(())
}

async fn move_one(channel: &Channel, queue: &str, message: BasicGetMessage) -> Result<(), Trouble> {
    let message = message.delivery;
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let properties = unmarked(message.properties);
    let published = async {
        let sent =
            channel.basic_publish("".into(), queue.into(), options, &message.data, properties);
        sent.await?.await
    };
    match answered(published).await? {
        Confirmation::Ack(None) => {}
        Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => {
            return Err(Trouble::Unroutable);
        }
        Confirmation::Nack(None) | Confirmation::NotRequested => return Err(Trouble::Refused),
    }
    answered(channel.basic_ack(message.delivery_tag, BasicAckOptions::default())).await?;
    Ok(())
}

/// Without what its earlier attempts have left.
fn unmarked(properties: BasicProperties) -> BasicProperties {
    let Some(table) = properties.headers() else { return properties };
    let mut kept = table.inner().clone();
    kept.retain(|name, _| {
        name.as_str() != headers::ATTEMPT && !name.as_str().starts_with(EXCEPTION)
    });
    properties.with_headers(kept.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_earlier_attempts_have_left_is_taken_off() {
        let mut table = FieldTable::default();
        for name in [headers::ATTEMPT, "x-exception-kind", "x-exception-time", "x-tenant"] {
            table.insert(name.into(), headers::string("x"));
        }
        table.insert(headers::ORIGINAL_EXCHANGE.into(), headers::string("im"));
        let properties = BasicProperties::default().with_message_id("m1".into());
        let unmarked = unmarked(properties.with_headers(table));
        let left = unmarked.headers().as_ref().expect("headers").inner().keys();
        let left: Vec<_> = left.map(|name| name.as_str()).collect();
        assert_eq!(left, ["x-original-exchange", "x-tenant"]);
        assert_eq!(unmarked.message_id().as_ref().map(|id| id.as_str()), Some("m1"));
    }
}
