//! The signals that stop a process or have it reload its configuration. Nothing else in polyport
//! listens for any.

use std::{future::Future, pin::pin, time::Duration};

use tokio::{
    runtime::Builder,
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, ErrorKind, Result,
    lifecycle::{Lifecycle, Phase, Stage},
    runtime,
    systemd::State,
};

/// How much longer than all its stages a stop may take before nobody waits for it any more.
const MARGIN: Duration = Duration::from_secs(5);

/// How long the runtime may take to hear that it is to end at once.
const HEARD: Duration = Duration::from_secs(1);

/// Runs `serving`; the first SIGTERM or SIGINT asks for an ordered stop, a second one ends it.
/// SIGHUP reloads the configuration, where something does that. A stop that does not come to an
/// end, since the runtime's threads are blocked, is given up; where even the thread of `serving`
/// is blocked, the process is ended from outside of it.
pub(crate) async fn stop_on_signal(
    serving: impl Future<Output = Result<()>>,
    lifecycle: &Lifecycle,
) -> Result<()> {
    let mut events = watch(lifecycle.clone()).await?;
    let mut serving = pin!(serving);
    let mut cancelled_by = None;
    let mut is_asked = false;
    loop {
        let event = tokio::select! {
            outcome = &mut serving => return outcome.map_err(|error| match cancelled_by {
                Some(Signal { number, .. }) => error.or_kind(ErrorKind::Signal(number)),
                None => error,
            }),
            Some(event) = events.recv() => event,
        };
        match event {
            Event::Reload => reload(lifecycle),
            Event::Late => return Err(given_up(lifecycle)),
            Event::Stop(second) if is_asked => return Err(cut_short(second, lifecycle)),
            Event::Stop(first) => {
                is_asked = true;
                cancelled_by = (lifecycle.phase() == Phase::Starting).then_some(first);
                lifecycle.stop(first.name);
            }
        }
    }
}

/// What the process is told from outside.
#[derive(Clone, Copy)]
enum Event {
    Stop(Signal),
    Reload,
    /// All the time that a stop can take is over.
    Late,
}

/// Listens on a thread of its own: operations that block all threads of the runtime keep neither a
/// signal nor the end of a stop from being heard.
async fn watch(lifecycle: Lifecycle) -> Result<UnboundedReceiver<Event>> {
    let (sender, events) = unbounded_channel();
    let (listens, listening) = oneshot::channel();
    let listen = move || {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(listens.send(Err(deaf(error)))),
        };
        runtime.block_on(async {
            match Signals::listen() {
                Ok(signals) => {
                    let _ = listens.send(Ok(()));
                    tell_all(signals, lifecycle, sender).await;
                }
                Err(error) => drop(listens.send(Err(error))),
            }
        });
    };
    let thread = std::thread::Builder::new().name("polyport-signals".to_owned());
    thread.spawn(listen).map_err(deaf)?;
    listening.await.unwrap_or_else(|error| Err(Error::other("no signals").caused_by(error)))?;
    Ok(events)
}

fn deaf(error: std::io::Error) -> Error {
    Error::other("signals cannot be heard").caused_by(error)
}

/// Tells of every signal until nobody listens.
async fn tell_all(mut signals: Signals, lifecycle: Lifecycle, events: UnboundedSender<Event>) {
    let asked = CancellationToken::new();
    let mut late = pin!(async {
        tokio::select! {
            () = lifecycle.stop_requested() => {}
            () = asked.cancelled() => {}
        }
        tokio::time::sleep(lifecycle.longest_stop().saturating_add(MARGIN)).await;
    });
    let mut is_late = false;
    loop {
        let event = tokio::select! {
            event = signals.next() => event,
            () = &mut late, if !is_late => Event::Late,
            () = events.closed() => return,
        };
        let end = match event {
            Event::Reload => None,
            Event::Late => Some(given_up(&lifecycle)),
            Event::Stop(second) if asked.is_cancelled() => Some(cut_short(second, &lifecycle)),
            Event::Stop(_) => {
                asked.cancel();
                None
            }
        };
        is_late |= matches!(event, Event::Late);
        let _ = events.send(event);
        if let Some(error) = end {
            end_unless_heard(&error, &events).await;
        }
    }
}

/// Ends the process where the thread that is to do so is blocked itself.
#[allow(clippy::disallowed_methods, reason = "nobody is left who could return from main")]
async fn end_unless_heard(error: &Error, events: &UnboundedSender<Event>) {
    if tokio::time::timeout(HEARD, events.closed()).await.is_err() {
        runtime::tell(error);
        std::process::exit(error.exit_code().into());
    }
}

/// What is said where not even the deadlines of the stop are kept.
fn given_up(lifecycle: &Lifecycle) -> Error {
    let error = Error::deadline("the stop does not come to an end, and is given up");
    let advice = "look for operations that block their thread: what blocks belongs into \
                  tokio::task::spawn_blocking";
    undone(error, lifecycle).advise(advice)
}

/// What a second signal leaves undone.
fn cut_short(signal: Signal, lifecycle: &Lifecycle) -> Error {
    let what = format!("a second signal ({}) cut the ordered stop short", signal.name);
    undone(Error::new(ErrorKind::Signal(signal.number), what), lifecycle)
}

/// Adds the stage, what is in flight, and who has not finished.
fn undone(error: Error, lifecycle: &Lifecycle) -> Error {
    let error = error.at_stage(lifecycle.stage().map_or("start", Stage::as_str));
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

/// Has the configuration reloaded, in the background: a stop does not wait for it, and what comes
/// during the start waits for its end.
fn reload(lifecycle: &Lifecycle) {
    let lifecycle = lifecycle.clone();
    tokio::spawn(async move {
        if lifecycle.reached(Phase::Ready).await != Phase::Ready {
            return;
        }
        let Some(reloader) = lifecycle.reloader() else { return };
        tracing::info!("SIGHUP: reloading the configuration");
        lifecycle.notify(State::Reloading);
        // The log has told it.
        let _ = reloader.reload().await;
        if lifecycle.phase() == Phase::Ready {
            lifecycle.notify(State::Ready);
        }
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
        let listen = |kind| signal(kind).map_err(deaf);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            // Of two that come at once it is always the same that counts as the second.
            biased;
            _ = self.terminate.recv() => Event::Stop(Signal { name: "SIGTERM", number: 15 }),
            _ = self.interrupt.recv() => Event::Stop(INTERRUPT),
            _ = self.hang_up.recv() => Event::Reload,
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

    async fn next(&mut self) -> Event {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Event::Stop(INTERRUPT),
            Err(_) => std::future::pending().await,
        }
    }
}
