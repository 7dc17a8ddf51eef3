use std::{
    net::SocketAddr,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::HeaderMap;
use tokio::time::Instant;

use super::{
    Extensions, OperationInfo, Protocol, RawInput, RequestId,
    attributes::{Inherited, Values},
    extended::Computed,
    traced::Traced,
};
use crate::{
    Config, Result,
    config::Snapshot,
    container::{CallScope, Container, Resolver},
};

/// The peer's address, an extension of every call that comes over a connection of its own; the
/// messages of a broker have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// The parts of a [`Context`], filled in by a framework's adapter.
#[derive(Debug)]
pub struct Call {
    /// The protocol that the call came by.
    pub protocol: Protocol,
    /// The operation that answers it.
    pub operation: Arc<OperationInfo>,
    /// The container that the operation's extractors ask.
    pub container: Container,
    /// What the call is known by.
    pub request_id: RequestId,
    /// When the caller no longer waits.
    pub deadline: Option<Instant>,
    /// HTTP headers, gRPC metadata, AMQP headers, the metadata of a WebSocket frame.
    pub metadata: HeaderMap,
    /// What the call brings, before it is bound.
    pub input: RawInput,
    /// What only this protocol has, by type: the socket, the delivery.
    pub extensions: Extensions,
}

impl Call {
    /// A call of `operation` by `protocol`, with a new request id and nothing else.
    #[must_use]
    pub fn new(protocol: Protocol, operation: Arc<OperationInfo>, container: Container) -> Self {
        Self::known_as(RequestId::new(), protocol, operation, container)
    }

    /// A call that has a request id, and nothing else.
    #[must_use]
    pub fn known_as(
        request_id: RequestId,
        protocol: Protocol,
        operation: Arc<OperationInfo>,
        container: Container,
    ) -> Self {
        Self {
            protocol,
            operation,
            container,
            request_id,
            deadline: None,
            metadata: HeaderMap::new(),
            input: RawInput::default(),
            extensions: Extensions::new(),
        }
    }
}

/// What belongs to one call: request id, deadline, metadata. A cheap handle.
#[derive(Debug, Clone)]
pub struct Context(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    call: Call,
    scope: CallScope,
    /// The configuration as it was when the call first looked.
    config: OnceLock<Arc<Snapshot>>,
    values: Values,
    computed: Computed,
    traced: Traced,
    inherited: Inherited,
    /// How long the operation itself took, in nanoseconds; 0 as long as it has not ended.
    operation_time: AtomicU64,
}

impl Context {
    /// Seals the parts.
    #[must_use]
    pub fn new(call: Call) -> Self {
        Self::with(call, Values::default(), Inherited::default())
    }

    /// Seals the parts of a call that belongs to a longer conversation, whose values it sees; its
    /// own come first.
    #[must_use]
    pub fn inheriting(call: Call, inherited: Inherited) -> Self {
        Self::with(call, Values::default(), inherited)
    }

    /// Seals the parts of a call that leaves its values where these are: whoever inherits them sees
    /// its own, too.
    #[must_use]
    pub fn continuing(call: Call, inherited: &Inherited) -> Self {
        Self::with(call, Values::continuing(inherited), Inherited::default())
    }

    fn with(call: Call, values: Values, inherited: Inherited) -> Self {
        Self(Arc::new(Inner {
            call,
            scope: CallScope::default(),
            config: OnceLock::new(),
            values,
            computed: Computed::default(),
            traced: Traced::default(),
            inherited,
            operation_time: AtomicU64::new(0),
        }))
    }

    /// Remembers how long the operation itself took. Where it runs again, that counts.
    pub(crate) fn set_operation_time(&self, time: Duration) {
        // Enough for 584 years.
        self.0.operation_time.store((time.as_nanos() as u64).max(1), Relaxed);
    }

    /// How long the operation itself took, where it has ended and somebody has measured it.
    pub(crate) fn operation_time(&self) -> Option<Duration> {
        let time = self.0.operation_time.load(Relaxed);
        (time > 0).then(|| Duration::from_nanos(time))
    }

    /// What was left in this call, for other calls to inherit.
    #[must_use]
    pub fn values(&self) -> Inherited {
        self.0.values.share()
    }

    /// What the operation says of itself: its name, and the attributes that it was declared with.
    #[must_use]
    pub fn operation(&self) -> &OperationInfo {
        &self.operation
    }

    /// Leaves a value in the call for whoever comes later: the user that a guard has found, say.
    /// A later one of the same type takes its place.
    pub fn set<T: Send + Sync + 'static>(&self, value: T) {
        self.0.values.add(value);
    }

    /// The value of this type that somebody has left in the call, or in the one that began the
    /// conversation (on WebSocket a guard or an `on_connect` operation, when the client connected),
    /// or else what a module computes
    /// ([`ModuleBuilder::extend_context`](crate::ModuleBuilder::extend_context)): once for each
    /// call, when it is first asked for.
    #[must_use]
    pub fn value<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let left = self.0.values.get().or_else(|| self.0.inherited.get());
        left.or_else(|| self.0.computed.get(self))
    }

    /// The [`value`](Self::value) of this type that somebody has left, to be kept; nothing is
    /// computed for it.
    #[must_use]
    pub fn shared_value<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.values.get_shared().or_else(|| self.0.inherited.get_shared())
    }

    /// How long the caller still waits; `None` where it has said nothing of that.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// A value from the container: the process's, or this call's own.
    ///
    /// # Errors
    /// Returns an error where nobody provides it, or where it cannot be built.
    pub async fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        self.container.get_in(self).await
    }

    /// What only this call's protocol has: the socket, the delivery.
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.extensions.get()
    }

    /// The configuration as it was when this call first looked.
    pub(crate) fn pinned(&self, config: &Config) -> &Snapshot {
        self.0.config.get_or_init(|| Arc::clone(&config.current()))
    }

    /// The call that something is built for.
    pub(crate) fn of(resolver: &Resolver<'_>) -> Option<Self> {
        resolver.call()?.as_any().downcast_ref().cloned()
    }

    pub(super) fn traced(&self) -> &Traced {
        &self.0.traced
    }

    pub(super) fn call_scope(&self) -> &CallScope {
        &self.0.scope
    }
}

impl Deref for Context {
    type Target = Call;

    fn deref(&self) -> &Call {
        &self.0.call
    }
}
