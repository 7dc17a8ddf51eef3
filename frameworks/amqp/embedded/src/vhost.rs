//! A virtual host: its state behind one lock, and the timer of its queues.

use std::sync::{Mutex, PoisonError};

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
}

impl Vhost {
    pub(crate) fn new(name: &str) -> Self {
        Self { state: Mutex::new(State::new(name.to_owned())), rescheduled: Notify::new() }
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
        if before != after {
            self.rescheduled.notify_one();
        }
        result
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
