//! What the broker is told about a message.

use futures_util::FutureExt;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions},
};

use crate::connection::describe;

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
pub(super) fn ack(channel: &Channel, tag: u64) -> bool {
    let sent = channel.basic_ack(tag, BasicAckOptions::default()).now_or_never();
    went(sent, "an acknowledgement came too late; the message will come again")
}

/// Puts a message back, without waiting.
pub(super) fn requeue(channel: &Channel, tag: u64) {
    let options = BasicNackOptions { multiple: false, requeue: true };
    let sent = channel.basic_nack(tag, options).now_or_never();
    went(sent, "a message could not be given back; the broker does so by itself");
}

fn went(sent: Option<lapin::Result<()>>, otherwise: &'static str) -> bool {
    match sent {
        Some(Err(error)) => {
            tracing::debug!(error = describe(&error), "{otherwise}");
            false
        }
        _ => true,
    }
}
