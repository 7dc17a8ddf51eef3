//! gRPC for polyport, on tonic and prost.
//!
//! A module names the two messages of a method and gives it an operation; the messages convert to
//! and from the operation's own types by `From`. An operation that takes [`Messages`] is called with
//! a stream, one that returns a stream answers with one. Services that tonic generates are served
//! beside such operations. Faults become a status with `google.rpc.ErrorInfo` (and `BadRequest`
//! where fields are faulty), and [`fault_from_status`] is the way back.
//!
//! [`GrpcClients`] provides connections to other services, which carry the trace and the deadline of
//! the current call along.
//!
//! What is served is gRPC over HTTP/2 as its "PROTOCOL-HTTP2" specification has it, and gRPC-Web
//! ("PROTOCOL-WEB") on request, on a port of its own or on the listener of an HTTP framework.
//!
//! # Examples
//! ```
//! use garde::Validate;
//! use polyport_bootstrap::{Fault, Module, ModuleBuilder, Result, operation::Input};
//! use polyport_grpc::{GrpcModule, GrpcOperations};
//! use polyport_proto::helloworld as pb;
//!
//! #[derive(Validate)]
//! struct Hello {
//!     #[garde(length(min = 1))]
//!     name: String,
//! }
//!
//! impl From<pb::HelloRequest> for Hello {
//!     fn from(message: pb::HelloRequest) -> Self {
//!         Self { name: message.name }
//!     }
//! }
//!
//! struct Greeting(String);
//!
//! impl From<Greeting> for pb::HelloReply {
//!     fn from(greeting: Greeting) -> Self {
//!         Self { message: greeting.0 }
//!     }
//! }
//!
//! async fn say_hello(Input(hello): Input<Hello>) -> Result<Greeting, Fault> {
//!     Ok(Greeting(format!("Hello {}!", hello.name)))
//! }
//!
//! struct GreeterModule;
//!
//! impl Module for GreeterModule {
//!     fn name(&self) -> &'static str {
//!         "greeter"
//!     }
//!
//!     fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
//!         m.grpc(|s| {
//!             s.unary::<pb::HelloRequest, pb::HelloReply>("helloworld.Greeter/SayHello", say_hello)
//!         });
//!         Ok(())
//!     }
//! }
//! ```

mod adapter;
mod app;
mod arrival;
mod client;
mod descriptors;
mod dynamic;
mod encoder;
mod encoding;
mod ending;
mod foreign;
mod frame;
mod framework;
mod handler;
mod health;
mod layers;
mod message;
mod metadata;
mod method;
mod module;
mod operations;
mod place;
mod reflection;
mod routes;
mod sends;
mod server_streaming;
mod service;
mod service_body;
mod settings;
mod shared;
mod stream;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
mod timeout;
mod trailers;
mod unary;
mod unknown;
mod web;

pub use self::{
    adapter::{fault_from_status, status_from_fault},
    app::GrpcApp,
    client::{GrpcChannel, GrpcClientSettings, GrpcClientTls, GrpcClients, GrpcKeepAlive, OrFault},
    foreign::GrpcService,
    framework::GrpcFramework,
    layers::GrpcLayered,
    message::{
        Answered, AnsweredStream, Collected, Converted, Empty, FromMessage, FromMessages,
        GrpcInput, GrpcOutput, GrpcType, Ignored, IntoMessage, IntoMessages, Messages, Received,
        Streamed,
    },
    metadata::GrpcMetadata,
    module::GrpcModule,
    operations::GrpcOperations,
    routes::{GrpcRoutes, PROTOCOL},
    settings::{GrpcCompression, GrpcEncoding, GrpcSettings},
    trailers::GrpcTrailers,
};
