//! Messages that cannot be moved to the queues beside theirs.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::handle::PAUSE;

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(32);

/// How long such messages are held: those that fail together for the same time, and those that fail
/// after that for twice as long.
#[derive(Debug, Default)]
pub(super) struct Setbacks(Mutex<Option<Setback>>);

#[derive(Debug, Clone, Copy)]
struct Setback {
    pause: Duration,
    until: Instant,
}

impl Setbacks {
    /// Messages can be moved.
    pub(super) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// One more message could not be moved: how long it is held.
    pub(super) fn pause(&self) -> Duration {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let pause = match *last {
            Some(Setback { pause, until }) if now < until => return pause,
            Some(Setback { pause, .. }) => (pause * 2).min(LONGEST),
            None => PAUSE,
        };
        *last = Some(Setback { pause, until: now + pause });
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_again_is_held_for_twice_as_long_until_something_is_moved() {
        let setbacks = Setbacks::default();
        for pause in [1, 2, 4, 8, 16, 32, 32].map(Duration::from_secs) {
            assert_eq!((setbacks.pause(), setbacks.pause()), (pause, pause), "both together");
            tokio::time::advance(pause).await;
        }
        setbacks.end();
        assert_eq!(setbacks.pause(), PAUSE);
    }
}
