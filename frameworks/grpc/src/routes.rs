//! What modules register for gRPC.

use std::{convert::Infallible, fmt};

use bytes::Bytes;
use http::{Request, Response};
use polyport_bootstrap::{
    Context, DEFAULT_NAME, Fault, ModuleBuilder, RouteSet,
    operation::{Bind, Endpoint, IntoReply, Operation, Protocol, ReplyBody},
    wire::Plain,
};
use polyport_listener::BoxError;
use prost::Message;
use tonic::{body::Body, server::NamedService};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use crate::{
    dynamic,
    message::{FromMessage, GrpcInput, GrpcOutput, IntoMessage, IntoMessages},
    method::{Method, ServerStreaming, Unary},
    service,
};

/// The protocol on which this crate serves operations.
pub const PROTOCOL: Protocol = Protocol::new("grpc");

/// The methods that a module has operations for, and the services that it brings. Its methods
/// `unary`, `server_streaming` and `method` come from [`GrpcOperations`].
#[derive(Default)]
pub struct GrpcRoutes {
    pub(crate) operations: Vec<OperationRoute>,
    pub(crate) services: Vec<ServiceRoute>,
}

pub(crate) struct OperationRoute {
    /// As it was given: `im.v1.UserService/GetUser`.
    pub(crate) path: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) method: Box<dyn Method>,
}

pub(crate) struct ServiceRoute {
    pub(crate) name: &'static str,
    pub(crate) endpoint: Endpoint,
}

impl GrpcRoutes {
    /// Serves a service that tonic generated, bare or with interceptors:
    /// `s.service(GreeterServer::new(MyGreeter))`. Where an operation has one of its methods, the
    /// operation answers. The same middleware, guards and interceptors stand around it as around
    /// operations; it is listed as `package.Service/*`. The call's [`Context`], its
    /// [`RequestId`](polyport_bootstrap::operation::RequestId) and the peer's address are among
    /// the request's extensions.
    ///
    /// Its limits are its own: the settings `timeout` and `max_message_size` are for operations.
    #[must_use]
    pub fn service<S, B>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let service = service.map_response(|response: Response<B>| response.map(Body::new));
        let endpoint = service::endpoint(S::NAME, BoxCloneSyncService::new(service));
        self.services.push(ServiceRoute { name: S::NAME, endpoint });
        self
    }

    /// Serves an operation whose types no .proto file describes: it takes a
    /// `google.protobuf.Struct`, and answers with a `google.protobuf.Value`. Both are JSON, so input
    /// and value are what they are on HTTP: fields may come from metadata, faults name the field.
    /// Numbers are doubles there; whole ones up to 2⁵³ are read as integers.
    #[must_use]
    pub fn unary_struct<M: 'static, Op>(self, path: &str, operation: Op) -> Self
    where
        Op: Operation<M>,
        Op::Input: Bind,
        Op::Output: IntoReply,
    {
        let endpoint = Endpoint::json(operation);
        let message = |body: ReplyBody| {
            let mut json = Vec::new();
            body.write_json(&Plain, "", &mut json)?;
            dynamic::from_json(&json)
        };
        let method = Unary { endpoint: endpoint.clone(), read: Some(dynamic::to_json), message };
        self.operation(path, endpoint, Box::new(method))
    }

    /// The services of which there is a method here.
    pub(crate) fn service_names(&self) -> Vec<String> {
        let of_operation = |route: &OperationRoute| Some(route.path.split_once('/')?.0.to_owned());
        let operations = self.operations.iter().filter_map(of_operation);
        operations.chain(self.services.iter().map(|route| route.name.to_owned())).collect()
    }

    fn operation(mut self, path: &str, endpoint: Endpoint, method: Box<dyn Method>) -> Self {
        self.operations.push(OperationRoute { path: path.to_owned(), endpoint, method });
        self
    }
}

impl fmt::Debug for GrpcRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations = self.operations.iter().map(|route| route.path.as_str());
        let services = self.services.iter().map(|route| route.name);
        f.debug_list().entries(operations).entries(services).finish()
    }
}

impl RouteSet for GrpcRoutes {
    const KIND: &'static str = PROTOCOL.as_str();
    const PROTOCOL: Protocol = PROTOCOL;

    fn routes(&self) -> Vec<(String, Endpoint)> {
        let entry = |route: &OperationRoute| (route.path.clone(), route.endpoint.clone());
        let service = |route: &ServiceRoute| (format!("{}/*", route.name), route.endpoint.clone());
        self.operations.iter().map(entry).chain(self.services.iter().map(service)).collect()
    }

    fn find(routes: &[&str], asked: &str) -> Result<usize, String> {
        find(routes, asked.strip_prefix('/').unwrap_or(asked))
    }
}

/// An operation answers before the service that its method belongs to.
fn find(routes: &[&str], asked: &str) -> Result<usize, String> {
    let service = asked.split_once('/').map_or(asked, |(service, _)| service);
    let whole = format!("{service}/*");
    let position = |wanted: &str| routes.iter().position(|route| *route == wanted);
    let found = position(asked).or_else(|| position(&whole));
    found.ok_or_else(|| {
        let is_of_service =
            |route: &&&str| route.split_once('/').is_some_and(|(of, _)| of == service);
        let methods: Vec<_> = routes.iter().filter(is_of_service).copied().collect();
        match methods.as_slice() {
            [] => format!("there is no service {service:?}"),
            methods => format!("there is no {asked:?}, but {}", methods.join(", ")),
        }
    })
}

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

    /// An operation whose types know their messages ([`GrpcType`](crate::GrpcType)): unary, or
    /// server streaming where its value is a stream.
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
    In: 'static,
    Out: 'static,
    Op: Operation<Marker>,
{
    fn unary<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + 'static,
        Op::Input: FromMessage<Req, In>,
        Op::Output: IntoMessage<Res, Out>,
    {
        self.add_unary::<Marker, In, Out, Op, Req, Res>(path, operation)
    }

    fn server_streaming<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + 'static,
        Op::Input: FromMessage<Req, In>,
        Op::Output: IntoMessages<Res, Out>,
    {
        self.add_stream::<Marker, In, Out, Op, Req, Res>(path, operation)
    }

    fn method(self, path: &str, operation: Op) -> Self
    where
        Op::Input: GrpcInput<In>,
        Op::Output: GrpcOutput<Out>,
    {
        <Op::Output as GrpcOutput<Out>>::serve(self, path, operation)
    }
}

