//! How gRPC messages become an operation's types and the other way round.

mod input;
mod named;
mod output;

pub(crate) use self::output::no_message;
pub use self::{
    input::{Converted, FromMessage, Ignored},
    named::{GrpcInput, GrpcOutput, GrpcType},
    output::{Answered, AnsweredStream, Collected, Empty, IntoMessage, IntoMessages, Streamed},
};
