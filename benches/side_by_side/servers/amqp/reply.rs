//! By hand on lapin: each message is answered in a task of its own.

use ::polyport::{Error, Result};
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicPublishOptions},
    types::ShortString,
};

use super::{Say, Task, connect, consume_from, marks::say, said};

pub(super) async fn serve(task: Result<Task>) -> Result<()> {
    let (_connection, channel) = connect().await?;
    let mut deliveries = consume_from(&channel, &task?).await?;
    say("ready");
    while let Some(delivery) = deliveries.next().await {
        tokio::spawn(answer(channel.clone(), delivery?));
    }
    Ok(())
}

async fn answer(channel: Channel, delivery: Delivery) -> Result<()> {
    let asked: Say = serde_json::from_slice(&delivery.data)?;
    let answer = serde_json::to_vec(&said(asked))?;
    let (Some(to), Some(id)) =
        (delivery.properties.reply_to(), delivery.properties.correlation_id())
    else {
        return Err(Error::other("nobody asks for an answer"));
    };
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_correlation_id(id.clone());
    let (exchange, options) = (ShortString::default(), BasicPublishOptions::default());
    channel.basic_publish(exchange, to.clone(), options, &answer, properties).await?;
    delivery.ack(BasicAckOptions::default()).await?;
    Ok(())
}
