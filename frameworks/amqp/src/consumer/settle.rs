//! What the broker is told about a message.

use std::time::Duration;

use futures_util::FutureExt;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions, BasicQosOptions},
};

use crate::connection::{LinkError, answered, describe};

/// What becomes of a message whose call is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settle {
    Ack,
    Requeue,
    /// It goes back after so long, and takes nobody's slot meanwhile.
    Later(Duration),
    /// Whoever has its settlement decides.
    Open,
}

/// Acknowledges without waiting. lapin queues the frame at the first poll, and writes it behind what
/// was queued before; it refuses one only where the channel is not open any more. Then, and where the
/// connection is lost under the frame, the broker delivers the message again.
pub(super) fn ack(channel: &Channel, tag: u64) {
    let sent = channel.basic_ack(tag, BasicAckOptions::default()).now_or_never();
    note(sent, "an acknowledgement came too late; the message will come again");
}

/// Why an acknowledgement may not have been read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It was not sent: the message comes again.
    Unsent(LinkError),
    /// Nobody knows.
    Unanswered(LinkError),
}

/// Acknowledges, and returns when the broker has read that: it does not answer acknowledgements, but
/// answers everything on a channel in its order.
pub(super) async fn ack_for_certain(
    channel: &Channel,
    tag: u64,
    prefetch: u16,
) -> Result<(), Unread> {
    let sent = channel.basic_ack(tag, BasicAckOptions::default()).now_or_never();
    sent.transpose().map_err(|error| Unread::Unsent(error.into()))?;
    let answer = answered(channel.basic_qos(prefetch, BasicQosOptions::default())).await;
    answer.map_err(Unread::Unanswered)
}

/// Puts a message back, without waiting. Whether it could be; else the broker has done so by itself.
pub(super) fn requeue(channel: &Channel, tag: u64) -> bool {
    let options = BasicNackOptions { multiple: false, requeue: true };
    let sent = channel.basic_nack(tag, options).now_or_never();
    note(sent, "a message could not be given back; the broker does so by itself")
}

fn note(sent: Option<lapin::Result<()>>, what: &'static str) -> bool {
    let Some(Err(error)) = sent else { return true };
    tracing::debug!(error = describe(&error), "{what}");
    false
}
