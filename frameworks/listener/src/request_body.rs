//! The body of a request.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{BoxError, Limits, load::Reading};

/// What a [`Handler`](crate::Handler) reads: the body as it comes in. One that comes too slowly
/// (`limits.body_rate`) ends with [`BodyTooSlow`].
pub struct RequestBody {
    incoming: Incoming,
    began: Instant,
    rate: Option<Rate>,
    /// None as long as everything was there when it was asked for.
    progress: Option<Box<Progress>>,
    /// None when it is at its end, and over HTTP/2.
    reading: Option<Reading>,
}

/// The body of a request came too slowly to be waited for: to be answered with 408.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body comes too slowly")]
pub struct BodyTooSlow;

/// How fast a body has to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    bytes_per_second: u32,
    grace: Duration,
}

impl Rate {
    pub(crate) fn new(limits: &Limits) -> Option<Self> {
        let (bytes_per_second, grace) = (limits.body_rate, limits.body_grace);
        (bytes_per_second > 0).then_some(Self { bytes_per_second, grace })
    }

    /// How long `bytes` may be waited for.
    fn allowance(self, bytes: u64) -> Duration {
        let seconds = bytes / u64::from(self.bytes_per_second);
        self.grace.saturating_add(Duration::from_secs(seconds))
    }
}

/// What has come, and how long it was waited for. The time in which nobody asks is not counted.
struct Progress {
    bytes: u64,
    waited: Duration,
    /// Since when it is waited for now.
    since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl RequestBody {
    pub(crate) fn new(
        incoming: Incoming,
        began: Instant,
        rate: Option<Rate>,
        reading: Option<Reading>,
    ) -> Self {
        Self { incoming, began, rate, progress: None, reading }
    }

    /// When the head before it had come in.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The same body, waited for however slowly it comes: for streams that have nothing to say for
    /// hours.
    #[must_use]
    pub fn at_any_rate(mut self) -> Self {
        self.rate = None;
        self
    }

    /// Counts what was waited for.
    fn arrived(&mut self, bytes: usize) {
        if let Some(progress) = &mut self.progress {
            progress.bytes += bytes as u64;
            if let Some(since) = progress.since.take() {
                progress.waited += since.elapsed();
            }
        }
    }

    /// Whether it has been waited for too long.
    fn is_too_slow(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(rate) = self.rate else { return false };
        let progress = self.progress.get_or_insert_with(|| {
            let timer = Box::pin(sleep_until(Instant::now() + rate.grace));
            Box::new(Progress { bytes: 0, waited: Duration::ZERO, since: None, timer })
        });
        let since = *progress.since.get_or_insert_with(Instant::now);
        // It never rings too late: the true end only moves away while time goes by.
        while progress.timer.as_mut().poll(cx).is_ready() {
            let left = rate.allowance(progress.bytes).saturating_sub(progress.waited);
            let end = since + left;
            if end <= Instant::now() {
                return true;
            }
            progress.timer.as_mut().reset(end);
        }
        false
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                match &frame {
                    Some(Ok(frame)) => self.arrived(frame.data_ref().map_or(0, Bytes::len)),
                    Some(Err(_)) | None => self.reading = None,
                }
                if self.incoming.is_end_stream() {
                    self.reading = None;
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending if self.is_too_slow(cx) => Poll::Ready(Some(Err(BodyTooSlow.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestBody").field(&self.incoming).finish()
    }
}
