//! Whether a client lives.

use std::{
    future::{Future, pending, poll_fn},
    pin::{Pin, pin},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep};

use crate::WebSocketSettings;

/// Whether a client was heard of since this was last looked at.
#[derive(Debug, Default)]
pub(crate) struct Pulse(AtomicBool);

impl Pulse {
    /// The client was heard of. Whoever says so runs in the task that polls [`lost`](Self::lost),
    /// and before it.
    pub(crate) fn beat(&self) {
        self.0.store(true, Relaxed);
    }

    /// Pings a client that was silent for `ping_interval` (zero: never), and resolves when it is
    /// still silent after `pong_timeout`. While it is `unheard`, nothing is known of it.
    ///
    /// No `async fn`, which would have room for its arguments twice in every idle connection.
    pub(crate) fn lost<'a>(
        &'a self,
        settings: &'a WebSocketSettings,
        ping: impl Fn(),
        unheard: impl Fn() -> bool,
    ) -> impl Future<Output = ()> {
        let mut watch = Watch { pulse: self, settings, ping, unheard, pinged: false };
        async move {
            if watch.settings.ping_interval.is_zero() {
                return pending().await;
            }
            // One timer for both, since every idle connection has it.
            let mut timer = pin!(sleep(watch.settings.ping_interval));
            let watch = &mut watch;
            poll_fn(|cx| watch.poll(timer.as_mut(), cx)).await;
        }
    }

    fn take(&self) -> bool {
        self.0.swap(false, Relaxed)
    }
}

/// How a client is watched.
struct Watch<'a, P, U> {
    pulse: &'a Pulse,
    settings: &'a WebSocketSettings,
    ping: P,
    unheard: U,
    /// It was silent, and is to answer.
    pinged: bool,
}

impl<P: Fn(), U: Fn() -> bool> Watch<'_, P, U> {
    fn poll(&mut self, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let felt = self.pinged && self.pulse.take();
            if !felt {
                ready!(timer.as_mut().poll(cx));
            }
            if self.pinged && !felt && !(self.unheard)() {
                return Poll::Ready(());
            }
            self.pinged = !self.pinged && !self.pulse.take();
            if self.pinged {
                (self.ping)();
            }
            let WebSocketSettings { ping_interval, pong_timeout, .. } = *self.settings;
            let next = if self.pinged { pong_timeout } else { ping_interval };
            timer.as_mut().reset(Instant::now() + next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use futures_util::future::join;
    use tokio::time::timeout;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);
    const PATIENCE: Duration = Duration::from_secs(20);

    fn settings(ping_interval: Duration) -> WebSocketSettings {
        WebSocketSettings { ping_interval, pong_timeout: PATIENCE, ..WebSocketSettings::default() }
    }

    /// After how long a client is lost that beats at these seconds, and how many pings it got.
    async fn lost_after(beats: &[u64], unheard_until: u64) -> (u64, u32) {
        let (pulse, pings, begun) = (Pulse::default(), Cell::new(0), Instant::now());
        let unheard = || begun.elapsed().as_secs() < unheard_until;
        let client = async {
            for at in beats {
                tokio::time::sleep_until(begun + Duration::from_secs(*at)).await;
                pulse.beat();
            }
        };
        let server = async {
            let ping = || pings.set(pings.get() + 1);
            pulse.lost(&settings(INTERVAL), ping, unheard).await;
            begun.elapsed().as_secs()
        };
        (join(client, server).await.1, pings.get())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_answers_no_ping_is_lost() {
        assert_eq!(lost_after(&[], 0).await, (50, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_answers_goes_on_to_be_pinged() {
        assert_eq!(lost_after(&[40, 75], 0).await, (125, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_busy_is_not_pinged() {
        assert_eq!(lost_after(&[10, 40, 70], 0).await, (140, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_nobody_listens_to_is_not_lost() {
        assert_eq!(lost_after(&[], 60).await, (100, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_interval_nobody_is_pinged() {
        let pulse = Pulse::default();
        let settings = settings(Duration::ZERO);
        let never = pulse.lost(&settings, || panic!("a ping"), || false);
        assert!(timeout(INTERVAL * 10, never).await.is_err());
    }
}