impl GrpcRoutes {
    pub(crate) fn add_unary<M, In, Out, Op, Req, Res>(self, path: &str, operation: Op) -> Self
    where
        M: 'static,
        In: 'static,
        Op: Operation<M>,
        Op::Input: FromMessage<Req, In>,
        Op::Output: IntoMessage<Res, Out>,
        Req: Message + Default + 'static,
        Res: Message + 'static,
    {
        let encode = |_: &Context, value| <Op::Output as IntoMessage<Res, Out>>::into_reply(value);
        let endpoint = Endpoint::new(operation, decode::<Req, In, Op::Input>, encode);
        let message = <Op::Output as IntoMessage<Res, Out>>::message;
        let method = Unary::<Res> { endpoint: endpoint.clone(), read: None, message };
        self.operation(path, endpoint, Box::new(method))
    }

    pub(crate) fn add_stream<M, In, Out, Op, Req, Res>(self, path: &str, operation: Op) -> Self
    where
        M: 'static,
        In: 'static,
        Op: Operation<M>,
        Op::Input: FromMessage<Req, In>,
        Op::Output: IntoMessages<Res, Out>,
        Req: Message + Default + 'static,
        Res: Message + 'static,
    {
        let encode = |_: &Context, items| <Op::Output as IntoMessages<Res, Out>>::into_reply(items);
        let endpoint = Endpoint::new(operation, decode::<Req, In, Op::Input>, encode);
        let message = <Op::Output as IntoMessages<Res, Out>>::message;
        let method = ServerStreaming::<Res> { endpoint: endpoint.clone(), message };
        self.operation(path, endpoint, Box::new(method))
    }
}

fn decode<Req, How, T>(context: &Context) -> Result<T, Fault>
where
    Req: Message + Default,
    T: FromMessage<Req, How>,
{
    let message = Req::decode(context.input.body.clone()).map_err(|error| malformed(&error))?;
    T::from_message(message)
}

fn malformed(error: &prost::DecodeError) -> Fault {
    let text = format!("the message is not what the operation takes: {error}");
    Fault::invalid_argument("MALFORMED_MESSAGE", text)
}

/// What this crate adds to a module: methods and services for a gRPC framework.
pub trait GrpcModule {
    /// Registers them for the gRPC framework that has no name of its own.
    fn grpc(&mut self, routes: impl FnOnce(GrpcRoutes) -> GrpcRoutes) -> &mut Self;

    /// Registers them for the gRPC framework of this name.
    fn grpc_on(&mut self, name: &str, routes: impl FnOnce(GrpcRoutes) -> GrpcRoutes) -> &mut Self;

    /// Lets operations that take a `T` be called with the protobuf message `Req` on every protocol
    /// whose messages have a content type: over HTTP and AMQP as `application/protobuf` or
    /// `application/x-protobuf`. The message is the input as a whole.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::module;
    /// use polyport_grpc::GrpcModule;
    ///
    /// struct Text(String);
    ///
    /// impl From<String> for Text {
    ///     fn from(text: String) -> Self {
    ///         Self(text)
    ///     }
    /// }
    ///
    /// // google.protobuf.StringValue is a `String` for prost.
    /// let texts = module("texts", |m| {
    ///     m.protobuf::<String, Text>();
    ///     Ok(())
    /// });
    /// # drop(texts);
    /// ```
    fn protobuf<Req, T>(&mut self) -> &mut Self
    where
        Req: Message + Default,
        T: From<Req> + 'static;
}

/// How protobuf is called as a content type.
const PROTOBUF: [&str; 2] = ["application/protobuf", "application/x-protobuf"];

impl GrpcModule for ModuleBuilder<'_> {
    fn grpc(&mut self, routes: impl FnOnce(GrpcRoutes) -> GrpcRoutes) -> &mut Self {
        self.grpc_on(DEFAULT_NAME, routes)
    }

    fn grpc_on(&mut self, name: &str, routes: impl FnOnce(GrpcRoutes) -> GrpcRoutes) -> &mut Self {
        self.register(name, routes)
    }

    fn protobuf<Req, T>(&mut self) -> &mut Self
    where
        Req: Message + Default,
        T: From<Req> + 'static,
    {
        for content_type in PROTOBUF {
            self.typed_codec(content_type, |body| {
                Req::decode(body).map(T::from).map_err(|error| malformed(&error))
            });
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_found_as_an_operation_and_else_in_its_service() {
        let routes = ["a.A/*", "a.A/Own", "b.B/One"];
        let find = |asked| GrpcRoutes::find(&routes, asked);
        assert_eq!((find("/a.A/Own"), find("a.A/Other"), find("b.B/One")), (Ok(1), Ok(0), Ok(2)));
        assert_eq!(find("b.B/Two"), Err(r#"there is no "b.B/Two", but b.B/One"#.to_owned()));
        assert_eq!(find("c.C/One"), Err(r#"there is no service "c.C""#.to_owned()));
    }
}
