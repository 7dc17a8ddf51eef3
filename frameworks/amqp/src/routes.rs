//! What modules register: exchanges, queues, and operations that consume from queues.

use polyport_bootstrap::{
    DEFAULT_NAME, ModuleBuilder, RouteSet,
    operation::{Bind, Endpoint, IntoReply, Operation, Protocol},
};

use crate::topology::{Exchange, Queue};

/// The protocol of operations that consume from queues: AMQP 0-9-1.
pub const PROTOCOL: Protocol = Protocol::new("amqp");

/// What one module declares and consumes.
///
/// # Examples
/// ```
/// use polyport_amqp::{AmqpModule, Exchange, Queue};
/// use polyport_bootstrap::{Fault, ModuleBuilder};
///
/// async fn store_message() -> Result<(), Fault> {
///     Ok(())
/// }
///
/// fn configure(m: &mut ModuleBuilder<'_>) {
///     m.amqp(|q| {
///         q.exchange(Exchange::topic("im"))
///             .queue(Queue::new("im.messages").bind("im", "message.*"))
///             .consume("im.messages", store_message)
///     });
/// }
/// ```
#[derive(Debug, Default)]
pub struct AmqpRoutes {
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) consumers: Vec<Consumed>,
}

/// An operation and the queue that it consumes from.
#[derive(Debug, Clone)]
pub(crate) struct Consumed {
    pub(crate) queue: String,
    pub(crate) endpoint: Endpoint,
}

impl AmqpRoutes {
    /// Declares an exchange, on every connection anew.
    #[must_use]
    pub fn exchange(mut self, exchange: Exchange) -> Self {
        self.exchanges.push(exchange);
        self
    }

    /// Declares a queue and its bindings, on every connection anew.
    #[must_use]
    pub fn queue(mut self, queue: Queue) -> Self {
        self.queues.push(queue);
        self
    }

    /// Has `operation` handle the messages of a queue. A queue that nobody declares is declared
    /// durable; beside it stand `<queue>.dead`, where messages end that cannot be handled, and
    /// one `<queue>.retry.<delay>` for each delay of the settings.
    ///
    /// The message's body is the input, as JSON. One with `reply_to` is answered with the
    /// operation's value, or its fault, in the configured envelope; the value's headers are headers
    /// of the reply, and bytes are sent as they are, with their content type.
    ///
    /// [`Items`](polyport_bootstrap::operation::Items) are several replies with the same correlation
    /// id, numbered from 1 by the header `x-polyport-item`. Behind the last item comes one more
    /// reply, with the header `x-polyport-last` and the body `null`, or the fault that has ended
    /// them. They have to end within the call's deadline, since the message is held that long.
    /// Without `reply_to` nobody would read them: no item is made then.
    #[must_use]
    pub fn consume<M: 'static, Op>(mut self, queue: &str, operation: Op) -> Self
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        let endpoint = Endpoint::json(operation);
        self.consumers.push(Consumed { queue: queue.to_owned(), endpoint });
        self
    }
}

impl RouteSet for AmqpRoutes {
    const KIND: &'static str = "amqp";
    const PROTOCOL: Protocol = PROTOCOL;

    fn routes(&self) -> Vec<(String, Endpoint)> {
        let route = |consumed: &Consumed| (consumed.queue.clone(), consumed.endpoint.clone());
        self.consumers.iter().map(route).collect()
    }
}

/// Registers exchanges, queues and consumers in a module: `m.amqp(|q| q.consume(…))`.
pub trait AmqpModule {
    /// For the AMQP framework named `default`.
    fn amqp(&mut self, routes: impl FnOnce(AmqpRoutes) -> AmqpRoutes) -> &mut Self;

    /// For the AMQP framework of this name.
    fn amqp_on(&mut self, name: &str, routes: impl FnOnce(AmqpRoutes) -> AmqpRoutes) -> &mut Self;
}

impl AmqpModule for ModuleBuilder<'_> {
    fn amqp(&mut self, routes: impl FnOnce(AmqpRoutes) -> AmqpRoutes) -> &mut Self {
        self.amqp_on(DEFAULT_NAME, routes)
    }

    fn amqp_on(&mut self, name: &str, routes: impl FnOnce(AmqpRoutes) -> AmqpRoutes) -> &mut Self {
        self.register(name, routes)
    }
}
