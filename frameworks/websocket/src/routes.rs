//! What modules register for WebSocket.

use std::fmt;

use polyport_bootstrap::{
    DEFAULT_NAME, Error, ModuleBuilder, RouteSet, exposures,
    operation::{
        Bind, Endpoint, Exposure, IntoReply, NoInput, Operation, OperationExt, Protocol, StageScope,
    },
    wire::{ACK_EVENT, EXCEPTION_EVENT},
};

/// The protocol that operations are served on by this framework.
pub const PROTOCOL: Protocol = Protocol::new("websocket");

/// The event that the answer to a text that is no frame has, where the operation's value is none
/// of bytes.
pub(crate) const TEXT: &str = "text";
/// The event that the answer to a binary message has, where the operation's value is none of bytes.
pub(crate) const BINARY: &str = "binary";

/// An event that calls an operation.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) endpoint: Endpoint,
    /// Whether it waits for no other event of its connection.
    pub(crate) independent: bool,
}

/// Events and the operations that they call, and what is called when a connection begins and ends.
#[derive(Default)]
pub struct WebSocketRoutes {
    pub(crate) events: Vec<Event>,
    pub(crate) text: Vec<Endpoint>,
    pub(crate) binary: Vec<Endpoint>,
    pub(crate) connect: Vec<Endpoint>,
    pub(crate) disconnect: Vec<Endpoint>,
}

impl fmt::Debug for WebSocketRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.events.iter().map(|event| &event.name)).finish()
    }
}

impl WebSocketRoutes {
    /// Lets `event` call `operation`, whose input is the frame's `data`. The events of one
    /// connection are handled one after the other. The names `ack` and `exception` are taken.
    #[must_use]
    pub fn on<M: 'static, Op>(self, event: impl Into<String>, operation: Op) -> Self
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        self.add(event.into(), Endpoint::json(operation), false)
    }

    /// As [`on`](Self::on), for an event that waits for no other one of its connection, and lets
    /// none wait; its answer carries the `id`, and comes when it is ready. Of one connection at
    /// most `max_concurrent_events` of the settings are handled at once.
    #[must_use]
    pub fn on_independent<M: 'static, Op>(self, event: impl Into<String>, operation: Op) -> Self
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        self.add(event.into(), Endpoint::json(operation), true)
    }

    fn add(mut self, name: String, endpoint: Endpoint, independent: bool) -> Self {
        self.events.push(Event { name, endpoint, independent });
        self
    }

    /// Calls `operation` for each binary message; its bytes are the argument
    /// [`Body`](polyport_bootstrap::operation::Body). Bytes that it returns
    /// ([`Raw`](polyport_bootstrap::operation::Raw)) are sent as a binary message, any other value
    /// as the event `binary`. Without such an operation a binary message is refused.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Fault, operation::{Body, Raw}};
    /// use polyport_websocket::WebSocketRoutes;
    ///
    /// async fn reverse(Body(bytes): Body) -> Result<Raw, Fault> {
    ///     let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
    ///     Ok(Raw::new("application/octet-stream", reversed))
    /// }
    ///
    /// fn routes(g: WebSocketRoutes) -> WebSocketRoutes {
    ///     g.on_binary(reverse)
    /// }
    /// # routes(WebSocketRoutes::default());
    /// ```
    #[must_use]
    pub fn on_binary<M: 'static, Op>(mut self, operation: Op) -> Self
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        self.binary.push(Endpoint::json(operation));
        self
    }

    /// Calls `operation` for each text message that is no frame of an event, as
    /// [`on_binary`](Self::on_binary) for binary ones: for clients that speak something of their
    /// own. Bytes that it returns are sent as a text message, as far as they are UTF-8, any other
    /// value as the event `text`.
    #[must_use]
    pub fn on_text<M: 'static, Op>(mut self, operation: Op) -> Self
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        self.text.push(Endpoint::json(operation));
        self
    }

    /// Calls `operation` when a client has connected, before its first event is handled. Its
    /// input is the query of the URL that the client connected to, the context's metadata are the
    /// headers. A fault is sent to the client as the event `exception`, and closes the connection:
    /// with 1011 where it is internal, else with 1008. What it leaves in the context
    /// ([`Context::set`](polyport_bootstrap::Context::set)) each event of the connection finds
    /// there.
    ///
    /// Guards of the application and of the framework decide before, while there is an HTTP
    /// response to refuse with; those of the module and its own stand around it.
    #[must_use]
    pub fn on_connect<M: 'static, Op>(mut self, operation: Op) -> Self
    where
        Op: Operation<M, Output = ()>,
        Op::Input: Bind,
    {
        self.connect.push(Endpoint::json(operation.within(StageScope::Module)));
        self
    }

    /// Calls `operation` when a connection has ended and all its events are handled;
    /// [`Closed`](crate::Closed) is an argument of it that says how. The connection is in no room
    /// any more. Not called for those that the process closes when it stops: what the operation
    /// needs is disposed of by then; use the hook `before_close`. Only what the operation itself
    /// was declared with stands around it: a guard is not asked whether a client may leave.
    #[must_use]
    pub fn on_disconnect<M: 'static, Op>(mut self, operation: Op) -> Self
    where
        Op: Operation<M, Input = NoInput, Output = ()>,
    {
        self.disconnect.push(Endpoint::json(operation.within(StageScope::Operation)));
        self
    }
}

