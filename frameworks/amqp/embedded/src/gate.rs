//! Stands still while the broker is frozen.

use std::{future::Future, pin::pin};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Whether the broker is frozen.
#[derive(Debug)]
pub(crate) struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Gate {
    pub(crate) fn set_frozen(&self, frozen: bool) {
        self.0.send_replace(frozen);
    }

    /// Runs `work`, which is not polled while the gate is frozen, until `stop` is called: then it
    /// runs to its end, whatever the gate says.
    pub(crate) async fn run<F: Future>(&self, stop: &CancellationToken, work: F) -> F::Output {
        let mut work = pin!(work);
        let mut frozen = self.0.subscribe();
        while !stop.is_cancelled() {
            tokio::select! {
                biased;
                Ok(_) = frozen.wait_for(|frozen| *frozen) => {}
                output = &mut work => return output,
            }
            tokio::select! {
                () = stop.cancelled() => {}
                _ = frozen.wait_for(|frozen| !*frozen) => {}
            }
        }
        work.await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_stands_still_while_frozen_and_goes_on_afterwards_or_at_the_stop() {
        for ends_by_stop in [false, true] {
            let (gate, stop) = (Gate::default(), CancellationToken::new());
            let mut work = pin!(gate.run(&stop, sleep(Duration::from_secs(1))));
            gate.set_frozen(true);
            assert!(timeout(Duration::from_secs(60), &mut work).await.is_err());
            if ends_by_stop {
                stop.cancel()
            } else {
                gate.set_frozen(false)
            }
            timeout(Duration::from_secs(60), &mut work).await.unwrap();
        }
    }
}
