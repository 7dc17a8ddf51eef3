//! What modules register for gRPC.

use std::{convert::Infallible, fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use polyport_bootstrap::{
    Context, DEFAULT_NAME, Fault, ModuleBuilder, RouteSet,
    operation::{Endpoint, Operation, OperationInfo, Protocol},
};
use polyport_listener::BoxError;
use prost::Message;
use tonic::{body::Body, server::NamedService};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use crate::{
    message::{FromMessage, ItemStream},
    method::{Method, ServerStreaming, Unary},
    service::AnyService,
};

/// The protocol on which this crate serves operations.
pub const PROTOCOL: Protocol = Protocol::new("grpc");

/// The methods that a module has operations for, and the services that it brings. Its methods
/// `unary` and `server_streaming` come from [`GrpcOperations`].
#[derive(Default)]
pub struct GrpcRoutes {
    pub(crate) operations: Vec<OperationRoute>,
    pub(crate) services: Vec<ServiceRoute>,
}

pub(crate) struct OperationRoute {
    /// As it was given: `im.v1.UserService/GetUser`.
    pub(crate) path: String,
    pub(crate) info: Arc<OperationInfo>,
    pub(crate) method: Box<dyn Method>,
}

pub(crate) struct ServiceRoute {
    pub(crate) name: &'static str,
    pub(crate) service: AnyService,
}

impl GrpcRoutes {
    /// Serves a service that tonic generated, bare or with interceptors:
    /// `s.service(GreeterServer::new(MyGreeter))`. Where an operation has one of its methods, the
    /// operation answers. The call's [`RequestId`](polyport_bootstrap::operation::RequestId) and
    /// the peer's address are among the request's extensions.
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
        let service = BoxCloneSyncService::new(service);
        self.services.push(ServiceRoute { name: S::NAME, service });
        self
    }

    /// The services of which there is a method here.
    pub(crate) fn service_names(&self) -> Vec<String> {
        let of_operation = |route: &OperationRoute| Some(route.path.split_once('/')?.0.to_owned());
        let operations = self.operations.iter().filter_map(of_operation);
        operations.chain(self.services.iter().map(|route| route.name.to_owned())).collect()
    }

    fn operation(mut self, path: &str, info: &Arc<OperationInfo>, method: Box<dyn Method>) -> Self {
        let info = Arc::clone(info);
        self.operations.push(OperationRoute { path: path.to_owned(), info, method });
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

    fn routes(&self) -> Vec<(String, Arc<OperationInfo>)> {
        let entry = |route: &OperationRoute| (route.path.clone(), Arc::clone(&route.info));
        self.operations.iter().map(entry).collect()
    }
}

/// Registers operations as methods. A call names the two messages and nothing else, all other
/// types are inferred:
/// `s.unary::<pb::GetUserRequest, pb::User>("im.v1.UserService/GetUser", get_user)`.
pub trait GrpcOperations<Marker, How, Op: Operation<Marker>>: Sized {
    /// One message in, one out. The path is the method's full name, `package.Service/Method`.
    #[must_use]
    fn unary<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + From<Op::Output> + 'static,
        Op::Input: FromMessage<Req, How>;

    /// One message in, a stream of them out. The operation's value is the stream of its items; a
    /// fault among them ends it with that fault's status, and a peer that leaves drops it. An
    /// open stream does not hold up the process's stop: it ends with UNAVAILABLE then.
    #[must_use]
    fn server_streaming<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + From<<Op::Output as ItemStream>::Value> + 'static,
        Op::Input: FromMessage<Req, How>,
        Op::Output: ItemStream;
}

impl<Marker, How, Op> GrpcOperations<Marker, How, Op> for GrpcRoutes
where
    How: 'static,
    Op: Operation<Marker>,
{
    fn unary<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + From<Op::Output> + 'static,
        Op::Input: FromMessage<Req, How>,
    {
        let endpoint = Endpoint::new(operation, decode, |_, (), value| Ok(Res::from(value)));
        let info = Arc::clone(endpoint.info());
        self.operation(path, &info, Box::new(Unary::<Req, Res>(endpoint)))
    }

    fn server_streaming<Req, Res>(self, path: &str, operation: Op) -> Self
    where
        Req: Message + Default + 'static,
        Res: Message + From<<Op::Output as ItemStream>::Value> + 'static,
        Op::Input: FromMessage<Req, How>,
        Op::Output: ItemStream,
    {
        let endpoint = Endpoint::new(operation, decode, |_, (), items| Ok(items.converted()));
        let info = Arc::clone(endpoint.info());
        self.operation(path, &info, Box::new(ServerStreaming::<Req, Res>(endpoint)))
    }
}

fn decode<Req, How, T: FromMessage<Req, How>>(_: &Context, message: Req) -> Result<(T, ()), Fault> {
    Ok((T::from_message(message)?, ()))
}

/// What this crate adds to a module: methods and services for a gRPC framework.
pub trait GrpcModule {
    /// Registers them for the gRPC framework that has no name of its own.
    fn grpc(&mut self, routes: impl FnOnce(GrpcRoutes) -> GrpcRoutes) -> &mut Self;

    /// Registers them for the gRPC framework of this name.
    fn grpc_on(&mut self, name: &str, routes: impl FnOnce(GrpcRoutes) -> GrpcRoutes) -> &mut Self;
}

impl GrpcModule for ModuleBuilder<'_> {
    fn grpc(&mut self, routes: impl FnOnce(GrpcRoutes) -> GrpcRoutes) -> &mut Self {
        self.grpc_on(DEFAULT_NAME, routes)
    }

    fn grpc_on(&mut self, name: &str, routes: impl FnOnce(GrpcRoutes) -> GrpcRoutes) -> &mut Self {
        self.register(name, routes)
    }
}
