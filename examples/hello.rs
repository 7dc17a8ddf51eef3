//! HTTP and gRPC around one service: `cargo run --example hello`.
use polyport::prelude::*;
use polyport_proto::helloworld::{HelloReply, HelloRequest};

#[derive(Provide)]
struct Greeter {
    #[default("Hello".to_owned())]
    word: String,
}

async fn hello(
    Inject(greeter): Inject<Greeter>,
    Input(request): Input<HelloRequest>,
) -> Result<HelloReply> {
    Ok(HelloReply { message: format!("{} {}", greeter.word, request.name) })
}

#[polyport::main]
async fn main() -> Result<()> {
    let greeter = module("greeter", |m| {
        m.provide::<Greeter>()
            .http(|r| r.get("/hello", hello))
            .grpc(|s| s.unary::<HelloRequest, HelloReply>("helloworld.Greeter/SayHello", hello));
        Ok(())
    });
    let frameworks = Bootstrap::new().load(HttpFramework::new()).load(GrpcFramework::new());
    frameworks.module(greeter).run().await
}
