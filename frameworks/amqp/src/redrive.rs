//! Parked messages are brought back.

use lapin::{
    Channel, Confirmation,
    message::BasicGetMessage,
    options::{
        BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use polyport_bootstrap::{Error, Result};

use crate::{
    broker::Broker,
    connection::{Link, LinkError, answered, settled},
    consumer::moves::movable,
    headers,
    settings::AmqpSettings,
    topology::Steps,
};

/// What made a message be parked, or what counted its attempts; it starts anew.
const FORGOTTEN: [&str; 7] = [
    headers::ATTEMPT,
    headers::SEQUENCE,
    headers::FAULT_KIND,
    headers::FAULT_REASON,
    headers::ORIGINAL_QUEUE,
    "x-exception-message",
    "x-exception-time",
];

/// Moves what is in `<queue>.dead` now into `queue`, and says how many messages these were. Each is
/// acknowledged when the broker has confirmed it in its queue: interrupted, it may be in both.
///
/// # Errors
/// Returns why not all were moved, and how many were.
pub(crate) async fn redrive(
    broker: &Broker,
    settings: &AmqpSettings,
    section: &str,
    queue: &str,
) -> Result<u64> {
    let link = Link::open(broker, "redrive", settings).await;
    let link = link.map_err(|error| error.report(broker, section))?;
    let mut moved = 0;
    let result = move_all(&link, queue, &mut moved).await;
    // What was got and not acknowledged goes back with the connection.
    let _ = link.close().await;
    result.map_err(|trouble| trouble.report(broker, queue, moved))?;
    tracing::info!(queue, moved, "parked messages are in their queue again");
    Ok(moved)
}

async fn move_all(link: &Link, queue: &str, moved: &mut u64) -> Result<(), Trouble> {
    let dead = Steps::of(queue, &[]).dead;
    count(link, queue).await?;
    let parked = count(link, &dead).await?;
    let (queue, dead) = (short(queue)?, short(&dead)?);
    let channel = link.channel().await?;
    answered(channel.confirm_select(ConfirmSelectOptions::default())).await?;
    while *moved < parked.into() {
        let got = answered(channel.basic_get(dead.clone(), BasicGetOptions::default())).await?;
        // Somebody else has taken the rest.
        let Some(message) = got else { break };
        move_one(&channel, &queue, message).await?;
        *moved += 1;
    }
    // A connection that closes may take the last acknowledgements with it, which are not answered.
    answered(channel.close(200, "OK".into())).await?;
    Ok(())
}

/// How many messages wait in a queue, which has to be there; on a channel of its own, since the broker
/// closes that where it is not.
async fn count(link: &Link, queue: &str) -> Result<u32, Trouble> {
    let channel = link.channel().await?;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    match answered(channel.queue_declare(short(queue)?, options, FieldTable::default())).await {
        Ok(declared) => {
            answered(channel.close(200, "OK".into())).await?;
            Ok(declared.message_count())
        }
        Err(error) => {
            settled(&channel).await;
            Err(error.into())
        }
    }
}

async fn move_one(
    channel: &Channel,
    queue: &ShortString,
    message: BasicGetMessage,
) -> Result<(), Trouble> {
    let message = message.delivery;
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let headers = remembered(message.properties.headers().as_ref());
    let properties = movable(&message.properties).with_headers(headers);
    let published = async {
        let (exchange, key) = ("".into(), queue.clone());
        let sent = channel.basic_publish(exchange, key, options, &message.data, properties);
        sent.await?.await
    };
    match answered(published).await? {
        Confirmation::Ack(None) => {}
        Confirmation::Ack(Some(_)) => return Err(Trouble::Refused("the queue is gone")),
        _ => return Err(Trouble::Refused("the queue takes no more")),
    }
    answered(channel.basic_ack(message.delivery_tag, BasicAckOptions::default())).await?;
    Ok(())
}

/// What a message takes along: all but what is counted anew.
fn remembered(table: Option<&FieldTable>) -> FieldTable {
    let mut all = table.map(|table| table.inner().clone()).unwrap_or_default();
    all.retain(|name, _| !FORGOTTEN.contains(&name.as_str()));
    let before = all.get(headers::REDRIVEN).and_then(headers::integer).unwrap_or(0);
    let times = before.max(0).saturating_add(1);
    all.insert(headers::REDRIVEN.into(), AMQPValue::LongLongInt(times));
    all.into()
}

fn short(queue: &str) -> Result<ShortString, Trouble> {
    ShortString::try_new(queue).map_err(|_| Trouble::Refused("its name is too long"))
}

/// Why not all messages were moved.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("{0}")]
    Refused(&'static str),
}

impl Trouble {
    fn report(self, broker: &Broker, queue: &str, moved: u64) -> Error {
        let at = broker.address();
        let text = format!(
            "not all messages of \"{queue}.dead\" are in queue \"{queue}\" again: {moved} were \
             moved (broker {at})",
        );
        Error::connection(text).caused_by(self).advise(
            "none is lost; what was not moved is still parked, and one message may be in both \
             queues: check that both are there, and redrive again",
        )
    }
}
