//! What the broker is told about a message.

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
    /// Whoever has its settlement decides.
    Open,
}

/// Acknowledges without waiting. lapin queues the frame at the first poll, and writes it behind what
/// was queued before; it refuses one only where the channel is not open any more. Then, and where the
/// connection is lost under the frame, the broker delivers the message again.
pub(super) fn ack(channel: &Channel, tag: u64) {
    let sent = channel.basic_ack(tag, BasicAckOptions::default()).now_or_never();
    note(sent, "an acknowledgement came too late; the message will come again")
}

/// Acknowledges, and returns when the broker has read that: it does not answer acknowledgements, but
/// answers everything on a channel in its order.
pub(super) async fn ack_for_certain(
    channel: &Channel,
    tag: u64,
    prefetch: u16,
) -> Result<(), LinkError> {
    channel.basic_ack(tag, BasicAckOptions::default()).await?;
    answered(channel.basic_qos(prefetch, BasicQosOptions::default())).await
}

/// Puts a message back, without waiting.
pub(super) fn requeue(channel: &Channel, tag: u64) {
    let options = BasicNackOptions { multiple: false, requeue: true };
    let sent = channel.basic_nack(tag, options).now_or_never();
    note(sent, "a message could not be given back; the broker does so by itself");
}

fn note(sent: Option<lapin::Result<()>>, what: &'static str) {
    if let Some(Err(error)) = sent {
        tracing::debug!(error = describe(&error), "{what}");
    }
}
