//! Panics of code that is not ours, turned into errors.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt;

use crate::{Error, Result};

/// What a panic says.
pub(crate) fn text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

/// The error that a panic is.
pub(crate) fn error(panic: &(dyn Any + Send)) -> Error {
    Error::hook(format!("panicked: {}", text(panic)))
}

/// Calls `function`; a panic is an error like any other.
pub(crate) fn caught<T>(function: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(function)).unwrap_or_else(|panic| Err(error(&*panic)))
}

/// Awaits `future`; a panic is an error like any other.
pub(crate) async fn caught_async<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let caught = AssertUnwindSafe(future).catch_unwind().await;
    caught.unwrap_or_else(|panic| Err(error(&*panic)))
}
