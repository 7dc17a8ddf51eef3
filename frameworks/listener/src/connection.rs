//! One connection, from its first byte to its end.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Sleep, sleep};
use tracing::debug;

use crate::{
    BoxError, ListenerSettings, TlsError,
    admission::{Admission, Place},
    bind::Stream,
    call::{Calls, Dispatch},
    client::Client,
    clock::{Clock, State, Times},
    control::ControlFrames,
    io::{Io, Socket, Version},
    limits::{Limits, unless_zero},
    load::Load,
    peer::Peer,
    tasks::{Streams, Tasks},
    tls::{Session, Tls},
    trust::Trust,
};

/// hyper keeps room for as many headers on its stack, and allocates for any other number.
const HYPERS_HEADERS: usize = 100;

/// What all connections of a listener have in common.
#[derive(Debug)]
pub(crate) struct Connections {
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) admission: Admission,
    dispatch: Arc<Dispatch>,
    trust: Trust,
    tls: Option<Tls>,
    protocols: Protocols,
    times: Times,
    idle_linger: Duration,
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
            protocols: Protocols::new(&settings.limits, Streams(Arc::clone(&tasks))),
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
        let connections = Arc::clone(self);
        self.tasks.spawn_connection(peer, move |load| async move {
            let socket = Socket::new(stream, Arc::clone(&load), place);
            connections.serve(socket, peer, load).await;
        });
    }

    async fn serve(&self, socket: Socket, peer: Peer, load: Arc<Load>) {
        let Some(session) = self.secure(socket, peer, &load).await else { return };
        let (trust, encrypted) = (&self.trust, self.tls.is_some());
        let client = Arc::new(Client::new(peer, trust, session.certificates, encrypted));
        let calls = Calls { dispatch: Arc::clone(&self.dispatch), load: Arc::clone(&load), client };
        let http = Http::Begins(Some((session.io, calls)));
        let mut connection = Connection {
            protocols: &self.protocols,
            http,
            clock: Clock::new(self.times),
            linger: self.idle_linger,
            lingering: None,
            is_shut: false,
            load,
        };
        let ended = poll_fn(|cx| connection.poll(cx)).await;
        connection.load.forget_task();
        match ended {
            Ok(None) => {}
            Ok(Some(state)) => debug!(%peer, ?state, "connection ended: it took too long"),
            Err(error) => debug!(%peer, %error, "connection ended"),
        }
    }

    /// Shakes hands where TLS is spoken.
    async fn secure(&self, socket: Socket, peer: Peer, load: &Load) -> Option<Session> {
        let Some(tls) = &self.tls else {
            return Some(Session { io: Io::plain(socket), certificates: None });
        };
        // Boxed, so that connections without TLS do not carry room for it.
        let mut handshake = Box::pin(tls.accept(socket));
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

/// Both versions of HTTP, as they are to be spoken.
#[derive(Debug)]
struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
    control_frames: u32,
}

impl Protocols {
    fn new(limits: &Limits, streams: Streams) -> Self {
        let mut http1 = http1::Builder::new();
        // The clock sees to the time.
        http1.header_read_timeout(None).max_header_size(limits.header_size);
        if limits.header_count != HYPERS_HEADERS {
            http1.max_headers(limits.header_count);
        }
        let mut http2 = http2::Builder::new(streams);
        http2
            .timer(TokioTimer::new())
            .enable_connect_protocol()
            .max_concurrent_streams(limits.http2.streams)
            .max_pending_accept_reset_streams(limits.http2.pending_resets)
            .max_header_list_size(u32::try_from(limits.header_size).unwrap_or(u32::MAX))
            .keep_alive_interval(unless_zero(limits.http2.keep_alive))
            .keep_alive_timeout(limits.http2.keep_alive_timeout);
        Self { http1, http2, control_frames: limits.http2.control_frames }
    }

    fn begin(&self, version: Version, mut io: Io, calls: Calls) -> Http {
        if version == Version::Http2 && self.control_frames > 0 {
            io.limit(ControlFrames::new(self.control_frames));
        }
        let io = TokioIo::new(io);
        match version {
            Version::Http1 => Http::One(self.http1.serve_connection(io, calls).with_upgrades()),
            Version::Http2 => {
                calls.load.speaks_http2();
                Http::Two(Box::new(self.http2.serve_connection(io, calls)))
            }
        }
    }
}

/// What is spoken on a connection.
#[allow(clippy::large_enum_variant, reason = "the connection's task is boxed as it is")]
enum Http {
    /// The peer has not said enough to tell; none for the moment in which it becomes clear.
    Begins(Option<(Io, Calls)>),
    One(http1::UpgradeableConnection<TokioIo<Io>, Calls>),
    /// Boxed: it is twice as large as the others.
    Two(Box<http2::Connection<TokioIo<Io>, Calls, Streams>>),
}

/// A connection on its way through its states.
struct Connection<'a> {
    protocols: &'a Protocols,
    http: Http,
    clock: Clock,
    load: Arc<Load>,
    linger: Duration,
    lingering: Option<Pin<Box<Sleep>>>,
    is_shut: bool,
}

impl Connection<'_> {
    /// Ends with the state that took too long, if that was why.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<State>, BoxError>> {
        loop {
            if let Poll::Ready(ended) = self.poll_http(cx) {
                return Poll::Ready(ended.map(|()| None));
            }
            self.load.register(cx.waker());
            if !self.is_shut && self.load.is_stopping() && !self.lingers(cx) {
                if !self.shut_down() {
                    return Poll::Ready(Ok(None));
                }
                continue;
            }
            match self.clock.poll(cx, &self.load, self.is_shut) {
                None => return Poll::Pending,
                Some(State::Idle) if self.shut_down() => {}
                Some(state) => {
                    if state == State::Waiting {
                        self.load.cut();
                    }
                    return Poll::Ready(Ok(Some(state)));
                }
            }
        }
    }

    fn poll_http(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        loop {
            match &mut self.http {
                Http::One(connection) => {
                    return Pin::new(connection).poll(cx).map_err(Into::into);
                }
                Http::Two(connection) => {
                    return Pin::new(&mut **connection).poll(cx).map_err(Into::into);
                }
                Http::Begins(beginning) => {
                    let Some((io, _)) = beginning else { return Poll::Ready(Ok(())) };
                    let version = ready!(io.poll_version(cx))?;
                    let (Some((io, calls)), Some(version)) = (beginning.take(), version) else {
                        return Poll::Ready(Ok(()));
                    };
                    self.http = self.protocols.begin(version, io, calls);
                }
            }
        }
    }

    /// Tells the peer that no further call is taken; false if it has not begun to speak.
    fn shut_down(&mut self) -> bool {
        self.is_shut = true;
        self.load.mark_shut();
        match &mut self.http {
            Http::Begins(_) => return false,
            Http::One(connection) => Pin::new(connection).graceful_shutdown(),
            Http::Two(connection) => Pin::new(&mut **connection).graceful_shutdown(),
        }
        true
    }

    /// An HTTP/1 client cannot be told that no further request is welcome before it sends one.
    /// HTTP/2 clients can (GOAWAY).
    fn lingers(&mut self, cx: &mut Context<'_>) -> bool {
        if self.linger.is_zero() || self.load.is_http2() || !self.load.is_idle() {
            return false;
        }
        let timer = self.lingering.get_or_insert_with(|| Box::pin(sleep(self.linger)));
        timer.as_mut().poll(cx).is_pending()
    }
}
