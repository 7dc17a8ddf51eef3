//! What became of a message.

use std::{fmt::Write, future::Future};

use polyport_bootstrap::{
    framework::{Recorded, RecordedKind},
    testing::{
        Recorder,
        patience::{LIMIT, at_most},
    },
};

use super::AmqpClient;

impl AmqpClient {
    /// Waits until the message of this id has been handled from `queue` and acknowledged; it may have
    /// been retried before. The id is that of the message, or the request id of its call.
    ///
    /// # Panics
    /// Panics where it is parked instead, and where nothing becomes of it in 10 s; and for a client
    /// that is not of an application under test.
    #[track_caller]
    pub fn expect_acked(&self, queue: &str, id: &str) -> impl Future<Output = ()> {
        const ENDS: &[RecordedKind] = &[RecordedKind::Acknowledged, RecordedKind::DeadLettered];
        let end = self.end(RecordedKind::Acknowledged, queue, id, ENDS);
        self.done(async { end.await.map(drop) })
    }

    /// Waits until the message of this id is put aside for another attempt, or given back to
    /// `queue`, and says why: its fault's kind, reason and text.
    ///
    /// # Panics
    /// Panics where it is acknowledged or parked instead, and where nothing becomes of it in 10 s;
    /// and for a client that is not of an application under test.
    #[track_caller]
    pub fn expect_retried(&self, queue: &str, id: &str) -> impl Future<Output = Recorded> {
        use RecordedKind::{Acknowledged, DeadLettered, Retried};
        const ENDS: &[RecordedKind] = &[Acknowledged, DeadLettered, Retried];
        self.done(self.end(Retried, queue, id, ENDS))
    }

    /// Waits until the message of this id is parked in `<queue>.dead`, and says why: its fault's
    /// kind, reason and text. [`expect_on`](Self::expect_on) gives it.
    ///
    /// # Panics
    /// Panics where it is acknowledged instead, and where nothing becomes of it in 10 s; and for a
    /// client that is not of an application under test.
    #[track_caller]
    pub fn expect_dead_lettered(&self, queue: &str, id: &str) -> impl Future<Output = Recorded> {
        const ENDS: &[RecordedKind] = &[RecordedKind::Acknowledged, RecordedKind::DeadLettered];
        self.done(self.end(RecordedKind::DeadLettered, queue, id, ENDS))
    }

    async fn end(
        &self,
        wanted: RecordedKind,
        queue: &str,
        id: &str,
        ends: &[RecordedKind],
    ) -> Result<Recorded, String> {
        let Some(recorder) = &self.recorder else {
            return Err("what became of a message is known to app.amqp() only".to_owned());
        };
        let is_it =
            |one: &Recorded| one.route == queue && ends.contains(&one.kind) && is_of(one, id);
        let what = format!("message {id} of queue {queue:?} is not {wanted}");
        match at_most(LIMIT, recorder.found(is_it)).await {
            Some(end) if end.kind == wanted => Ok(end),
            Some(end) => Err(format!("{what}: {end}")),
            None => Err(format!("{what} in {LIMIT:?}; {}", so_far(recorder, id))),
        }
    }
}

fn is_of(one: &Recorded, id: &str) -> bool {
    [&one.message_id, &one.request_id].into_iter().flatten().any(|known| known == id)
}

/// Where the test has the wrong queue, this names the right one.
fn so_far(recorder: &Recorder, id: &str) -> String {
    let known: Vec<_> = recorder.all().into_iter().filter(|one| is_of(one, id)).collect();
    let mut said = match known.as_slice() {
        [] => return "nothing has happened to any message of this id".to_owned(),
        _ => "what has happened to it:".to_owned(),
    };
    for one in known {
        // Writing to a string does not fail.
        let _ = write!(said, "\n{one}");
    }
    said
}
