//! One connection, from its first byte to its end.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};
use tracing::debug;

use crate::{
    BoxError,
    clock::{Clock, State},
    connections::Connections,
    io::Socket,
    load::Load,
    peer::Peer,
    protocols::Http,
    tasks::Ticket,
};

/// A client that calls again within this time is expected to go on so: between its calls it keeps
/// what hyper has for it. Others, who may be silent for minutes, make it anew when they call.
const SOON: Duration = Duration::from_secs(1);

/// A turn of the others that takes longer keeps answers back: they compute, or there are too many.
const TURN: Duration = Duration::from_millis(5);

/// How often a connection does not give way after that.
const HURRIES: u8 = 64;

/// Who connects.
pub(crate) struct Newcomer {
    pub(crate) socket: Socket,
    pub(crate) peer: Peer,
    pub(crate) load: Arc<Load>,
    pub(crate) ticket: Ticket,
}

/// A connection on its way through its states: the future of its task, written by hand, since one
/// that the compiler makes has room for most of it twice.
pub(crate) struct Connection {
    http: Http,
    clock: Clock,
    connections: Arc<Connections>,
    load: Arc<Load>,
    peer: Peer,
    lingering: Option<Pin<Box<Sleep>>>,
    is_shut: bool,
    /// Whether the client has called again soon.
    is_frequent: bool,
    /// When the others were given their turn, as long as they have it.
    way_given: Option<Instant>,
    /// How often it is not given any more.
    hurries: u8,
    /// Behind all else: who waits for the end of connections waits for it.
    _ticket: Ticket,
}

impl Connection {
    pub(crate) fn new(connections: Arc<Connections>, newcomer: Newcomer) -> Self {
        let Newcomer { socket, peer, load, ticket } = newcomer;
        Self {
            http: connections.receive(socket, peer, &load),
            clock: Clock::new(&connections.times),
            connections,
            load,
            peer,
            lingering: None,
            is_shut: false,
            is_frequent: false,
            way_given: None,
            hurries: 0,
            _ticket: ticket,
        }
    }

    /// Ends with the state that took too long, if that was why.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<State>, BoxError>> {
        if let Http::Shakes(handshake) = &mut self.http {
            let Some(http) = ready!(handshake.as_mut().poll(cx)) else {
                return Poll::Ready(Ok(None));
            };
            self.http = http;
            self.clock = Clock::new(&self.connections.times);
        }
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
            match self.clock.poll(cx, &self.connections.times, &self.load, self.is_shut) {
                None if self.may_rest() => self.http.rest(),
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
                    return Pin::new(&mut **connection).poll(cx).map_err(Into::into);
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
                    self.is_frequent = self.load.calls() > 0 && self.clock.elapsed() < SOON;
                    self.http = self.connections.protocols.begin(version, io, calls);
                }
                // It is over before anything else is done.
                Http::Shakes(_) => return Poll::Pending,
            }
        }
    }

    /// Whether hyper has nothing to do, and nothing is expected soon. Over TLS it says goodbye in
    /// the end, which nobody would do for it.
    fn may_rest(&self) -> bool {
        matches!(self.http, Http::One(_))
            && (!self.is_frequent || self.clock.is_still() && self.clock.elapsed() >= SOON)
            && self.clock.is_idle()
            && !self.load.has_body()
            && !self.connections.is_encrypted()
    }

    /// Lets calls that came in together begin first, so that those that can be answered at once are
    /// answered by one write, as grpc-go does. tokio runs what was woken last first, which is this
    /// task as soon as there is one answer, and a write costs more than most calls.
    fn gives_way(&mut self, cx: &Context<'_>) -> bool {
        if let Some(given) = self.way_given.take() {
            if given.elapsed() > TURN {
                self.hurries = HURRIES;
            }
            return false;
        }
        if !self.load.has_fresh_calls() {
            return false;
        }
        if self.hurries > 0 {
            self.hurries -= 1;
            return false;
        }
        self.way_given = Some(Instant::now());
        // Behind all that is ready by now.
        cx.waker().wake_by_ref();
        true
    }

    /// Tells the peer that no further call is taken; false if it has not begun to speak.
    fn shut_down(&mut self) -> bool {
        self.is_shut = true;
        self.load.mark_shut();
        self.http.shut_down()
    }

    /// An HTTP/1 client cannot be told that no further request is welcome before it sends one.
    /// HTTP/2 clients can (GOAWAY).
    fn lingers(&mut self, cx: &mut Context<'_>) -> bool {
        let linger = self.connections.idle_linger;
        if linger.is_zero() || self.load.is_http2() || !self.load.is_idle() {
            return false;
        }
        let timer = self.lingering.get_or_insert_with(|| Box::pin(sleep(linger)));
        timer.as_mut().poll(cx).is_pending()
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.gives_way(cx) {
            return Poll::Pending;
        }
        let ended = ready!(self.poll_end(cx));
        self.load.forget_task();
        let peer = self.peer;
        match ended {
            Ok(None) => {}
            Ok(Some(state)) => debug!(%peer, ?state, "connection ended: it took too long"),
            Err(error) => debug!(%peer, %error, "connection ended"),
        }
        Poll::Ready(())
    }
}
