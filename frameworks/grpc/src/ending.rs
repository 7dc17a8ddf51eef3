//! What ends a call from outside: its deadline, or the end of the process.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use polyport_bootstrap::Fault;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Why a call is ended before it is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its deadline has passed.
    Deadline,
    /// The listener closes.
    Closing,
}

impl Ending {
    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::Deadline => Fault::deadline_exceeded(
                "DEADLINE_EXCEEDED",
                "the call took longer than its deadline",
            ),
            Self::Closing => {
                Fault::unavailable("STOPPING", "the server is stopping; call another, or later")
            }
        }
    }
}

/// Runs `call` until it is finished or something ends it. A call that never waits pays nothing
/// for this.
pub(crate) async fn until_ended<T>(
    call: impl Future<Output = T>,
    deadline: Option<Instant>,
    closing: &CancellationToken,
) -> Result<T, Ending> {
    tokio::select! {
        biased;
        value = call => Ok(value),
        () = closing.cancelled() => Err(Ending::Closing),
        () = passed(deadline) => Err(Ending::Deadline),
    }
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The same for what is polled by hand: streams and bodies.
pub(crate) struct Watch {
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    pub(crate) fn new(deadline: Option<Instant>, closing: &CancellationToken) -> Self {
        Self {
            closing: Box::pin(closing.clone().cancelled_owned()),
            deadline: deadline.map(|deadline| Box::pin(sleep_until(deadline))),
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        if self.closing.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ending::Closing);
        }
        match &mut self.deadline {
            Some(deadline) => deadline.as_mut().poll(cx).map(|()| Ending::Deadline),
            None => Poll::Pending,
        }
    }
}
