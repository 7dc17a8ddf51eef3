use super::Fault;

/// What the function of an operation returns: `Result<T, E>` with `E: Into<Fault>`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "an operation cannot return `{Self}`",
    label = "not what an operation returns",
    note = "return `Result<T, Fault>`, or a `Result` whose error is `Into<Fault>`"
)]
pub trait Outcome {
    /// The value.
    type Value: Send + 'static;
}

impl<T: Send + 'static, E: Into<Fault>> Outcome for Result<T, E> {
    type Value = T;
}
