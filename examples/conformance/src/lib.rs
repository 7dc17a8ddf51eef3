//! A server that outside conformance suites are pointed at: HTTP at `/`, a WebSocket echo at `/echo`,
//! and gRPC's interoperability tests (`grpc.testing.TestService`), each on its usual port.

mod echo;
mod interop;

use polyport::{prelude::*, websocket::WebSocketSettings};

/// The whole program.
pub fn bootstrap() -> Bootstrap {
    Bootstrap::new()
        .load(HttpFramework::new())
        .load(WebSocketFramework::new().configure(WebSocketSettings {
            path: "/echo".to_owned(),
            ..WebSocketSettings::default()
        }))
        .load(GrpcFramework::new())
        .module(echo::EchoModule)
        .module(interop::InteropModule)
}
