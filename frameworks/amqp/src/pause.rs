use std::{future::poll_fn, task::Poll};

/// Goes to the end of the line of tasks that can run. tokio's own pause asks the system for news
/// first, which costs a call of it.
pub(crate) async fn let_others_run() {
    let mut has_paused = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
