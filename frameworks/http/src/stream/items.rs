//! Items as a body.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as Polled, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body::{Body, Frame};
use polyport_bootstrap::{
    Error,
    middleware::Timeout,
    operation::{Context, Fault, Items, Value},
    wire::Envelope,
};
use polyport_listener::BoxError;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::{Format, source::Source};
use crate::{ServerEvent, core::Core, head};

/// Items that are there already are sent together, up to this many bytes.
const TOGETHER: usize = 16 * 1024;

/// Items as they come, each as its plain value. A fault is the last of them: the event `exception`,
/// or the line `{"event":"exception","data":…}`, as on WebSocket.
pub(crate) struct ItemsBody {
    source: Source<Value>,
    format: Format,
    envelope: Arc<dyn Envelope>,
    keep_alive: Option<(Duration, Pin<Box<Sleep>>)>,
    /// Until the caller waits no longer.
    patience: Option<Pin<Box<Sleep>>>,
}

impl ItemsBody {
    pub(crate) fn new(core: &Core, context: &Context, items: Items<Value>, format: Format) -> Self {
        let own = context.operation().attribute::<Timeout>().map(|timeout| timeout.after());
        let limit = own.or(core.timeout);
        let period = core.keep_alive.filter(|_| format == Format::Events);
        Self {
            source: Source::new(core, context, items.boxed()),
            format,
            envelope: Arc::clone(&core.envelope),
            keep_alive: period.map(|period| (period, Box::pin(sleep(period)))),
            patience: head::patience(context, limit).map(|end| Box::pin(sleep_until(end))),
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
        if let (Format::Events, Some(event)) = (self.format, item.downcast_ref::<ServerEvent>()) {
            return event.write(out);
        }
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

    /// Ends where the caller waits no longer, or the process stops.
    fn poll_end(&mut self, cx: &mut Polled<'_>) -> Poll<Vec<u8>> {
        let waits = self.patience.as_mut().is_none_or(|end| end.as_mut().poll(cx).is_pending());
        let fault = match waits {
            true => ready!(self.source.poll_close(cx)),
            false => self.source.fail(too_late()),
        };
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

fn too_late() -> Fault {
    Fault::deadline_exceeded("DEADLINE_EXCEEDED", "the stream took longer than its deadline")
}

impl Body for ItemsBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Polled<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.source.has_ended() {
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
        self.source.has_ended()
    }
}
