//! A chat server whose messages cross HTTP, WebSocket, gRPC and AMQP: `cargo run --example im`.

#[polyport::main]
async fn main() -> polyport::Result<()> {
    polyport_im::bootstrap().run().await
}
