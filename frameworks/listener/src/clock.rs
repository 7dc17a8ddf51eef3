//! How long a connection may be in which state.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::{ListenerSettings, limits::unless_zero, load::Load};

/// How often a connection is looked at whose state has no limit: what changes while its own task
/// sleeps is noticed then.
const LOOK: Duration = Duration::from_secs(30);

/// The times that a connection may take.
#[derive(Debug)]
pub(crate) struct Times {
    header: Duration,
    idle: Option<Duration>,
    write: Option<Duration>,
    leave: Duration,
}

impl Times {
    pub(crate) fn new(settings: &ListenerSettings) -> Self {
        Self {
            header: settings.limits.header_timeout,
            idle: unless_zero(settings.limits.idle_timeout),
            write: unless_zero(settings.limits.write_timeout),
            leave: settings.flush_grace,
        }
    }
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It waits for the rest of a head.
    Head,
    /// A call is being answered.
    Busy,
    /// Its peer does not read what is written.
    Waiting,
    /// It waits for a call.
    Idle,
    /// It was told that no further call is taken, and has none.
    Leaving,
}

/// One timer for all limits of a connection. It is only armed anew where it would be too late, so
/// that a connection that goes from call to call hardly touches it.
#[derive(Debug)]
pub(crate) struct Clock {
    timer: Pin<Box<Sleep>>,
    is_watched: bool,
    state: State,
    /// Tells two stays in one state apart.
    mark: u32,
    since: Instant,
    /// Whether nothing had changed when it was last looked at.
    is_still: bool,
}

impl Clock {
    pub(crate) fn new(times: &Times) -> Self {
        let since = Instant::now();
        let timer = Box::pin(sleep_until(since + times.header));
        let (state, mark) = (State::Head, 0);
        Self { timer, is_watched: false, state, mark, since, is_still: false }
    }

    /// Whether the connection waits for a call.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Whether it was in this state already when it was last polled before.
    pub(crate) fn is_still(&self) -> bool {
        self.is_still
    }

    /// How long the connection has been in its state; for that of a call it is not known.
    pub(crate) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// The state that the connection is in for too long, if it is.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        times: &Times,
        load: &Load,
        is_shut: bool,
    ) -> Option<State> {
        self.enter(look(load, is_shut), load);
        let deadline = self.limit(times).map(|limit| self.since + limit);
        if let Some(deadline) = deadline
            && deadline < self.timer.deadline()
        {
            self.arm(deadline);
        }
        while self.has_rung(cx) {
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Some(self.state);
            }
            self.arm(deadline.unwrap_or(now + LOOK));
        }
        None
    }

    fn enter(&mut self, (state, mark): (State, u32), load: &Load) {
        self.is_still = (state, mark) == (self.state, self.mark);
        if self.is_still {
            return;
        }
        let was_free = matches!(self.state, State::Idle | State::Head);
        let is_after_call = was_free && mark != self.mark;
        (self.state, self.mark) = (state, mark);
        self.since = match state {
            // A call has no limit here, so nobody asks since when it goes on.
            State::Busy => return,
            // It was answered in the turn of the task in which it began: a look at the clock less.
            State::Idle if is_after_call => load.began(),
            _ => Instant::now(),
        };
    }

    fn limit(&self, times: &Times) -> Option<Duration> {
        match self.state {
            State::Head => Some(times.header),
            State::Busy => None,
            State::Waiting => times.write,
            State::Idle => times.idle,
            State::Leaving => Some(times.leave),
        }
    }

    fn arm(&mut self, deadline: Instant) {
        self.timer.as_mut().reset(deadline);
        self.is_watched = false;
    }

    /// Polls the timer only once for each arming: it keeps the waker of the connection's task.
    fn has_rung(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_watched {
            return self.timer.is_elapsed();
        }
        self.is_watched = self.timer.as_mut().poll(cx) == Poll::Pending;
        !self.is_watched
    }
}

fn look(load: &Load, is_shut: bool) -> (State, u32) {
    if load.is_waiting() {
        return (State::Waiting, load.writes());
    }
    if !load.is_idle() {
        return (State::Busy, 0);
    }
    if is_shut {
        return (State::Leaving, 0);
    }
    match load.has_heard() && !load.is_http2() {
        true => (State::Head, load.calls()),
        false => (State::Idle, load.calls()),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, task::Waker};

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_still_that_is_found_in_its_state_again() {
        let times = Times::new(&ListenerSettings::default());
        let (load, mut clock) = (Load::new(Arc::default()), Clock::new(&times));
        let poll = |clock: &mut Clock, load: &Load| {
            assert_eq!(
                clock.poll(&mut Context::from_waker(Waker::noop()), &times, load, false),
                None
            );
            (clock.is_idle(), clock.is_still())
        };
        assert_eq!(poll(&mut clock, &load), (false, true), "it has not begun");
        for _ in 0..2 {
            load.begins(Instant::now());
            assert_eq!(poll(&mut clock, &load), (true, false));
            advance(Duration::from_secs(1)).await;
            assert_eq!(poll(&mut clock, &load), (true, true));
            assert_eq!(clock.elapsed(), Duration::from_secs(1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_has_not_called_yet_has_its_time_from_when_it_has_begun_to_speak() {
        let times = Times::new(&ListenerSettings::default());
        let (load, mut clock) = (Load::new(Arc::default()), Clock::new(&times));
        advance(Duration::from_secs(1)).await;
        load.speaks_http2();
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(clock.poll(&mut context, &times, &load, false), None);
        assert!(clock.is_idle());
        assert_eq!(clock.elapsed(), Duration::ZERO);
    }
}
