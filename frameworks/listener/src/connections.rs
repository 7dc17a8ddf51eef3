//! What all connections of a listener have in common.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use tracing::debug;

use crate::{
    ListenerSettings, TlsError,
    admission::{Admission, Place},
    bind::Stream,
    call::{Calls, Dispatch},
    client::Client,
    clock::Times,
    connection::{Connection, Newcomer},
    io::{Io, Socket},
    load::Load,
    peer::Peer,
    protocols::{Http, Protocols},
    tasks::{Streams, Tasks},
    tls::{Session, Tls},
    trust::Trust,
};

/// What all connections of a listener have in common.
#[derive(Debug)]
pub(crate) struct Connections {
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) admission: Admission,
    pub(crate) protocols: Protocols,
    pub(crate) times: Times,
    pub(crate) idle_linger: Duration,
    dispatch: Arc<Dispatch>,
    trust: Trust,
    tls: Option<Tls>,
}

impl Connections {
    pub(crate) fn new(
        tasks: Arc<Tasks>,
        dispatch: Dispatch,
        settings: &ListenerSettings,
    ) -> Result<Self, TlsError> {
        Ok(Self {
            admission: Admission::new(&settings.limits),
            dispatch: Arc::new(dispatch),
            trust: Trust::new(&settings.trusted_proxies),
            tls: Tls::load(&settings.tls)?,
            protocols: Protocols::new(settings, Streams(Arc::clone(&tasks))),
            times: Times::new(settings),
            idle_linger: settings.idle_linger,
            tasks,
        })
    }

    /// What has to be done beside the connections, until it is dropped.
    pub(crate) async fn tend(&self) {
        match &self.tls {
            Some(tls) => tls.reload_forever().await,
            None => std::future::pending().await,
        }
    }

    /// A place for a new connection; none where its peer has enough of them.
    pub(crate) fn admit(&self, peer: Peer) -> Option<Place> {
        match self.trust.is_trusted(peer) {
            true => Some(Place::default()),
            false => self.admission.admit(peer),
        }
    }

    /// Serves a client in a task of its own.
    pub(crate) fn accept(self: &Arc<Self>, stream: Stream, peer: Peer, place: Place) {
        if let Stream::Tcp(stream) = &stream
            && let Err(error) = stream.set_nodelay(true)
        {
            debug!(%peer, %error, "the client has left already");
        }
        self.tasks.spawn_connection(peer, |load, ticket| {
            let socket = Socket::new(stream, Arc::clone(&load), place);
            Connection::new(Arc::clone(self), Newcomer { socket, peer, load, ticket })
        });
    }

    /// What is first done with a new connection.
    pub(crate) fn receive(self: &Arc<Self>, socket: Socket, peer: Peer, load: &Arc<Load>) -> Http {
        match &self.tls {
            None => self.begin(Session { io: Io::plain(socket), certificates: None }, peer, load),
            Some(_) => {
                let connections = Arc::clone(self);
                let load = Arc::clone(load);
                Http::Shakes(Box::pin(async move {
                    let session = connections.secure(socket, peer, &load).await?;
                    Some(connections.begin(session, peer, &load))
                }))
            }
        }
    }

    fn begin(&self, session: Session, peer: Peer, load: &Arc<Load>) -> Http {
        let client = Client::new(peer, &self.trust, session.certificates, self.is_encrypted());
        let client = Arc::new(client);
        let (dispatch, load) = (Arc::clone(&self.dispatch), Arc::clone(load));
        Http::Begins(Some((session.io, Calls { dispatch, load, client })))
    }

    /// Whether TLS is spoken.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Shakes hands where TLS is spoken.
    async fn secure(&self, socket: Socket, peer: Peer, load: &Load) -> Option<Session> {
        let mut handshake = Box::pin(self.tls.as_ref()?.accept(socket));
        let shaken = poll_fn(|cx| {
            load.register(cx.waker());
            match handshake.as_mut().poll(cx) {
                // Nothing has been asked yet, so nothing is lost.
                Poll::Pending if load.is_stopping() => Poll::Ready(None),
                polled => polled.map(Some),
            }
        });
        match shaken.await? {
            Ok(session) => Some(session),
            Err(error) => {
                debug!(%peer, %error, "no TLS connection came about");
                None
            }
        }
    }
}
