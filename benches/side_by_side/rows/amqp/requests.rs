//! Requests by a queue, answered to `amq.rabbitmq.reply-to`.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::{
    Consumer,
    options::{BasicConsumeOptions, BasicPublishOptions},
    types::{FieldTable, ShortString},
};
use polyport::{Error, Result};
use tokio::time::timeout;

use super::{
    REQUESTS,
    broker::{Queue, json},
    handled::hear,
};
use crate::{
    cores,
    figures::{Figures, Kind},
    options::Options,
    process::Process,
    rows::Row,
    servers::amqp::MESSAGE,
};

const REPLY_TO: &str = "amq.rabbitmq.reply-to";
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn measure(row: &Row, server: &str, options: &Options) -> Result<Figures> {
    let queue = Queue::declare()?;
    let task = format!("{} {REQUESTS}", queue.name);
    let mut process = Process::start_with(server, row.cores, &task)?;
    hear(&mut process, "ready")?;
    queue.runtime.block_on(async {
        let mut replies = replies(&queue).await?;
        for _ in 0..REQUESTS {
            ask(&queue).await?;
        }
        exchange(&queue, &mut replies, options.warm_up).await?;
        let core = cores::of_load()?;
        let (begun, before, by_broker) = (Instant::now(), process.time()?, cores::busy(core)?);
        let calls = exchange(&queue, &mut replies, options.saturated).await? as f64;
        let (took, spent) = (begun.elapsed(), process.time()? - before);
        let by_broker = cores::busy(core)? - by_broker;
        Ok(vec![
            (Kind::Cpu, spent as f64 / calls),
            (Kind::Rate, calls / took.as_secs_f64()),
            (Kind::Resident, process.resident()?),
            (Kind::Load, by_broker as f64 / took.as_nanos() as f64),
        ])
    })
}

async fn replies(queue: &Queue) -> Result<Consumer> {
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let (from, tag) = (ShortString::try_new(REPLY_TO)?, ShortString::default());
    Ok(queue.channel.basic_consume(from, tag, options, FieldTable::default()).await?)
}

/// Asks once more for each reply that comes, for that long; how many came.
async fn exchange(queue: &Queue, replies: &mut Consumer, time: Duration) -> Result<u64> {
    let (end, mut answered) = (Instant::now() + time, 0);
    while Instant::now() < end {
        let reply = timeout(PATIENCE, replies.next()).await?;
        let reply = reply.ok_or_else(|| Error::other("the broker sends no more replies"))??;
        if !reply.data.starts_with(br#"{"room":"lobby","#) {
            let text = String::from_utf8_lossy(&reply.data);
            return Err(Error::other(format!("an unexpected reply: {text}")));
        }
        answered += 1;
        ask(queue).await?;
    }
    Ok(answered)
}

async fn ask(queue: &Queue) -> Result<()> {
    let properties = json()
        .with_reply_to(ShortString::try_new(REPLY_TO)?)
        .with_correlation_id(ShortString::try_new("1")?);
    let to = ShortString::try_new(queue.name.as_str())?;
    let (exchange, options) = (ShortString::default(), BasicPublishOptions::default());
    queue.channel.basic_publish(exchange, to, options, MESSAGE.as_bytes(), properties).await?;
    Ok(())
}
