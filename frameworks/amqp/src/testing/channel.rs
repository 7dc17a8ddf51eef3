//! A channel of the client's connection: what is done on it says what has failed.

use std::future::Future;

use futures_util::StreamExt;
use lapin::{
    Channel, Confirmation,
    message::BasicReturnMessage,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions,
        BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
        QueueDeleteOptions, QueuePurgeOptions,
    },
    types::FieldTable,
};
use polyport_bootstrap::testing::patience::{LIMIT, at_most};

use super::TestMessage;
use crate::{connection::describe, publisher::Outgoing};

pub(super) struct TestChannel(pub(super) Channel);

impl TestChannel {
    pub(super) async fn publish(&self, message: Outgoing) -> Result<(), String> {
        let Outgoing { exchange, routing_key, properties, body, .. } = message;
        let (place, lost) = match exchange.as_str() {
            "" => (format!("queue {:?}", routing_key.as_str()), "there is no such queue"),
            name => (
                format!("exchange {name:?} with routing key {:?}", routing_key.as_str()),
                "it has no queue for that",
            ),
        };
        let what = format!("publish to {place}");
        within(&what, self.0.confirm_select(ConfirmSelectOptions::default())).await?;
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let published = async {
            let sent = self.0.basic_publish(exchange, routing_key, options, &body, properties);
            sent.await?.await
        };
        match within(&what, published).await? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
                Err(format!("{what}: {lost} ({})", reply(&returned)))
            }
            Confirmation::Nack(None) => Err(format!("{what}: the broker refuses it (basic.nack)")),
            Confirmation::NotRequested => Err(format!("{what}: the broker does not confirm it")),
        }
    }

    pub(super) async fn consume(
        &self,
        queue: &str,
        no_ack: bool,
    ) -> Result<lapin::Consumer, String> {
        let options = BasicConsumeOptions { no_ack, ..BasicConsumeOptions::default() };
        let table = FieldTable::default();
        let consuming = self.0.basic_consume(queue.into(), "".into(), options, table);
        within(&format!("consume from queue {queue:?}"), consuming).await
    }

    /// Waits for a message and takes it.
    pub(super) async fn first(&self, queue: &str) -> Result<TestMessage, String> {
        let what = format!("a message of queue {queue:?}");
        within(&what, self.0.basic_qos(1, BasicQosOptions::default())).await?;
        let mut messages = self.consume(queue, false).await?;
        let message = next(&mut messages, &what).await?;
        // First: with the ack the broker would hand out the next one, which then came again.
        let cancelled = self.0.basic_cancel(messages.tag(), BasicCancelOptions::default());
        within(&what, cancelled).await?;
        within(&what, self.0.basic_ack(message.tag, BasicAckOptions::default())).await?;
        Ok(message)
    }

    pub(super) async fn get(&self, queue: &str) -> Result<Option<TestMessage>, String> {
        let got = self.0.basic_get(queue.into(), BasicGetOptions { no_ack: true });
        let message = within(&format!("take from queue {queue:?}"), got).await?;
        Ok(message.map(|message| TestMessage::new(message.delivery)))
    }

    pub(super) async fn depth(&self, queue: &str) -> Result<u32, String> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = self.0.queue_declare(queue.into(), options, FieldTable::default());
        Ok(within(&format!("look at queue {queue:?}"), declared).await?.message_count())
    }

    pub(super) async fn purge(&self, queue: &str) -> Result<(), String> {
        let purged = self.0.queue_purge(queue.into(), QueuePurgeOptions::default());
        within(&format!("purge queue {queue:?}"), purged).await.map(drop)
    }

    pub(super) async fn delete(&self, queue: &str) -> Result<(), String> {
        let deleted = self.0.queue_delete(queue.into(), QueueDeleteOptions::default());
        within(&format!("delete queue {queue:?}"), deleted).await.map(drop)
    }

    pub(super) async fn close(self) -> Result<(), String> {
        within("close the channel", self.0.close(200, "OK".into())).await
    }
}

fn reply(returned: &BasicReturnMessage) -> String {
    format!("{} {}", returned.reply_code, returned.reply_text)
}

pub(super) async fn next(
    messages: &mut lapin::Consumer,
    what: &str,
) -> Result<TestMessage, String> {
    match at_most(LIMIT, messages.next()).await {
        Some(Some(Ok(message))) => Ok(TestMessage::new(message)),
        Some(Some(Err(error))) => Err(format!("{what}: {}", describe(&error))),
        Some(None) => Err(format!("{what}: the broker has cancelled the consumer")),
        None => Err(format!("{what}: none has come in {LIMIT:?}")),
    }
}

async fn within<T>(
    what: &str,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, String> {
    match at_most(LIMIT, answer).await {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) => Err(format!("{what}: {}", describe(&error))),
        None => Err(format!("{what}: the broker has not answered in {LIMIT:?}")),
    }
}
