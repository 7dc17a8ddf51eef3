//! `helloworld.Greeter/SayHello`, by several servers.

mod h2;
mod polyport;
mod tonic;

use ::tonic::{Request, Response, Status};
use polyport_proto::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};

use super::Serving;
pub(super) use polyport::module;

/// The method.
pub(crate) const PATH: &str = "/helloworld.Greeter/SayHello";
/// `HelloRequest { name: "Tom" }` behind gRPC's prefix.
pub(crate) const HELLO: &[u8] = b"\0\0\0\0\x05\x0a\x03Tom";
/// `HelloReply { message: "Hello Tom!" }` behind gRPC's prefix.
pub(crate) const REPLY: &[u8] = b"\0\0\0\0\x0c\x0a\x0aHello Tom!";

fn greet(hello: &HelloRequest) -> HelloReply {
    HelloReply { message: format!("Hello {}!", hello.name) }
}

/// The service, as tonic generates its trait.
pub(super) struct Greets;

#[::tonic::async_trait]
impl Greeter for Greets {
    async fn say_hello(
        &self,
        hello: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(greet(hello.get_ref())))
    }
}

/// The server of that name.
pub(super) fn find(name: &str) -> Option<Serving> {
    Some(match name {
        "grpc-h2" => Box::pin(h2::serve()),
        "grpc-tonic" => Box::pin(tonic::serve()),
        "grpc-polyport" => Box::pin(polyport::serve(polyport::Kind::Operation)),
        "grpc-polyport-service" => Box::pin(polyport::serve(polyport::Kind::Service)),
        _ => return None,
    })
}
