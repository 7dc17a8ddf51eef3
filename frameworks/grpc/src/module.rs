//! What modules register.

use polyport_bootstrap::{DEFAULT_NAME, ModuleBuilder};
use prost::Message;

use crate::{GrpcRoutes, operations::malformed};

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
