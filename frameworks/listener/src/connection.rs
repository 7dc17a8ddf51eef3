//! One connection, from its first byte to its end.

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, Write};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::TcpStream,
    time::{Sleep, sleep},
};
use tracing::debug;

use crate::{
    ListenerSettings,
    call::{Calls, Dispatch},
    io::Watched,
    load::Load,
    tasks::{Streams, Tasks},
};

type Connection<'a, I> = auto::UpgradeableConnection<'a, Watched<I>, Calls, Streams>;

/// What all connections of a listener have in common.
#[derive(Debug)]
pub(crate) struct Connections {
    pub(crate) tasks: Arc<Tasks>,
    dispatch: Arc<Dispatch>,
    protocol: auto::Builder<Streams>,
    idle_linger: Duration,
    header_read_timeout: Duration,
}

impl Connections {
    pub(crate) fn new(tasks: Arc<Tasks>, dispatch: Dispatch, settings: &ListenerSettings) -> Self {
        let mut protocol = auto::Builder::new(Streams(Arc::clone(&tasks)));
        protocol.http1().timer(TokioTimer::new()).header_read_timeout(settings.header_read_timeout);
        protocol.http2().timer(TokioTimer::new()).enable_connect_protocol();
        let &ListenerSettings { idle_linger, header_read_timeout, .. } = settings;
        let dispatch = Arc::new(dispatch);
        Self { tasks, dispatch, protocol, idle_linger, header_read_timeout }
    }

    /// Serves a client in a task of its own.
    pub(crate) fn accept(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "the client has left already");
        }
        self.tasks.spawn_connection(peer, |load| {
            let connections = Arc::clone(self);
            async move { connections.serve(TokioIo::new(stream), peer, load).await }
        });
    }

    async fn serve<I>(&self, io: I, peer: SocketAddr, load: Arc<Load>)
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let dispatch = Arc::clone(&self.dispatch);
        let calls = Calls { dispatch, load: Arc::clone(&load), peer };
        let io = Watched::new(io, Arc::clone(&load));
        let mut connection = pin!(self.protocol.serve_connection_with_upgrades(io, calls));
        let mut beginning = Beginning::new(Arc::clone(&load), self.header_read_timeout);
        let mut farewell = Farewell::new(load, self.idle_linger);
        let ended = poll_fn(|cx| match farewell.poll(cx, connection.as_mut()) {
            Poll::Pending if beginning.is_over(cx) => Poll::Ready(Ok(())),
            polled => polled,
        })
        .await;
        if let Err(error) = ended {
            debug!(%peer, %error, "connection ended");
        }
    }
}

/// Ends a connection whose peer says nothing: hyper's own timer runs only once it has read enough
/// to tell HTTP/1 from HTTP/2.
struct Beginning {
    load: Arc<Load>,
    /// None once the peer has begun.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Beginning {
    fn new(load: Arc<Load>, limit: Duration) -> Self {
        Self { load, timer: Some(Box::pin(sleep(limit))) }
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.load.is_unbegun() {
            self.timer = None;
        }
        self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
    }
}

/// Sees to it that a connection ends well when the listener stops.
struct Farewell {
    load: Arc<Load>,
    linger: Duration,
    lingering: Option<Pin<Box<Sleep>>>,
    shut: bool,
}

impl Farewell {
    fn new(load: Arc<Load>, linger: Duration) -> Self {
        Self { load, linger, lingering: None, shut: false }
    }

    fn poll<I>(
        &mut self,
        cx: &mut Context<'_>,
        mut connection: Pin<&mut Connection<'_, I>>,
    ) -> Poll<Result<(), crate::BoxError>>
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            self.load.register(cx.waker());
            if self.shut || !self.load.is_stopping() || self.lingers(cx) {
                return Poll::Pending;
            }
            connection.as_mut().graceful_shutdown();
            self.shut = true;
            self.load.mark_shut();
        }
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
