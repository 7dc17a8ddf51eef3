//! What became of a message.

use polyport_bootstrap::framework::{Recorded, RecordedKind};

use super::{AmqpClient, must};

impl AmqpClient {
    /// Waits until the message of this id has been handled from `queue` and acknowledged; it may have
    /// been retried before. The id is that of the message, or the request id of its call.
    ///
    /// # Panics
    /// Panics where it is parked instead, and where nothing becomes of it in 10 s; and for a client
    /// that is not of an application under test.
    pub async fn expect_acked(&self, queue: &str, id: &str) {
        let ends = [RecordedKind::Acknowledged, RecordedKind::DeadLettered];
        self.expect(RecordedKind::Acknowledged, queue, id, &ends).await;
    }

    /// Waits until the message of this id is put aside for another attempt, or given back to
    /// `queue`, and says why: its fault's kind, reason and text.
    ///
    /// # Panics
    /// Panics where it is acknowledged or parked instead, and where nothing becomes of it in 10 s;
    /// and for a client that is not of an application under test.
    pub async fn expect_retried(&self, queue: &str, id: &str) -> Recorded {
        use RecordedKind::{Acknowledged, DeadLettered, Retried};
        self.expect(Retried, queue, id, &[Acknowledged, DeadLettered, Retried]).await
    }

    /// Waits until the message of this id is parked in `<queue>.dead`, and says why: its fault's
    /// kind, reason and text. [`expect_on`](Self::expect_on) gives it.
    ///
    /// # Panics
    /// Panics where it is acknowledged instead, and where nothing becomes of it in 10 s; and for a
    /// client that is not of an application under test.
    pub async fn expect_dead_lettered(&self, queue: &str, id: &str) -> Recorded {
        let ends = [RecordedKind::Acknowledged, RecordedKind::DeadLettered];
        self.expect(RecordedKind::DeadLettered, queue, id, &ends).await
    }

    async fn expect(
        &self,
        wanted: RecordedKind,
        queue: &str,
        id: &str,
        ends: &[RecordedKind],
    ) -> Recorded {
        let recorder = self.recorder.as_ref().ok_or("it is not of an application under test");
        let recorder = must(recorder, "what became of a message");
        let is_it = |one: &Recorded| {
            let known = [one.message_id.as_deref(), one.request_id.as_deref()];
            one.route == queue && known.contains(&Some(id)) && ends.contains(&one.kind)
        };
        let end = recorder.wait_for(is_it).await;
        assert_eq!(end.kind, wanted, "message {id} of queue {queue}: {end}");
        end
    }
}
