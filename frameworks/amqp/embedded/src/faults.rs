//! What can go wrong with a broker, on demand.

use std::sync::Arc;

use crate::{broker::DEFAULT_VHOST, connections::Order, hub::Hub, message::Name, state::Refusal};

/// Makes a broker fail as RabbitMQ may, for tests of what its clients do then. Comes from
/// [`EmbeddedBroker::faults`](crate::EmbeddedBroker::faults); a cheap handle.
///
/// What names a queue means the one of the virtual host `/`. Every call returns at once: a test
/// waits for what the client, or [`EmbeddedBroker::until`](crate::EmbeddedBroker::until), shows
/// then.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), polyport_amqp_embedded::StartError> {
/// use polyport_amqp_embedded::EmbeddedBroker;
///
/// let broker = EmbeddedBroker::start().await?;
/// let faults = broker.faults();
/// faults.block("low on memory");  // publishers are held up …
/// faults.unblock();
/// faults.nack_next(3);            // … and three messages are not taken
/// assert_eq!(faults.cut(), 0, "nobody is connected");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Faults {
    hub: Arc<Hub>,
}

impl Faults {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// Cuts all connections without a word, those that are in their handshake too; says how many.
    pub fn cut(&self) -> usize {
        self.hub.connections.cut(None)
    }

    /// Cuts the connections whose name contains `part`, without a word; says how many. The name
    /// is what clients send as `connection_name` in their properties.
    pub fn cut_named(&self, part: &str) -> usize {
        self.hub.connections.cut(Some(part))
    }

    /// Closes all connections with 320 (`CONNECTION_FORCED`) and `reason`, as
    /// `rabbitmqctl close_all_connections` does; says how many.
    pub fn close_connections(&self, reason: &str) -> usize {
        self.hub.connections.order(None, &Order::Close(reason.to_owned()))
    }

    /// As [`Faults::close_connections`], those only whose name contains `part`.
    pub fn close_connections_named(&self, part: &str, reason: &str) -> usize {
        self.hub.connections.order(Some(part), &Order::Close(reason.to_owned()))
    }

    /// Closes all channels of all connections with 406 (`PRECONDITION_FAILED`) and `reason`, as
    /// RabbitMQ does where an acknowledgement does not come for half an hour; says of how many
    /// connections.
    pub fn close_channels(&self, reason: &str) -> usize {
        self.hub.connections.order(None, &Order::CloseChannels(reason.to_owned()))
    }

    /// As [`Faults::close_channels`], on those connections only whose name contains `part`.
    pub fn close_channels_named(&self, part: &str, reason: &str) -> usize {
        self.hub.connections.order(Some(part), &Order::CloseChannels(reason.to_owned()))
    }

    /// Stands still until [`Faults::thaw`]: nothing is read, written or expired, no heartbeat is
    /// sent or missed, and new connections get no answer. All stay open, as with a process that
    /// was stopped by SIGSTOP.
    pub fn freeze(&self) {
        self.hub.gate.set_frozen(true);
    }

    /// Ends [`Faults::freeze`].
    pub fn thaw(&self) {
        self.hub.gate.set_frozen(false);
    }

    /// Raises an alarm, as RabbitMQ does when memory or disk run out, until [`Faults::unblock`]:
    /// a connection that publishes is held up from that moment on. Its message is not taken and
    /// nothing more is read, acknowledgements too; clients that announce the capability are told
    /// the `reason` by `connection.blocked`. Heartbeats go on being sent, and none is missed.
    /// Connections that do not publish notice nothing.
    pub fn block(&self, reason: &str) {
        self.hub.alarm.send_replace(Some(reason.to_owned()));
    }

    /// Ends [`Faults::block`], which publishers are told by `connection.unblocked`.
    pub fn unblock(&self) {
        self.hub.alarm.send_replace(None);
    }

    /// Refuses the next `count` messages that are routed to a queue and want a confirm: they are
    /// answered by `basic.nack`, and lost. Several calls add up.
    pub fn nack_next(&self, count: usize) {
        self.refuse(Refusal { queue: None, count });
    }

    /// As [`Faults::nack_next`], for messages that are routed to `queue`.
    pub fn nack_next_to(&self, queue: &str, count: usize) {
        if let Ok(queue) = Name::try_new(queue) {
            self.refuse(Refusal { queue: Some(queue), count });
        }
    }

    fn refuse(&self, refusal: Refusal) {
        self.hub.vhost(DEFAULT_VHOST).run(|state| state.refuse(refusal));
    }

    /// Deletes a queue with its messages, under its consumers, which are told by `basic.cancel`
    /// where they announce the capability; says whether there was one.
    pub fn delete_queue(&self, queue: &str) -> bool {
        let Ok(queue) = Name::try_new(queue) else {
            return false;
        };
        self.hub.vhost(DEFAULT_VHOST).run(|state| state.take_away(&queue))
    }
}
