//! What modules register for WebSocket.

use std::fmt;

use polyport_bootstrap::{
    DEFAULT_NAME, ModuleBuilder, RouteSet, exposures,
    operation::{
        Bind, Endpoint, Exposure, IntoReply, NoInput, Operation, OperationExt, Protocol, StageScope,
    },
};

/// The protocol that operations are served on by this framework.
pub const PROTOCOL: Protocol = Protocol::new("websocket");

/// Events and the operations that they call, and what is called when a connection begins and ends.
#[derive(Default)]
pub struct WebSocketRoutes {
    pub(crate) events: Vec<(String, Endpoint)>,
    pub(crate) connect: Vec<Endpoint>,
    pub(crate) disconnect: Vec<Endpoint>,
}

impl fmt::Debug for WebSocketRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.events.iter().map(|(event, _)| event)).finish()
    }
}

impl WebSocketRoutes {
    /// Lets `event` call `operation`, whose input is the frame's `data`.
    #[must_use]
    pub fn on<M: 'static, Op>(mut self, event: impl Into<String>, operation: Op) -> Self
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        self.events.push((event.into(), Endpoint::json(operation)));
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
    /// The entries for the registry of operations. Hooks are no routes, but what they inject is
    /// checked in the same way; they are counted on from `known`.
    pub(crate) fn exposures(&self, known: &Self, module: &str, framework: &str) -> Vec<Exposure> {
        let hooks = |point: &'static str, known: usize, hooks: &[Endpoint]| -> Vec<Exposure> {
            let numbered = hooks.iter().zip(known + 1..);
            let exposure = |(hook, number): (&Endpoint, usize)| Exposure {
                protocol: PROTOCOL,
                framework: framework.to_owned(),
                route: format!("({point} {number})"),
                module: module.to_owned(),
                endpoint: hook.clone(),
            };
            numbered.map(exposure).collect()
        };
        let mut exposures = exposures(self, module, framework);
        exposures.extend(hooks("on_connect", known.connect.len(), &self.connect));
        exposures.extend(hooks("on_disconnect", known.disconnect.len(), &self.disconnect));
        exposures
    }

    pub(crate) fn append(&mut self, added: Self) {
        self.events.extend(added.events);
        self.connect.extend(added.connect);
        self.disconnect.extend(added.disconnect);
    }
}

impl RouteSet for WebSocketRoutes {
    const KIND: &'static str = PROTOCOL.as_str();
    const PROTOCOL: Protocol = PROTOCOL;

    fn routes(&self) -> Vec<(String, Endpoint)> {
        self.events.clone()
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
