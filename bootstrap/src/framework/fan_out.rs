//! Messages from one instance of an application to all others.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

/// Takes what the instances send.
pub type FanOutReceiver = Arc<dyn Fn(Bytes) + Send + Sync>;

/// What carries messages to all instances of an application: a broker that a framework is connected
/// to.
///
/// Nothing is promised for each message: while the broker is away it may be lost, and who is not
/// connected when it is sent never sees it. What one sender sends arrives in its order.
pub trait FanOut: Send + Sync + 'static {
    /// Opens a channel of this name: from when the framework binds, `receive` gets all that any
    /// instance sends by it, the own messages among them. It must not block. Called when the
    /// frameworks are linked.
    fn open(&self, channel: &str, receive: FanOutReceiver) -> Arc<dyn FanOutSender>;
}

/// One channel of a [`FanOut`].
pub trait FanOutSender: Send + Sync + 'static {
    /// Queues a message for all instances, and waits for nobody. What there is no room for is
    /// dropped; that is logged.
    fn send(&self, message: Bytes);
}

impl fmt::Debug for dyn FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FanOut")
    }
}

impl fmt::Debug for dyn FanOutSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FanOutSender")
    }
}

/// Those that the frameworks of one bootstrap offer to each other, by the section of the
/// configuration of who offers it. Shared by
/// [`FrameworkContext::shared`](super::FrameworkContext::shared).
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use bytes::Bytes;
/// use polyport_bootstrap::framework::{FanOut, FanOutReceiver, FanOutSender, FanOuts};
///
/// /// Of one instance only.
/// struct Alone;
/// struct Channel(FanOutReceiver);
///
/// impl FanOut for Alone {
///     fn open(&self, _: &str, receive: FanOutReceiver) -> Arc<dyn FanOutSender> {
///         Arc::new(Channel(receive))
///     }
/// }
///
/// impl FanOutSender for Channel {
///     fn send(&self, message: Bytes) {
///         (self.0)(message);
///     }
/// }
///
/// let fan_outs = FanOuts::default();
/// fan_outs.offer("amqp", Arc::new(Alone));
/// assert!(fan_outs.find("amqp").is_some() && fan_outs.find("amqp_orders").is_none());
/// assert_eq!(fan_outs.offered(), ["amqp"]);
/// ```
#[derive(Debug, Default)]
pub struct FanOuts(Mutex<BTreeMap<String, Arc<dyn FanOut>>>);

impl FanOuts {
    /// Offers one, under the section of the framework's settings.
    pub fn offer(&self, section: &str, fan_out: Arc<dyn FanOut>) {
        self.known().insert(section.to_owned(), fan_out);
    }

    /// The one that is offered under this section.
    #[must_use]
    pub fn find(&self, section: &str) -> Option<Arc<dyn FanOut>> {
        self.known().get(section).cloned()
    }

    /// The sections under which one is offered.
    #[must_use]
    pub fn offered(&self) -> Vec<String> {
        self.known().keys().cloned().collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Arc<dyn FanOut>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
