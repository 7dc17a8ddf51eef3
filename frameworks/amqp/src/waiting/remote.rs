//! A broker elsewhere has to be asked, again and again.

use std::time::Duration;

use lapin::{options::QueueDeclareOptions, types::FieldTable};
use polyport_bootstrap::{
    Error, Result,
    framework::{Mark, Witness},
};

use super::mark;
use crate::{
    broker::Broker,
    connection::{Link, LinkError, answered},
    settings::AmqpSettings,
};

/// How often.
const LOOK: Duration = Duration::from_millis(20);
/// So often in a row nothing must be there: what was just delivered is not seen by anybody.
const LOOKS: u32 = 2;

/// Ends when no message waits.
pub(super) async fn handled(
    broker: Broker,
    settings: AmqpSettings,
    queues: Vec<String>,
    witness: Witness,
) -> Result<()> {
    let link = Link::open(&broker, "test", &settings).await;
    let link = link.map_err(|error| error.report(&broker, "amqp"))?;
    let mut empty = 0;
    while empty < LOOKS {
        let marks = marks(&link, &queues, &witness).await.map_err(|error| {
            Error::connection("the broker does not say what waits in its queues").caused_by(error)
        })?;
        empty = if marks.is_empty() { empty + 1 } else { 0 };
        tokio::time::sleep(LOOK).await;
    }
    // A broker that does not answer any more is no fault of the test.
    let _ = link.close().await;
    Ok(())
}

async fn marks(
    link: &Link,
    queues: &[String],
    witness: &Witness,
) -> std::result::Result<Vec<Mark>, LinkError> {
    let mut marks = Vec::new();
    for queue in queues {
        let messages = depth(link, queue).await?;
        marks.extend((messages > 0).then(|| mark(witness, queue, messages)));
    }
    Ok(marks)
}

/// How many messages wait; none where there is no such queue, which costs the channel.
async fn depth(link: &Link, queue: &str) -> std::result::Result<usize, LinkError> {
    let channel = link.channel().await?;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = answered(channel.queue_declare(queue.into(), options, FieldTable::default()));
    match declared.await {
        Ok(queue) => {
            answered(channel.close(200, "OK".into())).await?;
            Ok(usize::try_from(queue.message_count()).unwrap_or(usize::MAX))
        }
        Err(error) if error.is_refusal() => Ok(0),
        Err(error) => Err(error),
    }
}
