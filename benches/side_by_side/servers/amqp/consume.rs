//! By hand on lapin: what comes is parsed, and acknowledged in four ways.

use ::polyport::{Error, Result};
use futures_util::StreamExt;
use lapin::{message::Delivery, options::BasicAckOptions};

use super::{Say, Task, ack, connect, consume_from, marks::Marks, said};

/// The messages of one ack for several.
const MOST: usize = 32;

fn handle(delivery: &Delivery, marks: &Marks) -> Result<()> {
    let say: Say = serde_json::from_slice(&delivery.data)?;
    std::hint::black_box(said(say));
    marks.count();
    Ok(())
}

/// One after the other, as lapin's own page has it: the baseline.
pub(super) async fn inline(task: Result<Task>) -> Result<()> {
    let (_connection, channel) = connect().await?;
    let (mut deliveries, marks) = (consume_from(&channel, &task?).await?, Marks::default());
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        handle(&delivery, &marks)?;
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

/// A task for each message.
pub(super) async fn spawn(task: Result<Task>) -> Result<()> {
    let (_connection, channel) = connect().await?;
    let (mut deliveries, marks) = (consume_from(&channel, &task?).await?, Marks::default());
    while let Some(delivery) = deliveries.next().await {
        let (delivery, marks) = (delivery?, marks.clone());
        tokio::spawn(async move {
            handle(&delivery, &marks)?;
            delivery.ack(BasicAckOptions::default()).await?;
            Ok::<_, Error>(())
        });
    }
    Ok(())
}

/// One ack for several, of half the window at most, so that others come in the meantime.
pub(super) async fn multiple(task: Result<Task>) -> Result<()> {
    let (_connection, channel) = connect().await?;
    let task = task?;
    let several = usize::from(task.window / 2).clamp(1, MOST);
    let (mut deliveries, marks) = (consume_from(&channel, &task).await?, Marks::default());
    let mut unacknowledged = 0;
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        handle(&delivery, &marks)?;
        unacknowledged += 1;
        if unacknowledged == several {
            delivery.ack(BasicAckOptions { multiple: true }).await?;
            unacknowledged = 0;
        }
    }
    Ok(())
}

/// Nobody waits until an ack is sent.
pub(super) async fn not_awaited(task: Result<Task>) -> Result<()> {
    let (_connection, channel) = connect().await?;
    let (mut deliveries, marks) = (consume_from(&channel, &task?).await?, Marks::default());
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        handle(&delivery, &marks)?;
        ack(&channel, &delivery);
    }
    Ok(())
}
