//! What modules register: exchanges, queues, and operations that consume from queues.

use polyport_bootstrap::{
    DEFAULT_NAME, ModuleBuilder, RouteSet,
    operation::{Bind, Endpoint, IntoReply, Operation, Protocol},
};

use crate::{
    consumer::Consumer,
    dispatch::{Dispatch, Types},
    topology::{Exchange, Queue},
};

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

/// A consumer, and what handles its messages.
#[derive(Debug, Clone)]
pub(crate) struct Consumed {
    pub(crate) consumer: Consumer,
    pub(crate) dispatch: Dispatch,
    /// Types that two operations are registered for.
    pub(crate) twice: Vec<String>,
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

    /// Has `operation` handle the messages of a queue: of one by its name, or as a [`Consumer`] says.
    /// A queue that nobody declares is declared durable; beside it stand `<queue>.dead`, where
    /// messages end that cannot be handled, and one `<queue>.retry.<delay>` for each delay between
    /// attempts.
    ///
    /// The message's body is the input: JSON, where its content type does not say otherwise, or the
    /// data of a [`CloudEvent`](crate::CloudEvent). An operation that takes
    /// [`Body`](polyport_bootstrap::operation::Body) gets it as it is, of whatever content type. One
    /// with `reply_to` is answered with the
    /// operation's value, or its fault, in the configured envelope; the value's headers are headers
    /// of the reply, and bytes are sent as they are, with their content type.
    ///
    /// [`Items`](polyport_bootstrap::operation::Items) are several replies with the same correlation
    /// id, numbered from 1 by the header `x-polyport-item`. Behind the last item comes one more
    /// reply, with the header `x-polyport-last` and the body `null`, or the fault that has ended
    /// them. They have to end within the call's deadline, since the message is held that long.
    /// Without `reply_to` nobody would read them: no item is made then.
    #[must_use]
    pub fn consume<M: 'static, Op>(self, consumer: impl Into<Consumer>, operation: Op) -> Self
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        self.add(consumer.into(), Dispatch::One(Endpoint::json(operation)))
    }

    /// Has several operations handle the messages of a queue, by their type: AMQP's property `type`,
    /// or else that of the CloudEvent that a message is. A message of an unknown type, or without
    /// one, is parked at once, unless there is an operation for all others
    /// ([`Types::otherwise`]).
    ///
    /// # Examples
    /// ```
    /// use polyport_amqp::AmqpModule;
    /// use polyport_bootstrap::{Fault, ModuleBuilder};
    ///
    /// async fn created() -> Result<(), Fault> {
    ///     Ok(())
    /// }
    ///
    /// async fn cancelled() -> Result<(), Fault> {
    ///     Ok(())
    /// }
    ///
    /// fn configure(m: &mut ModuleBuilder<'_>) {
    ///     m.amqp(|q| {
    ///         q.consume_types("orders", |t| {
    ///             t.on("order.created", created).on("order.cancelled", cancelled)
    ///         })
    ///     });
    /// }
    /// ```
    #[must_use]
    pub fn consume_types(
        mut self,
        consumer: impl Into<Consumer>,
        types: impl FnOnce(Types) -> Types,
    ) -> Self {
        let (dispatch, twice) = types(Types::default()).into_dispatch();
        self.consumers.push(Consumed { consumer: consumer.into(), dispatch, twice });
        self
    }

    pub(crate) fn add(mut self, consumer: Consumer, dispatch: Dispatch) -> Self {
        self.consumers.push(Consumed { consumer, dispatch, twice: Vec::new() });
        self
    }
}

impl RouteSet for AmqpRoutes {
    const KIND: &'static str = "amqp";
    const PROTOCOL: Protocol = PROTOCOL;

    fn routes(&self) -> Vec<(String, Endpoint)> {
        let routes = |consumed: &Consumed| consumed.dispatch.routes(consumed.consumer.name());
        self.consumers.iter().flat_map(routes).collect()
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
