//! A virtual host: its state behind one lock, and the timer of its queues.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::state::State;

/// A virtual host. Hosts share nothing.
#[derive(Debug)]
pub(crate) struct Vhost {
    state: Mutex<State>,
    rescheduled: Notify,
    changed: Arc<Notify>,
}

impl Vhost {
    /// `changed` is told of everything that may have changed the state.
    pub(crate) fn new(name: &str, changed: Arc<Notify>) -> Self {
        let state = Mutex::new(State::new(name.to_owned()));
        Self { state, rescheduled: Notify::new(), changed }
    }

    /// Runs `operation` and everything that follows from it, undisturbed by others.
    pub(crate) fn run<T>(&self, operation: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.next_timer();
        state.begin();
        let result = operation(&mut state);
        state.settle();
        let after = state.next_timer();
        drop(state);
        self.changed.notify_waiters();
        if before != after {
            self.rescheduled.notify_one();
        }
        result
    }

    /// Reads the state.
    pub(crate) fn look<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Expires messages when their time is over, for ever.
    pub(crate) async fn keep_time(&self) {
        loop {
            let next = self.run(|state| {
                state.wake_due();
                state.settle();
                state.next_timer()
            });
            tokio::select! {
                () = due(next) => {}
                () = self.rescheduled.notified() => {}
            }
        }
    }
}

async fn due(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
