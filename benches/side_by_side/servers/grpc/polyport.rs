//! polyport with all of its chain: request id, deadline, limit of the message, panics caught, one
//! guard and validation.

use ::polyport::{grpc::GrpcSettings, module as new_module, prelude::*};
use polyport_proto::helloworld::{HelloReply, HelloRequest, greeter_server::GreeterServer};

use super::Greets;
use crate::servers::{has_token, say};

/// How it serves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An operation that is registered when the process starts.
    Operation,
    /// A service that tonic has generated.
    Service,
}

async fn say_hello(Input(hello): Input<HelloRequest>) -> Result<HelloReply, Fault> {
    Ok(super::greet(&hello))
}

/// What is served, as an operation.
pub(in crate::servers) fn module() -> impl Module {
    of_kind(Kind::Operation)
}

fn of_kind(kind: Kind) -> impl Module {
    new_module("greeter", move |m| {
        m.grpc(|s| match kind {
            Kind::Operation => s.unary::<HelloRequest, HelloReply>(&super::PATH[1..], say_hello),
            Kind::Service => s.service(GreeterServer::new(Greets)),
        });
        Ok(())
    })
}

pub(super) async fn serve(kind: Kind) -> Result<()> {
    let settings = GrpcSettings { port: Some(0), ..GrpcSettings::default() };
    let process = Bootstrap::new()
        .load(GrpcFramework::new().configure(settings))
        .pipeline(|p| p.guard(has_token))
        .module(of_kind(kind))
        .start()
        .await?;
    let address = process.app::<GrpcApp>()?.local_addr();
    say(address.ok_or_else(|| Error::other("it is not bound"))?)?;
    process.wait().await?;
    Ok(())
}
