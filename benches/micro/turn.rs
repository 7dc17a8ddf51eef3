//! One thing that is measured.

use std::{
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// Does it once.
pub(crate) type Turn = Box<dyn FnMut()>;

/// What `once` does.
pub(crate) fn turn<T>(mut once: impl FnMut() -> T + 'static) -> Turn {
    Box::new(move || drop(black_box(once())))
}

/// What a future comes to that waits for nothing: its own cost, without a runtime's.
#[allow(clippy::panic, reason = "a benchmark that cannot go on ends")]
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("what is measured waits for something"),
    }
}
