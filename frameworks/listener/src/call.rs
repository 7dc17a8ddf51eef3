//! One call: from the head of its request until its answer is written.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header::CONNECTION};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, service::Service};

use crate::{
    BoxError, ErasedHandler, HandlerFuture, LongLived, PeerAddr, ResponseBody,
    load::{Hold, Load, Work},
    shared::Mount,
};

/// Who answers which request of a listener. Fixed once it serves.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) mounts: Box<[Mount]>,
    pub(crate) main: Arc<dyn ErasedHandler>,
}

impl Dispatch {
    fn handle(&self, request: Request<Incoming>) -> HandlerFuture {
        let claimed = self.mounts.iter().find(|mount| mount.claims(&request));
        let handler = claimed.map_or(&self.main, Mount::handler);
        Arc::clone(handler).handle_erased(request)
    }
}

/// As an extension of an HTTP/2 CONNECT (RFC 8441): whoever takes the stream over keeps it as long
/// as the stream lives, so that the connection below is not ended as an idle one when the listener
/// stops.
#[derive(Debug, Clone)]
pub struct Tunnel {
    _hold: Arc<Hold>,
}

impl Tunnel {
    fn through(connection: &Arc<Load>) -> Self {
        Self { _hold: Arc::new(connection.hold(Work::LongLived)) }
    }
}

/// Takes the calls of one connection.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) load: Arc<Load>,
    pub(crate) peer: SocketAddr,
}

impl Service<Request<Incoming>> for Calls {
    type Response = Response<CountedBody>;
    type Error = Infallible;
    type Future = Call;

    fn call(&self, mut request: Request<Incoming>) -> Call {
        let hold = self.load.hold(Work::Call);
        let http2 = request.version() == Version::HTTP_2;
        if http2 {
            self.load.speaks_http2();
        }
        if http2 && request.method() == Method::CONNECT {
            request.extensions_mut().insert(Tunnel::through(&self.load));
        }
        request.extensions_mut().insert(PeerAddr(self.peer));
        Call { answer: self.dispatch.handle(request), hold: Some(hold), http2 }
    }
}

/// A call whose handler is at work.
pub(crate) struct Call {
    answer: HandlerFuture,
    hold: Option<Hold>,
    http2: bool,
}

impl Future for Call {
    type Output = Result<Response<CountedBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(self.answer.as_mut().poll(cx));
        let hold = self.hold.take();
        if !self.http2 && hold.as_ref().is_some_and(|hold| hold.load().is_stopping()) {
            announce_close(&mut response);
        }
        let long_lived = response.extensions().get::<LongLived>().is_some();
        Poll::Ready(Ok(response.map(|body| CountedBody::new(body, hold, long_lived))))
    }
}

/// hyper announces it by itself only where the stop came before the handler was done.
fn announce_close<B>(response: &mut Response<B>) {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// A response's body that keeps its call counted until hyper has written the last of its bytes.
#[derive(Debug)]
pub(crate) struct CountedBody {
    body: ResponseBody,
    hold: Option<Hold>,
}

impl CountedBody {
    fn new(body: ResponseBody, hold: Option<Hold>, long_lived: bool) -> Self {
        let hold = match hold {
            Some(call) if long_lived => Some(call.load().hold(Work::LongLived)),
            hold => hold,
        };
        Self { body, hold }
    }

    /// The last chunk takes the call with it; earlier ones are counted by themselves, since a body
    /// of unknown length is dropped before they are written.
    fn count(&mut self, bytes: Bytes) -> Chunk {
        let hold = match &self.hold {
            None => None,
            Some(_) if self.body.is_end_stream() => self.hold.take(),
            Some(hold) if hold.is_long_lived() => None,
            Some(hold) => Some(hold.load().hold(Work::Piece)),
        };
        Chunk { bytes, _hold: hold }
    }
}

impl Body for CountedBody {
    type Data = Chunk;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| Ok(frame?.map_data(|bytes| self.count(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes of a body; hyper drops them when they are written.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Bytes,
    _hold: Option<Hold>,
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        self.bytes.copy_to_bytes(len)
    }
}
