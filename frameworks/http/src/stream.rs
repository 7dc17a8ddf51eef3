//! Bodies that come bit by bit: bytes, and items as server-sent events or JSON lines.

use std::{
    any::Any,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context as Polled, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{BoxStream, CatchUnwind},
};
use http::{HeaderMap, HeaderValue, header};
use http_body::{Body, Frame, SizeHint};
use polyport_bootstrap::{
    Error,
    operation::{ByteStream, Context, Fault, FaultKind, Items, Value},
    wire::Envelope,
};
use polyport_listener::BoxError;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::core::Core;

/// Items that are there already are sent together, up to this many bytes.
const TOGETHER: usize = 16 * 1024;

type Guarded<T> = CatchUnwind<AssertUnwindSafe<BoxStream<'static, Result<T, Fault>>>>;

/// A stream whose panics are faults, until the process ends.
struct Source<T> {
    /// None once it has ended.
    stream: Option<Guarded<T>>,
    context: Context,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<T> Source<T> {
    fn new(core: &Core, context: &Context, stream: BoxStream<'static, Result<T, Fault>>) -> Self {
        Self {
            stream: Some(AssertUnwindSafe(stream).catch_unwind()),
            context: context.clone(),
            closing: Box::pin(core.closing.clone().cancelled_owned()),
        }
    }

    /// Ends with a fault, which is logged.
    fn fail(&mut self, fault: Fault) -> Fault {
        self.stream = None;
        let (operation, request_id) = (self.context.operation.name(), &self.context.request_id);
        let source = fault.source_text().unwrap_or_default();
        if fault.kind() == FaultKind::Internal {
            tracing::error!(operation, protocol = "http", %request_id, %fault, source, "stream failed");
        } else {
            tracing::debug!(operation, protocol = "http", %request_id, %fault, source, "stream ended");
        }
        fault
    }

    fn panicked(&mut self, panic: &(dyn Any + Send)) -> Fault {
        self.fail(Fault::panicked(panic))
    }

    fn poll(&mut self, cx: &mut Polled<'_>) -> Poll<Option<Result<T, Fault>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        match stream.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(Ok(item)))) => Poll::Ready(Some(Ok(item))),
            Poll::Ready(Some(Ok(Err(fault)))) => Poll::Ready(Some(Err(self.fail(fault)))),
            Poll::Ready(Some(Err(panic))) => Poll::Ready(Some(Err(self.panicked(&*panic)))),
            Poll::Ready(None) => {
                self.stream = None;
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Ends the stream where the process does.
    fn poll_close(&mut self, cx: &mut Polled<'_>) -> Poll<Fault> {
        ready!(self.closing.as_mut().poll(cx));
        let message = "the server is stopping; call another, or later";
        Poll::Ready(self.fail(Fault::unavailable("STOPPING", message)))
    }
}

/// Bytes as they come. Their number is what was announced, or the connection breaks: what is cut
/// short must not look whole.
pub(crate) struct BytesBody {
    source: Source<Bytes>,
    left: Option<u64>,
}

impl BytesBody {
    pub(crate) fn new(core: &Core, context: &Context, bytes: ByteStream) -> Self {
        Self { left: bytes.length, source: Source::new(core, context, bytes.stream) }
    }

    fn count(&mut self, bytes: &Bytes) -> Result<(), Fault> {
        if let Some(left) = &mut self.left {
            let rest = left.checked_sub(bytes.len() as u64);
            *left = rest.ok_or_else(|| miscounted("more"))?;
        }
        Ok(())
    }
}

fn miscounted(what: &str) -> Fault {
    Error::other(format!("a stream of bytes gives {what} of them than its length says")).into()
}

impl Body for BytesBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Polled<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = match self.source.poll(cx) {
            Poll::Pending => Some(Err(ready!(self.source.poll_close(cx)))),
            Poll::Ready(Some(Ok(bytes))) => match self.count(&bytes) {
                Ok(()) => Some(Ok(Frame::data(bytes))),
                Err(fault) => Some(Err(self.source.fail(fault))),
            },
            Poll::Ready(None) if self.left.take().is_some_and(|left| left > 0) => {
                Some(Err(self.source.fail(miscounted("fewer"))))
            }
            Poll::Ready(end) => end.map(|fault| fault.map(Frame::data)),
        };
        Poll::Ready(polled.map(|frame| frame.map_err(|fault| fault.to_string().into())))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// How items are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Server-sent events (the HTML standard, section 9.2).
    Events,
    /// JSON values, each on a line of its own.
    Lines,
}

impl Format {
    /// Events for a client that asks for them by name; lines for all others.
    pub(crate) fn accepted(request: &HeaderMap) -> Self {
        let ranges = request.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let asks = ranges.flat_map(|ranges| ranges.split(',')).any(asks_for_events);
        if asks { Self::Events } else { Self::Lines }
    }

    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Events => "text/event-stream",
            Self::Lines => "application/jsonl",
        })
    }
}

