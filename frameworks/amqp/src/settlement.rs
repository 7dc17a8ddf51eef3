//! Settling a message by hand.

use std::fmt;

use polyport_bootstrap::{
    Error,
    operation::{Context, Fault, FromContext, InputSlot, NoPayload, OperationInfo},
};
use tokio::sync::mpsc;

use crate::routes::PROTOCOL;

/// The message of this call, to be settled by hand: an extractor for consumers with
/// [`AckPolicy::Manual`](crate::AckPolicy::Manual). A cheap handle; the first decision counts.
///
/// It may be kept beyond the call, to settle many messages at once when they are written. As many
/// can be open as the consumer's prefetch. When the last handle is dropped without a decision, the
/// message goes back to its queue; so it does when it has been open for as long as the broker lets a
/// message be unanswered (`amqp.ack_timeout`), and at the end of a stop, which waits for open ones
/// until then. A call that ends in a fault is treated as always, whatever was decided.
///
/// # Examples
/// ```
/// use polyport_amqp::Settlement;
/// use polyport_bootstrap::{Fault, operation::Body};
///
/// async fn index(settlement: Settlement, Body(bytes): Body) -> Result<(), Fault> {
///     if bytes.is_empty() {
///         settlement.park("there is nothing to index");
///     } else {
///         settlement.ack();
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Settlement(mpsc::Sender<Decision>);

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Ack,
    Requeue,
    Retry,
    Park(String),
}

/// Where the decision about one message comes in; none when nobody can decide any more.
pub(crate) type Decided = mpsc::Receiver<Decision>;

impl Settlement {
    pub(crate) const NAME: &'static str = "Settlement";

    pub(crate) fn open() -> (Self, Decided) {
        let (sender, decided) = mpsc::channel(1);
        (Self(sender), decided)
    }

    /// The message is done with.
    pub fn ack(self) {
        self.decide(Decision::Ack);
    }

    /// The message goes back to its queue, and may come again at once, to whichever instance.
    pub fn requeue(self) {
        self.decide(Decision::Requeue);
    }

    /// The message comes again after the next delay, as if its operation had ended in a fault that
    /// may pass; it is parked after the last. From the own queue of an instance it comes again after a
    /// second.
    pub fn retry(self) {
        self.decide(Decision::Retry);
    }

    /// The message is parked in `<queue>.dead`, for this reason.
    pub fn park(self, reason: impl Into<String>) {
        self.decide(Decision::Park(reason.into()));
    }

    fn decide(self, decision: Decision) {
        // There is room for the first one; later ones do not count.
        let _ = self.0.try_send(decision);
    }
}

impl fmt::Debug for Settlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAME)
    }
}

impl FromContext for Settlement {
    type Payload = NoPayload;

    async fn from_context(context: &Context, _: &mut InputSlot<'_>) -> Result<Self, Fault> {
        let settlement = context.extension::<Weak>().and_then(|weak| weak.0.upgrade()).map(Self);
        settlement.ok_or_else(|| Error::other("the call came by no consumer that waits").into())
    }

    fn describe(info: &mut OperationInfo) {
        info.require_protocol(PROTOCOL, Self::NAME);
    }
}

/// The settlement as the call carries it: whoever keeps the call's context does not keep the message.
#[derive(Clone)]
pub(crate) struct Weak(mpsc::WeakSender<Decision>);

impl Settlement {
    pub(crate) fn weak(&self) -> Weak {
        Weak(self.0.downgrade())
    }
}
