//! From a message to an operation's input.

use garde::Validate;
use polyport_bootstrap::{
    Fault,
    operation::{NoInput, validated},
};

/// The input of an operation that can be made from the gRPC message `Req`: whatever is
/// `From<Req>` and `garde::Validate`, or none at all. `How` tells the two apart and is always
/// inferred.
///
/// A generated message can be the operation's input itself, once it is `Validate`: its code lies
/// in your crate, so an implementation of that trait can too.
#[diagnostic::on_unimplemented(
    message = "the operation's input `{Self}` cannot be made from the gRPC message `{Req}`",
    note = "implement `From<{Req}>` and `garde::Validate<Context = ()>` for it"
)]
pub trait FromMessage<Req, How>: Sized {
    /// Converts and validates.
    ///
    /// # Errors
    /// Returns a fault that names every field that breaks a rule.
    fn from_message(message: Req) -> Result<Self, Fault>;
}

/// Says that an input is made by `From` and validated, or that a message is made by `From`.
#[derive(Debug, Clone, Copy)]
pub struct Converted;

/// Says that an operation takes no input, so that its message is ignored.
#[derive(Debug, Clone, Copy)]
pub struct Ignored;

impl<Req, T: From<Req> + Validate<Context = ()>> FromMessage<Req, Converted> for T {
    fn from_message(message: Req) -> Result<Self, Fault> {
        validated(Self::from(message))
    }
}

impl<Req> FromMessage<Req, Ignored> for NoInput {
    fn from_message(_: Req) -> Result<Self, Fault> {
        Ok(Self)
    }
}
