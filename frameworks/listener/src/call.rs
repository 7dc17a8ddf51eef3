//! One call: from the head of its request until its answer is written.

use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header::CONNECTION};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, service::Service};
use tokio::{runtime::Handle, time::Instant};

use crate::{
    BoxError, ErasedHandler, HandlerFuture, ListenerSettings, LongLived, RequestBody, ResponseBody,
    client::Client,
    load::{Hold, Load, Work},
    request_body::Rate,
    settings::ClientLeave,
    shared::Mount,
    tasks::Tasks,
};

/// Who answers which request of a listener, and how. Fixed once it serves.
#[derive(Debug)]
pub(crate) struct Dispatch {
    mounts: Box<[Mount]>,
    main: Arc<dyn ErasedHandler>,
    header_count: usize,
    rate: Option<Rate>,
    /// Where calls go on whose clients have left; none where they are cancelled.
    after_leave: Option<AfterLeave>,
}

/// Finishes calls whose clients have left.
#[derive(Debug)]
struct AfterLeave {
    tasks: Arc<Tasks>,
    /// How many of one connection.
    most: u32,
}

impl Dispatch {
    pub(crate) fn new(
        mounts: Vec<Mount>,
        main: Arc<dyn ErasedHandler>,
        settings: &ListenerSettings,
        tasks: &Arc<Tasks>,
    ) -> Self {
        let limits = &settings.limits;
        let finishes = settings.on_client_leave == ClientLeave::Finish;
        let after_leave =
            finishes.then(|| AfterLeave { tasks: Arc::clone(tasks), most: limits.http2.streams });
        let (header_count, rate) = (limits.header_count, Rate::new(limits));
        Self { mounts: mounts.into(), main, header_count, rate, after_leave }
    }

    fn handle(
        &self,
        request: Request<Incoming>,
        began: Instant,
        load: &Arc<Load>,
        client: &Arc<Client>,
    ) -> HandlerFuture {
        let is_read = !request.body().is_end_stream() && !load.is_http2();
        let reading = is_read.then(|| load.read_body());
        let request = request.map(|body| RequestBody::new(body, began, self.rate, reading));
        let claimed = self.mounts.iter().find(|mount| mount.claims(&request));
        let handler = claimed.map_or(&self.main, Mount::handler);
        Arc::clone(handler).handle_erased(request, client)
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
    pub(crate) client: Arc<Client>,
}

impl Service<Request<Incoming>> for Calls {
    type Response = Response<CountedBody>;
    type Error = Infallible;
    type Future = Call;

    fn call(&self, mut request: Request<Incoming>) -> Call {
        let (hold, began) = (self.load.hold(Work::Call), Instant::now());
        self.load.begins(began);
        let http2 = request.version() == Version::HTTP_2;
        if http2 && request.method() == Method::CONNECT {
            request.extensions_mut().insert(Tunnel::through(&self.load));
        }
        self.client.sift(&mut request);
        let answer = match request.headers().len() > self.dispatch.header_count {
            true => Box::pin(ready(too_many_headers())),
            false => self.dispatch.handle(request, began, &self.load, &self.client),
        };
        let finishes = self.dispatch.after_leave.is_some();
        let dispatch = finishes.then(|| Arc::clone(&self.dispatch));
        if http2 {
            self.load.takes();
        }
        Call { answer: Some(answer), hold: Some(hold), http2, is_fresh: http2, dispatch }
    }
}

/// hyper answers so by itself on HTTP/1.
fn too_many_headers() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    response
}

/// A call whose handler is at work.
pub(crate) struct Call {
    /// None once it is there.
    answer: Option<HandlerFuture>,
    hold: Option<Hold>,
    http2: bool,
    /// Whether it is counted as one that nobody has looked at yet.
    is_fresh: bool,
    /// Where it goes on if its client leaves.
    dispatch: Option<Arc<Dispatch>>,
}

impl Future for Call {
    type Output = Result<Response<CountedBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.begins();
        let Some(answer) = &mut self.answer else { return Poll::Pending };
        let mut response = ready!(answer.as_mut().poll(cx));
        self.answer = None;
        let hold = self.hold.take();
        if !self.http2 && hold.as_ref().is_some_and(|hold| hold.load().is_stopping()) {
            announce_close(&mut response);
        }
        let long_lived = response.extensions().get::<LongLived>().is_some();
        Poll::Ready(Ok(response.map(|body| CountedBody::new(body, hold, long_lived))))
    }
}

impl Call {
    /// Its handler is run, or never will be.
    fn begins(&mut self) {
        if std::mem::take(&mut self.is_fresh)
            && let Some(hold) = &self.hold
        {
            hold.load().handles();
        }
    }
}

/// The client has left, or the handler panicked.
impl Drop for Call {
    fn drop(&mut self) {
        self.begins();
        let (Some(dispatch), Some(answer)) = (self.dispatch.take(), self.answer.take()) else {
            return;
        };
        let Some(after) = &dispatch.after_leave else { return };
        let Some(load) = self.hold.as_ref().map(Hold::load) else { return };
        // Outside a runtime everything has ended.
        if std::thread::panicking() || Handle::try_current().is_err() {
            return;
        }
        if let Some(left) = load.leave_behind(after.most) {
            after.tasks.spawn_call(async move {
                drop(answer.await);
                drop(left);
            });
        }
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
    /// How many pieces were there in a row without having been waited for.
    in_a_row: u8,
}

/// How many pieces of a body are written in a row before other connections have their turn: hyper
/// alone goes on until the socket is full, which takes megabytes.
const MOST_IN_A_ROW: u8 = 16;

impl CountedBody {
    fn new(body: ResponseBody, hold: Option<Hold>, long_lived: bool) -> Self {
        let hold = match hold {
            Some(call) if long_lived => Some(call.load().hold(Work::LongLived)),
            hold => hold,
        };
        Self { body, hold, in_a_row: 0 }
    }

    /// The last chunk takes the call with it; earlier ones are counted by themselves, since a body
    /// of unknown length is dropped before they are written.
    fn count(&mut self, bytes: Bytes) -> Chunk {
        let hold = match &self.hold {
            None => None,
            Some(_) if self.body.is_end_stream() => self.hold.take().map(Hold::into_bytes),
            Some(hold) if hold.is_long_lived() => None,
            Some(hold) => Some(hold.load().hold(Work::Piece).into_bytes()),
        };
        Chunk { bytes, hold }
    }
}

impl Body for CountedBody {
    type Data = Chunk;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, BoxError>>> {
        if self.in_a_row == MOST_IN_A_ROW {
            self.in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            self.in_a_row = 0;
            return Poll::Pending;
        };
        self.in_a_row += 1;
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
    hold: Option<Hold>,
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        if let Some(hold) = &self.hold {
            hold.load().sent();
        }
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        if let Some(hold) = &self.hold {
            hold.load().sent();
        }
        self.bytes.copy_to_bytes(len)
    }
}
