//! The two classics: gRPC's Greeter, and a hello over WebSocket.

use garde::Validate;
use polyport::prelude::*;
use polyport_proto::helloworld::{HelloReply, HelloRequest};
use serde::Deserialize;

#[derive(Debug, Deserialize, Validate)]
struct Hello {
    #[garde(length(max = 1_000))]
    name: String,
}

async fn hello(Input(_): Input<Hello>) -> Result<&'static str, Fault> {
    Ok("received reqData")
}

async fn say_hello(Input(hello): Input<HelloRequest>) -> Result<HelloReply, Fault> {
    Ok(HelloReply { message: format!("Hello {}", hello.name) })
}

pub(crate) struct GreeterModule;

impl Module for GreeterModule {
    fn name(&self) -> &str {
        "greeter"
    }

    fn configure(&self, m: &mut ModuleBuilder<'_>) -> Result<()> {
        m.websocket(|g| g.on("hello", hello)).grpc(|s| {
            s.unary::<HelloRequest, HelloReply>("helloworld.Greeter/SayHello", say_hello)
        });
        Ok(())
    }
}
