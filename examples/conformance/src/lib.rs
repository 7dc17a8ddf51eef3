//! A server that outside conformance suites are pointed at: HTTP at `/`, a WebSocket echo at `/echo`,
//! gRPC's interoperability tests (`grpc.testing.TestService`), each on its usual port, and AMQP's
//! queues `conformance.*`.

mod echo;
mod interop;
mod messaging;

use polyport::{prelude::*, websocket::WebSocketSettings};

/// Autobahn's cases 9.1.6 and 9.2.6 send messages of this size.
const LARGEST_MESSAGE: usize = 16 << 20;

/// The whole program.
pub fn bootstrap() -> Bootstrap {
    Bootstrap::new()
        .load(HttpFramework::new())
        .load(WebSocketFramework::new().configure(WebSocketSettings {
            path: "/echo".to_owned(),
            max_message_size: LARGEST_MESSAGE,
            max_frame_size: LARGEST_MESSAGE,
            ..WebSocketSettings::default()
        }))
        .load(GrpcFramework::new())
        .load(AmqpFramework::new())
        .module(echo::EchoModule)
        .module(interop::InteropModule)
        .module(messaging::MessagingModule)
}
