//! Types that know their message, so that a registration need not name it.

use futures_util::Stream;
use garde::Validate;
use polyport_bootstrap::{
    Fault,
    operation::{Answer, NoContent, NoInput, Operation},
};
use prost::Message;

use super::{Answered, AnsweredStream, Converted, Empty, Ignored, Messages, Streamed};
use crate::{GrpcRoutes, operations::Taking};

/// A type that stands for one gRPC message: [`GrpcRoutes::method`](crate::GrpcOperations::method)
/// then serves operations that take or return it, without naming messages. An input converts by
/// `From<Message>`, a value by `Message: From<Self>`.
///
/// Every message stands for itself, and with prost's wrappers `String`, `bool`, the numbers and
/// `()` stand for `google.protobuf.StringValue` and so on.
///
/// # Examples
/// ```
/// use polyport_grpc::GrpcType;
/// use polyport_proto::im::v1 as pb;
///
/// struct User {
///     id: String,
///     age: u32,
/// }
///
/// impl GrpcType for User {
///     type Message = pb::User;
/// }
///
/// impl From<User> for pb::User {
///     fn from(user: User) -> Self {
///         Self { user_id: user.id, age: user.age, ..Self::default() }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which gRPC message it stands for",
    note = "implement `polyport_grpc::GrpcType` for it, or name the messages: \
            `s.unary::<Request, Response>(…)`"
)]
pub trait GrpcType: Sized {
    /// The message.
    type Message: Message + Default + 'static;
}

impl<M: Message + Default + 'static> GrpcType for M {
    type Message = M;
}

/// The input of an operation that knows its message: a [`GrpcType`], [`Messages`] of one, or none at
/// all, for which the message is `google.protobuf.Empty`.
#[diagnostic::on_unimplemented(
    message = "the operation's input `{Self}` does not say which gRPC message it is made from",
    note = "implement `polyport_grpc::GrpcType`, `From<Message>` and `garde::Validate` for it"
)]
pub trait GrpcInput<How>: Sized {
    /// The message.
    type Message: Message + Default + 'static;

    /// How it is taken from a call.
    #[doc(hidden)]
    const TAKING: Taking<Self>;
}

/// Says that an input is the client's messages.
#[derive(Debug, Clone, Copy)]
pub struct Received;

impl<T> GrpcInput<Converted> for T
where
    T: GrpcType + From<T::Message> + Validate<Context = ()>,
{
    type Message = T::Message;

    const TAKING: Taking<Self> = Taking::one::<T::Message, Converted>();
}

impl GrpcInput<Ignored> for NoInput {
    type Message = ();

    const TAKING: Taking<Self> = Taking::one::<(), Ignored>();
}

impl<T> GrpcInput<Received> for Messages<T>
where
    T: GrpcType + From<T::Message> + Validate<Context = ()>,
{
    type Message = T::Message;

    const TAKING: Taking<Self> = Taking::many::<T::Message, Converted>();
}

/// The value of an operation that knows its message: a [`GrpcType`], an [`Answer`] with one, a
/// stream of them, or none at all, for which the message is `google.protobuf.Empty`.
#[diagnostic::on_unimplemented(
    message = "the operation's value `{Self}` does not say which gRPC message is made of it",
    note = "implement `polyport_grpc::GrpcType` for it and `From` for the message"
)]
pub trait GrpcOutput<How>: Sized + Send + 'static {
    /// The message, or that of each item.
    type Message: Message + 'static;

    /// Serves an operation as a method that answers with one message, or with a stream of them.
    #[doc(hidden)]
    fn serve<M, In, Op>(routes: GrpcRoutes, path: &str, operation: Op) -> GrpcRoutes
    where
        M: 'static,
        Op: Operation<M, Output = Self>,
        Op::Input: GrpcInput<In>;
}

/// One message: `unary`, or a stream: `server_streaming`.
macro_rules! serve_by {
    ($method:ident, $how:ty) => {
        fn serve<M, In, Op>(routes: GrpcRoutes, path: &str, operation: Op) -> GrpcRoutes
        where
            M: 'static,
            Op: Operation<M, Output = Self>,
            Op::Input: GrpcInput<In>,
        {
            let taking = <Op::Input as GrpcInput<In>>::TAKING;
            routes.$method::<M, $how, Op, Self::Message>(path, operation, taking)
        }
    };
}

impl<T> GrpcOutput<Converted> for T
where
    T: GrpcType + Send + 'static,
    T::Message: From<T>,
{
    type Message = T::Message;

    serve_by!(add_unary, Converted);
}

impl<T> GrpcOutput<Answered> for Answer<T>
where
    T: GrpcType + Send + 'static,
    T::Message: From<T>,
{
    type Message = T::Message;

    serve_by!(add_unary, Answered);
}

impl GrpcOutput<Empty> for NoContent {
    type Message = ();

    serve_by!(add_unary, Empty);
}

impl<S, T, E> GrpcOutput<Streamed> for S
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: GrpcType + Send + 'static,
    T::Message: From<T>,
    E: Into<Fault> + 'static,
{
    type Message = T::Message;

    serve_by!(add_stream, Streamed);
}

impl<S, T, E> GrpcOutput<AnsweredStream> for Answer<S>
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: GrpcType + Send + 'static,
    T::Message: From<T>,
    E: Into<Fault> + 'static,
{
    type Message = T::Message;

    serve_by!(add_stream, AnsweredStream);
}
