use std::future::pending;

use tokio::sync::watch::Receiver;

use super::{Board, Readiness};

/// Sees every change of [`Health`](super::Health).
#[derive(Debug, Clone)]
pub struct HealthWatch(Receiver<Board>);

impl HealthWatch {
    pub(super) fn new(receiver: Receiver<Board>) -> Self {
        Self(receiver)
    }

    /// Whether the process wants calls now, with the reasons; the next
    /// [`changed`](Self::changed) tells what comes after this.
    #[must_use]
    pub fn readiness(&mut self) -> Readiness {
        self.0.borrow_and_update().readiness()
    }

    /// Ends when anything has changed since the last look: readiness, or a component. Of changes
    /// that follow quickly upon each other only the last is seen.
    ///
    /// # Cancel safety
    /// Nothing is lost where it is dropped.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            pending::<()>().await;
        }
    }
}
