//! Time that several share who run one after the other.

use std::time::Duration;

use tokio::time::Instant;

/// The least that one gets while there is any time left: with thousands of them an even share is
/// shorter than a busy machine may keep one waiting that needs no time at all.
const LEAST: Duration = Duration::from_millis(50);

/// What is left of the time is divided evenly among those who have not run, so that one that hangs
/// takes nobody's turn.
#[derive(Debug)]
pub(crate) struct Share {
    until: Instant,
    waiting: usize,
}

impl Share {
    /// The shares of `waiting` in `time` from now on.
    pub(crate) fn new(time: Duration, waiting: usize) -> Self {
        Self { until: Instant::now() + time, waiting }
    }

    /// What is left is for so many.
    pub(crate) fn divide_among(&mut self, waiting: usize) {
        self.waiting = waiting;
    }

    /// How long the next one may take.
    pub(crate) fn next(&mut self) -> Duration {
        let left = self.until.saturating_duration_since(Instant::now());
        let waiting = u32::try_from(self.waiting.max(1)).unwrap_or(u32::MAX);
        self.waiting = self.waiting.saturating_sub(1);
        round((left / waiting).max(LEAST.min(left)))
    }
}

/// To whole milliseconds: a time is read in reports, too.
fn round(time: Duration) -> Duration {
    let millis = (time.as_micros() + 500) / 1000;
    Duration::from_millis(u64::try_from(millis.max(1)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_takes_nobodys_turn_and_unused_time_is_for_the_others() {
        let mut share = Share::new(Duration::from_secs(9), 3);
        assert_eq!(share.next(), Duration::from_secs(3));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(share.next(), Duration::from_secs(3));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(share.next(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn among_thousands_each_has_time_to_be_scheduled() {
        let mut share = Share::new(Duration::from_secs(5), 5000);
        assert_eq!(share.next(), LEAST);
        tokio::time::advance(Duration::from_millis(4_990)).await;
        assert_eq!(share.next(), Duration::from_millis(10));
    }
}
