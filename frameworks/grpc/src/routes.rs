//! The methods and services of a framework, before they are served.

use std::{convert::Infallible, fmt};

use bytes::Bytes;
use http::{Request, Response};
use polyport_bootstrap::{
    RouteSet,
    operation::{Bind, Endpoint, IntoReply, Operation, Protocol, ReplyBody},
    wire::Plain,
};
use polyport_listener::BoxError;
use tonic::{body::Body, server::NamedService};
use tower::Service;

use crate::{
    dynamic,
    method::{Method, Route},
    sends::Sends,
    service,
    unary::Unary,
};

/// The protocol on which this crate serves operations.
pub const PROTOCOL: Protocol = Protocol::new("grpc");

/// The methods that a module has operations for, and the services that it brings. Its methods
/// `unary`, `server_streaming`, `client_streaming`, `bidi_streaming` and `method` come from
/// [`GrpcOperations`](crate::GrpcOperations).
#[derive(Default)]
pub struct GrpcRoutes {
    pub(crate) operations: Vec<OperationRoute>,
    pub(crate) services: Vec<ServiceRoute>,
    pub(crate) descriptors: Vec<Bytes>,
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
    /// operations; it is listed as `package.Service/*`. The call's
    /// [`Context`](polyport_bootstrap::Context), which knows its request id and the peer's address,
    /// is among the request's extensions.
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
        let endpoint = service::endpoint(S::NAME, service);
        self.services.push(ServiceRoute { name: S::NAME, endpoint });
        self
    }

    /// Brings a `google.protobuf.FileDescriptorSet`, as the compiler of .proto files writes it. At
    /// start every method of a service that it describes has to be one of that service and of its
    /// kind, and reflection tells of it, where the setting `reflection` is on.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::ModuleBuilder;
    /// use polyport_grpc::GrpcModule;
    ///
    /// fn configure(m: &mut ModuleBuilder<'_>) {
    ///     m.grpc(|s| s.descriptors(polyport_proto::FILE_DESCRIPTOR_SET));
    /// }
    /// ```
    #[must_use]
    pub fn descriptors(mut self, set: impl Into<Bytes>) -> Self {
        self.descriptors.push(set.into());
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
        let sends = Sends::Read(dynamic::to_json);
        let route = Route { endpoint: endpoint.clone(), sends };
        let method = Unary { route, message };
        self.operation(path, endpoint, Box::new(method))
    }

    /// The services of which there is a method here.
    pub(crate) fn service_names(&self) -> Vec<String> {
        let of_operation = |route: &OperationRoute| Some(route.path.split_once('/')?.0.to_owned());
        let operations = self.operations.iter().filter_map(of_operation);
        operations.chain(self.services.iter().map(|route| route.name.to_owned())).collect()
    }

    pub(crate) fn operation(
        mut self,
        path: &str,
        endpoint: Endpoint,
        method: Box<dyn Method>,
    ) -> Self {
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