fn asks_for_events(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let is_wanted = |parameter: &str| {
        let weight = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
        weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
    };
    parts.next().is_some_and(|range| range.eq_ignore_ascii_case("text/event-stream"))
        && parts.all(is_wanted)
}

/// Items as they come, each as its plain value. A fault is the last of them: the event `exception`,
/// or the line `{"event":"exception","data":…}`, as on WebSocket.
pub(crate) struct ItemsBody {
    source: Source<Value>,
    format: Format,
    envelope: Arc<dyn Envelope>,
    keep_alive: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl ItemsBody {
    pub(crate) fn new(core: &Core, context: &Context, items: Items<Value>, format: Format) -> Self {
        let period = core.keep_alive.filter(|_| format == Format::Events);
        Self {
            source: Source::new(core, context, items.boxed()),
            format,
            envelope: Arc::clone(&core.envelope),
            keep_alive: period.map(|period| (period, Box::pin(sleep(period)))),
        }
    }

    /// Writes what is there already.
    fn gather(&mut self, cx: &mut Polled<'_>) -> Poll<Vec<u8>> {
        let mut out = Vec::new();
        while out.len() < TOGETHER {
            match self.source.poll(cx) {
                Poll::Ready(Some(Ok(item))) => self.write(&item, &mut out),
                Poll::Ready(Some(Err(fault))) => self.write_fault(&fault, &mut out),
                Poll::Ready(None) => break,
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(out)
    }

    fn write(&mut self, item: &Value, out: &mut Vec<u8>) {
        let begin = out.len();
        if self.format == Format::Events {
            out.extend_from_slice(b"data: ");
        }
        let value = out.len();
        match item.write_json(out) {
            Ok(()) => self.end_of_line(value, out),
            Err(error) => {
                out.truncate(begin);
                let error = Error::other("an item cannot be written as JSON").caused_by(error);
                let fault = self.source.fail(error.into());
                self.write_fault(&fault, out);
            }
        }
    }

    fn write_fault(&self, fault: &Fault, out: &mut Vec<u8>) {
        let (before, behind): (&[u8], &[u8]) = match self.format {
            Format::Events => (b"event: exception\ndata: ", b""),
            Format::Lines => (br#"{"event":"exception","data":"#, b"}"),
        };
        out.extend_from_slice(before);
        let value = out.len();
        self.envelope.write_fault(out, &fault.view(self.source.context.request_id.as_str()));
        out.extend_from_slice(behind);
        self.end_of_line(value, out);
    }

    /// JSON that somebody else has written may have line ends between its tokens.
    fn end_of_line(&self, value: usize, out: &mut Vec<u8>) {
        for byte in &mut out[value..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        out.extend_from_slice(if self.format == Format::Events { b"\n\n" } else { b"\n" });
    }

    fn poll_end(&mut self, cx: &mut Polled<'_>) -> Poll<Vec<u8>> {
        let fault = ready!(self.source.poll_close(cx));
        let mut out = Vec::new();
        self.write_fault(&fault, &mut out);
        Poll::Ready(out)
    }

    fn poll_silence(&mut self, cx: &mut Polled<'_>) -> Poll<Vec<u8>> {
        match &mut self.keep_alive {
            Some((_, timer)) => timer.as_mut().poll(cx).map(|()| b":\n\n".to_vec()),
            None => Poll::Pending,
        }
    }
}

impl Body for ItemsBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Polled<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.source.stream.is_none() {
            return Poll::Ready(None);
        }
        // First, since a stream that always has something would never come to it.
        let out = match self.poll_end(cx) {
            Poll::Ready(out) => out,
            Poll::Pending => match self.gather(cx) {
                Poll::Ready(out) => out,
                Poll::Pending => ready!(self.poll_silence(cx)),
            },
        };
        if let Some((period, timer)) = &mut self.keep_alive {
            timer.as_mut().reset(Instant::now() + *period);
        }
        Poll::Ready((!out.is_empty()).then(|| Ok(Frame::data(out.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.source.stream.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_for_those_who_ask_for_them_by_name() {
        let format = |accept: &'static str| {
            let accept = HeaderValue::from_static(accept);
            Format::accepted(&HeaderMap::from_iter([(header::ACCEPT, accept)]))
        };
        for accept in
            ["text/event-stream", "a/b, Text/Event-Stream; q=0.5", "text/event-stream,*/*"]
        {
            assert_eq!(format(accept), Format::Events, "{accept}");
        }
        for accept in ["*/*", "text/*", "text/event-stream;q=0", "text/event-stream-x", ""] {
            assert_eq!(format(accept), Format::Lines, "{accept}");
        }
        assert_eq!(Format::accepted(&HeaderMap::new()), Format::Lines);
    }
}
