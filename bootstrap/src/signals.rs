//! The signals that stop a process or have it reload its configuration. Nothing else in polyport
//! listens for any.

use std::{future::Future, pin::pin};

use crate::{
    Error, ErrorKind, Result,
    lifecycle::{Lifecycle, Phase, Stage},
    systemd::State,
};

/// Runs `serving`; the first SIGTERM or SIGINT asks for an ordered stop, a second one ends it.
/// SIGHUP reloads the configuration, where something does that.
pub(crate) async fn stop_on_signal(
    serving: impl Future<Output = Result<()>>,
    lifecycle: &Lifecycle,
) -> Result<()> {
    let mut signals = Signals::listen()?;
    let mut serving = pin!(serving);
    let first = tokio::select! {
        outcome = &mut serving => return outcome,
        signal = signals.stop(lifecycle) => signal,
    };
    let was_starting = lifecycle.phase() == Phase::Starting;
    lifecycle.stop(first.name);
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        second = signals.stop(lifecycle) => return Err(cut_short(second, lifecycle)),
    };
    match outcome {
        Err(error) if was_starting => Err(error.or_kind(ErrorKind::Signal(first.number))),
        outcome => outcome,
    }
}

/// What a second signal leaves undone.
fn cut_short(signal: Signal, lifecycle: &Lifecycle) -> Error {
    let stage = lifecycle.stage().map_or("start", Stage::as_str);
    let what = format!("a second signal ({}) cut the ordered stop short", signal.name);
    let error = Error::new(ErrorKind::Signal(signal.number), what).at_stage(stage);
    let active = lifecycle.active().into_iter().filter(|active| !active.is_idle());
    let running = lifecycle.stage().map(|stage| lifecycle.timeline().running(stage));
    let running = running.into_iter().flatten().map(|part| format!("{part} was not finished"));
    error.also(active.map(|active| active.to_string()).chain(running).map(Error::other))
}

#[derive(Clone, Copy)]
struct Signal {
    name: &'static str,
    number: u8,
}

const INTERRUPT: Signal = Signal { name: "SIGINT", number: 2 };

/// Has the configuration reloaded, in the background: a stop does not wait for it.
#[cfg(unix)]
fn reload(lifecycle: &Lifecycle) {
    let lifecycle = lifecycle.clone();
    if lifecycle.phase() != Phase::Ready {
        return tracing::warn!(phase = %lifecycle.phase(), "SIGHUP: only a ready process reloads");
    }
    tokio::spawn(async move {
        lifecycle.notify(State::Reloading);
        match lifecycle.reload().await {
            Ok(()) => tracing::info!("SIGHUP: reloaded"),
            Err(error) => tracing::error!("SIGHUP: not reloaded: {error:?}"),
        }
        lifecycle.notify(State::Ready);
    });
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
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
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// The next signal that asks for a stop.
    async fn stop(&mut self, lifecycle: &Lifecycle) -> Signal {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Signal { name: "SIGTERM", number: 15 },
                _ = self.interrupt.recv() => return INTERRUPT,
                _ = self.hang_up.recv() => reload(lifecycle),
            }
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self)
    }

    async fn stop(&mut self, _: &Lifecycle) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => INTERRUPT,
            Err(_) => std::future::pending().await,
        }
    }
}
