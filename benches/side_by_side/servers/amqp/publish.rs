//! By hand on lapin: messages are published as fast as the window of confirmations has room.

use std::collections::VecDeque;

use ::polyport::{Error, Result};
use lapin::{
    BasicProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};

use super::{
    MESSAGE, MESSAGES, Task, WARM, connect,
    marks::{Marks, say},
};

/// The delivery mode of messages that may be lost with the broker.
const TRANSIENT: u8 = 1;

pub(super) async fn serve(task: Result<Task>) -> Result<()> {
    let (Task { queue, window }, (_connection, channel)) = (task?, connect().await?);
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let (queue, marks) = (ShortString::try_new(queue)?, Marks::default());
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(TRANSIENT);
    say("ready");
    let mut unconfirmed = VecDeque::with_capacity(usize::from(window));
    for published in 0..WARM + MESSAGES {
        let confirm = channel
            .basic_publish(
                ShortString::default(),
                queue.clone(),
                BasicPublishOptions::default(),
                MESSAGE.as_bytes(),
                properties.clone(),
            )
            .await?;
        unconfirmed.push_back(confirm);
        let is_last = published + 1 == WARM + MESSAGES;
        while unconfirmed.len() >= usize::from(window) || (is_last && !unconfirmed.is_empty()) {
            if let Some(confirm) = unconfirmed.pop_front() {
                if !confirm.await?.is_ack() {
                    return Err(Error::other("the broker does not take a message"));
                }
                marks.count();
            }
        }
    }
    std::future::pending().await
}
