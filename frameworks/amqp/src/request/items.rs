use std::{fmt, sync::Arc};

use polyport_bootstrap::Fault;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::{Reply, Wait, ask::Outcome};
use crate::{monitor::Monitor, publisher::Stage};

/// The replies to one request, one after the other. Dropped, it takes no more of them.
///
/// What comes faster than it is taken waits in memory: direct reply-to knows no flow control.
pub struct ReplyItems {
    replies: mpsc::UnboundedReceiver<Outcome>,
    wait: Wait,
    monitor: Arc<Monitor>,
    stage: Stage,
    is_over: bool,
}

impl ReplyItems {
    pub(super) fn new(
        replies: mpsc::UnboundedReceiver<Outcome>,
        wait: Wait,
        monitor: Arc<Monitor>,
        stage: Stage,
    ) -> Self {
        Self { replies, wait, monitor, stage, is_over: false }
    }

    /// The next reply; none after the last one. A fault is the last.
    ///
    /// # Cancel safety
    /// Nothing is lost where it is dropped.
    ///
    /// # Errors
    /// Returns the fault that ended the items, or that kept them from coming.
    pub async fn next(&mut self) -> Option<Result<Reply, Fault>> {
        if self.is_over {
            return None;
        }
        let reply = self.wait.for_reply(&self.monitor, &self.stage, self.replies.recv()).await;
        let reply = reply.and_then(Reply::into_result);
        let Ok(reply) = reply else {
            self.is_over = true;
            return Some(reply);
        };
        self.is_over = reply.is_last();
        if reply.is_end() { None } else { Some(Ok(reply)) }
    }

    /// The value of the next reply, which is JSON.
    ///
    /// # Cancel safety
    /// Nothing is lost where it is dropped.
    ///
    /// # Errors
    /// As [`next`](Self::next), and where it is no such value.
    pub async fn next_json<T: DeserializeOwned>(&mut self) -> Option<Result<T, Fault>> {
        self.next().await.map(|reply| reply.and_then(|reply| reply.json()))
    }
}

impl fmt::Debug for ReplyItems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyItems").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}
