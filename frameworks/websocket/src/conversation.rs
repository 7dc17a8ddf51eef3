//! What the calls of one connection have in common: what was found out when the client connected.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, uri::PathAndQuery};
use polyport_bootstrap::{
    Context, Fault,
    operation::{
        Call, Endpoint, Extensions, Inherited, PeerAddr, RawInput, RequestId, peer_timeout,
    },
    wire::Frame,
};
use tokio::time::Instant;

use crate::{Socket, adapter::EventName, gateway::Gateway, state::drop_quietly};

/// How a connection began; kept as long as somebody may ask for it, and boxed, so that connections
/// of which nothing is kept stay small.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// What guards and `on_connect` operations have left.
    pub(crate) values: Inherited,
    /// The headers that events see.
    kept: Box<[(HeaderName, HeaderValue)]>,
    /// What `on_connect` operations see; dropped behind them, and boxed, since the rest stays.
    pub(crate) handshake: Option<Box<Handshake>>,
}

/// What the client said when it connected.
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(crate) query: Option<PathAndQuery>,
    pub(crate) headers: HeaderMap,
}

impl Origin {
    /// Of a client that was let in; none where nobody will ask for it.
    pub(crate) fn new(
        gateway: &Gateway,
        values: Inherited,
        headers: &HeaderMap,
        handshake: impl FnOnce() -> Box<Handshake>,
    ) -> Option<Box<Self>> {
        let kept = kept(&gateway.keep_headers, headers);
        let handshake = (!gateway.table().connect.is_empty()).then(handshake);
        Self { values, kept, handshake }.unless_empty()
    }

    pub(crate) fn unless_empty(self) -> Option<Box<Self>> {
        let is_empty = self.values.is_empty() && self.kept.is_empty() && self.handshake.is_none();
        (!is_empty).then(|| Box::new(self))
    }
}

/// A value of the application that panics when it is dropped must not take the connection along.
impl Drop for Origin {
    fn drop(&mut self) {
        drop_quietly(std::mem::take(&mut self.values));
    }
}

/// Copies, since a header as it came holds the whole head of the request in memory.
fn kept(names: &[HeaderName], headers: &HeaderMap) -> Box<[(HeaderName, HeaderValue)]> {
    let copy = |value: &HeaderValue| {
        let mut copy = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        copy.set_sensitive(value.is_sensitive());
        Some(copy)
    };
    let values = |name| headers.get_all(name).into_iter().filter_map(copy);
    names.iter().flat_map(|name| values(name).map(|value| (name.clone(), value))).collect()
}

/// One connection, as its calls see it.
#[derive(Clone, Copy)]
pub(crate) struct Conversation<'a> {
    pub(crate) gateway: &'a Arc<Gateway>,
    pub(crate) socket: &'a Socket,
    pub(crate) origin: Option<&'a Origin>,
}

impl Conversation<'_> {
    /// The context of an event, and when the client no longer waits for what comes of it.
    ///
    /// # Errors
    /// Returns the fault of metadata that cannot be understood.
    pub(crate) fn context(
        &self,
        endpoint: &Endpoint,
        frame: &Frame<'_>,
        data: Bytes,
    ) -> Result<(Context, Option<Instant>), Fault> {
        let metadata = self.metadata(frame);
        let timeout = peer_timeout(&metadata)?;
        let patience = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let id = metadata.get("x-request-id").and_then(|id| id.to_str().ok());
        let mut call = self.call(endpoint, RequestId::from_peer(id));
        call.deadline = [call.deadline, patience].into_iter().flatten().min();
        (call.metadata, call.input) = (metadata, RawInput::json(data));
        if self.gateway.is_fallback(endpoint) {
            call.extensions.insert(EventName::new(&frame.event));
        }
        Ok((Context::inheriting(call, self.values()), patience))
    }

    /// A call of which nothing is known but the connection.
    pub(crate) fn call(&self, endpoint: &Endpoint, id: RequestId) -> Call {
        let mut extensions = Extensions::new();
        extensions.insert(self.socket.clone());
        extensions.insert(PeerAddr(self.socket.peer()));
        let mut call = self.gateway.call(endpoint, id);
        call.extensions = extensions;
        call
    }

    pub(crate) fn values(&self) -> Inherited {
        self.origin.map(|origin| origin.values.clone()).unwrap_or_default()
    }

    /// What the frame says, as far as headers can say it, and before that what was said at the
    /// handshake: a proxy may have vouched for it.
    fn metadata(&self, frame: &Frame<'_>) -> HeaderMap {
        let mut metadata = HeaderMap::with_capacity(frame.metadata.len());
        for (name, value) in frame.metadata.iter() {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                metadata.append(name, value);
            }
        }
        self.add_kept(&mut metadata);
        metadata
    }

    /// Puts the kept headers of the handshake in the place of others of their names.
    pub(crate) fn add_kept(&self, metadata: &mut HeaderMap) {
        let kept = self.origin.map(|origin| &*origin.kept).unwrap_or_default();
        for (name, _) in kept {
            metadata.remove(name);
        }
        for (name, value) in kept {
            metadata.append(name, value.clone());
        }
    }
}