impl WebSocketRoutes {
    /// The names that the protocol has taken for itself.
    pub(crate) fn reserved(&self, module: &str) -> Vec<Error> {
        let names = self.events.iter().map(|event| event.name.as_str());
        let reserved = names.filter(|name| matches!(*name, ACK_EVENT | EXCEPTION_EVENT));
        let error = |name: &str| {
            let message = format!("the event {name:?} is the protocol's own (module {module})");
            Error::wiring(message).advise("give the operation another event")
        };
        reserved.map(error).collect()
    }

    /// The entries for the registry of operations. Hooks are no routes, but what they inject is
    /// checked in the same way; they are counted on from `known`.
    pub(crate) fn exposures(&self, known: &Self, module: &str, framework: &str) -> Vec<Exposure> {
        let exposure = |route: String, endpoint: &Endpoint| Exposure {
            protocol: PROTOCOL,
            framework: framework.to_owned(),
            route,
            module: module.to_owned(),
            endpoint: endpoint.clone(),
        };
        let hooks = |point: &'static str, known: usize, hooks: &[Endpoint]| -> Vec<Exposure> {
            let numbered = hooks.iter().zip(known + 1..);
            numbered.map(|(hook, number)| exposure(format!("({point} {number})"), hook)).collect()
        };
        let raw = |point: &'static str, endpoints: &[Endpoint]| -> Vec<Exposure> {
            endpoints.iter().map(|endpoint| exposure(format!("({point})"), endpoint)).collect()
        };
        let mut exposures = exposures(self, module, framework);
        exposures.extend(raw("on_binary", &self.binary));
        exposures.extend(raw("on_text", &self.text));
        exposures.extend(hooks("on_connect", known.connect.len(), &self.connect));
        exposures.extend(hooks("on_disconnect", known.disconnect.len(), &self.disconnect));
        exposures
    }

    pub(crate) fn append(&mut self, added: Self) {
        self.events.extend(added.events);
        self.text.extend(added.text);
        self.binary.extend(added.binary);
        self.connect.extend(added.connect);
        self.disconnect.extend(added.disconnect);
    }
}

impl RouteSet for WebSocketRoutes {
    const KIND: &'static str = PROTOCOL.as_str();
    const PROTOCOL: Protocol = PROTOCOL;

    fn routes(&self) -> Vec<(String, Endpoint)> {
        self.events.iter().map(|event| (event.name.clone(), event.endpoint.clone())).collect()
    }
}

/// Lets modules register events: `m.websocket(|g| g.on("users.get", get_user))`.
pub trait WebSocketModule {
    /// Registers for the framework named `default`.
    fn websocket(&mut self, routes: impl FnOnce(WebSocketRoutes) -> WebSocketRoutes) -> &mut Self {
        self.websocket_on(DEFAULT_NAME, routes)
    }

    /// Registers for the framework of this name.
    fn websocket_on(
        &mut self,
        name: &str,
        routes: impl FnOnce(WebSocketRoutes) -> WebSocketRoutes,
    ) -> &mut Self;
}

impl WebSocketModule for ModuleBuilder<'_> {
    fn websocket_on(
        &mut self,
        name: &str,
        routes: impl FnOnce(WebSocketRoutes) -> WebSocketRoutes,
    ) -> &mut Self {
        self.register(name, routes)
    }
}
