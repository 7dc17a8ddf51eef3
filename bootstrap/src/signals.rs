//! The signals that stop a process or make it reload. Nothing else in polyport listens for any.

use std::{future::Future, pin::pin};

use crate::{
    Error, ErrorKind, Result,
    lifecycle::{Lifecycle, Phase},
};

/// Runs `serving`; the first SIGTERM or SIGINT asks for an ordered stop, a second one ends it.
pub(crate) async fn stop_on_signal(
    serving: impl Future<Output = Result<()>>,
    lifecycle: &Lifecycle,
) -> Result<()> {
    let mut signals = Signals::listen()?;
    let mut serving = pin!(serving);
    let first = tokio::select! {
        outcome = &mut serving => return outcome,
        signal = signals.next() => signal,
    };
    let was_starting = lifecycle.phase() == Phase::Starting;
    lifecycle.stop(first.name);
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        second = signals.next() => {
            tracing::error!("second signal ({}): exit at once, what is in flight is cut", second.name);
            let message = format!("a second signal ({}) cut the ordered stop short", second.name);
            return Err(Error::new(ErrorKind::Signal(second.number), message));
        }
    };
    match outcome {
        Err(error) if was_starting => Err(error.or_kind(ErrorKind::Signal(first.number))),
        outcome => outcome,
    }
}

#[derive(Clone, Copy)]
struct Signal {
    name: &'static str,
    number: u8,
}

const INTERRUPT: Signal = Signal { name: "SIGINT", number: 2 };

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|error| Error::other("signals cannot be heard").caused_by(error))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal { name: "SIGTERM", number: 15 },
            _ = self.interrupt.recv() => INTERRUPT,
        }
    }
}

/// Every SIGHUP from now on, those that come while nobody waits too; of several such, one.
#[derive(Debug)]
pub(crate) struct HangUps(#[cfg(unix)] tokio::signal::unix::Signal);

#[cfg(unix)]
impl HangUps {
    pub(crate) fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listening = signal(SignalKind::hangup());
        listening
            .map(Self)
            .map_err(|error| Error::other("signals cannot be heard").caused_by(error))
    }

    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

/// There are none.
#[cfg(not(unix))]
impl HangUps {
    pub(crate) fn listen() -> Result<Self> {
        Ok(Self())
    }

    pub(crate) async fn next(&mut self) {
        std::future::pending().await
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => INTERRUPT,
            Err(_) => std::future::pending().await,
        }
    }
}
