//! How operations are registered as methods.

use bytes::Bytes;
use polyport_bootstrap::{
    Context, Fault,
    operation::{Endpoint, Operation},
};
use prost::Message;

use crate::{
    GrpcRoutes,
    message::{FromMessage, FromMessages, GrpcInput, GrpcOutput, IntoMessage, IntoMessages},
    method::Route,
    sends::Sends,
    server_streaming::ServerStreaming,
    unary::Unary,
};

/// Registers operations as methods. All types that a call does not name are inferred:
/// `s.unary::<pb::GetUserRequest, pb::User>("im.v1.UserService/GetUser", get_user)`, or
/// `s.method("im.v1.UserService/GetUser", get_user)` where the operation's types know their
/// messages.
pub trait GrpcOperations<Marker, In, Out, Op: Operation<Marker>>: Sized {
    /// One message in, one out. The path is the method's full name, `package.Service/Method`.
    #[must_use]
    fn unary<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + 'static,
        Op::Input: FromMessage<Req, In>,
        Op::Output: IntoMessage<Res, Out>;

    /// One message in, a stream of them out. The operation's value is the stream of its items; a
    /// fault among them ends it with that fault's status, and a peer that leaves drops it. An
    /// open stream does not hold up the process's stop: it ends with UNAVAILABLE then.
    #[must_use]
    fn server_streaming<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + 'static,
        Op::Input: FromMessage<Req, In>,
        Op::Output: IntoMessages<Res, Out>;

    /// A stream of messages in, one message out: the operation takes
    /// [`Messages`](crate::Messages). Of deadlines only the peer's holds for it.
    #[must_use]
    fn client_streaming<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + 'static,
        Op::Input: FromMessages<Req, In>,
        Op::Output: IntoMessage<Res, Out>;

    /// A stream of messages in, and one out, at the same time: the operation takes
    /// [`Messages`](crate::Messages), and its value is the stream of its items, which is answered
    /// with as soon as it returns. Either side may end first; that of the operation ends the call.
    #[must_use]
    fn bidi_streaming<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + 'static,
        Op::Input: FromMessages<Req, In>,
        Op::Output: IntoMessages<Res, Out>;

    /// An operation whose types know their messages ([`GrpcType`](crate::GrpcType)). Where it takes
    /// [`Messages`](crate::Messages), the client streams; where its value is a stream, the server
    /// does.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Fault, ModuleBuilder, operation::Items};
    /// use polyport_grpc::{GrpcModule, GrpcOperations};
    ///
    /// /// Takes google.protobuf.Empty, and answers with a google.protobuf.StringValue.
    /// async fn version() -> Result<String, Fault> {
    ///     Ok(env!("CARGO_PKG_VERSION").to_owned())
    /// }
    ///
    /// /// Answers with a stream of google.protobuf.UInt32Value.
    /// async fn count() -> Result<Items<u32>, Fault> {
    ///     Ok(Items::new(futures_util::stream::iter((1..=3).map(Ok::<_, Fault>))))
    /// }
    ///
    /// fn configure(m: &mut ModuleBuilder<'_>) {
    ///     m.grpc(|s| s.method("ops.v1.Ops/Version", version).method("ops.v1.Ops/Count", count));
    /// }
    /// ```
    #[must_use]
    fn method(self, path: &str, operation: Op) -> Self
    where
        Op::Input: GrpcInput<In>,
        Op::Output: GrpcOutput<Out>;
}

