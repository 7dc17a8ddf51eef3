//! How gRPC messages become an operation's types and the other way round.

mod input;
mod messages;
mod named;
mod output;

pub use self::{
    input::{Converted, FromMessage, Ignored},
    messages::{FromMessages, Messages},
    named::{GrpcInput, GrpcOutput, GrpcType, Received},
    output::{Answered, AnsweredStream, Collected, Empty, IntoMessage, IntoMessages, Streamed},
};
pub(crate) use self::{
    messages::{MessageSource, watched},
    output::no_message,
};
