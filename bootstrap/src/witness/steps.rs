//! Tells after each step of a task that it was made.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::Witness;

pin_project! {
    /// A task of a bootstrap.
    pub(super) struct Steps<F> {
        witness: Witness,
        #[pin]
        task: F,
    }
}

impl<F> Steps<F> {
    pub(super) fn of(witness: Witness, task: F) -> Self {
        Self { witness, task }
    }
}

impl<F: Future> Future for Steps<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let polled = this.task.poll(cx);
        if let Some(ledger) = this.witness.ledger() {
            ledger.step();
        }
        polled
    }
}