impl<Marker, In, Out, Op> GrpcOperations<Marker, In, Out, Op> for GrpcRoutes
where
    Marker: 'static,
    Op: Operation<Marker>,
{
    fn unary<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + 'static,
        Op::Input: FromMessage<Req, In>,
        Op::Output: IntoMessage<Res, Out>,
    {
        self.add_unary::<Marker, Out, Op, Res>(path, operation, Taking::one::<Req, In>())
    }

    fn server_streaming<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + 'static,
        Op::Input: FromMessage<Req, In>,
        Op::Output: IntoMessages<Res, Out>,
    {
        self.add_stream::<Marker, Out, Op, Res>(path, operation, Taking::one::<Req, In>())
    }

    fn client_streaming<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + 'static,
        Op::Input: FromMessages<Req, In>,
        Op::Output: IntoMessage<Res, Out>,
    {
        self.add_unary::<Marker, Out, Op, Res>(path, operation, Taking::many::<Req, In>())
    }

    fn bidi_streaming<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + 'static,
        Op::Input: FromMessages<Req, In>,
        Op::Output: IntoMessages<Res, Out>,
    {
        self.add_stream::<Marker, Out, Op, Res>(path, operation, Taking::many::<Req, In>())
    }

    fn method(self, path: &str, operation: Op) -> Self
    where
        Op::Input: GrpcInput<In>,
        Op::Output: GrpcOutput<Out>,
    {
        <Op::Output as GrpcOutput<Out>>::serve(self, path, operation)
    }
}

/// How an operation takes what the peer sends.
#[doc(hidden)]
#[derive(Debug)]
pub struct Taking<T> {
    take: fn(&Context) -> Result<T, Fault>,
    is_stream: bool,
}

impl<T> Taking<T> {
    pub(crate) const fn one<Req, How>() -> Self
    where
        Req: Message + Default,
        T: FromMessage<Req, How>,
    {
        Self { take: decode::<Req, How, T>, is_stream: false }
    }

    pub(crate) const fn many<Req, How>() -> Self
    where
        T: FromMessages<Req, How>,
    {
        Self { take: T::from_messages, is_stream: true }
    }
}

impl GrpcRoutes {
    pub(crate) fn add_unary<M, Out, Op, Res>(
        self,
        path: &str,
        operation: Op,
        taking: Taking<Op::Input>,
    ) -> Self
    where
        M: 'static,
        Op: Operation<M>,
        Op::Output: IntoMessage<Res, Out>,
        Res: Message + 'static,
    {
        let encode = |_: &Context, value| <Op::Output as IntoMessage<Res, Out>>::into_reply(value);
        let endpoint = Endpoint::new(operation, taking.take, encode);
        let message = <Op::Output as IntoMessage<Res, Out>>::message;
        let sends = Sends::some(taking.is_stream);
        let route = Route { endpoint: endpoint.clone(), sends };
        let method = Unary::<Res> { route, message };
        self.operation(path, endpoint, Box::new(method))
    }

    pub(crate) fn add_stream<M, Out, Op, Res>(
        self,
        path: &str,
        operation: Op,
        taking: Taking<Op::Input>,
    ) -> Self
    where
        M: 'static,
        Op: Operation<M>,
        Op::Output: IntoMessages<Res, Out>,
        Res: Message + 'static,
    {
        let encode = |_: &Context, items| <Op::Output as IntoMessages<Res, Out>>::into_reply(items);
        let endpoint = Endpoint::new(operation, taking.take, encode);
        let message = <Op::Output as IntoMessages<Res, Out>>::message;
        let sends = Sends::some(taking.is_stream);
        let route = Route { endpoint: endpoint.clone(), sends };
        let method = ServerStreaming::<Res> { route, message };
        self.operation(path, endpoint, Box::new(method))
    }
}

fn decode<Req, How, T>(context: &Context) -> Result<T, Fault>
where
    Req: Message + Default,
    T: FromMessage<Req, How>,
{
    read::<Req, How, T>(context.input.body.clone())
}

/// Makes an input of a message.
pub(crate) fn read<Req, How, T>(message: Bytes) -> Result<T, Fault>
where
    Req: Message + Default,
    T: FromMessage<Req, How>,
{
    T::from_message(Req::decode(message).map_err(|error| malformed(&error))?)
}

pub(crate) fn malformed(error: &prost::DecodeError) -> Fault {
    let text = format!("the message is not what the operation takes: {error}");
    Fault::invalid_argument("MALFORMED_MESSAGE", text)
}
