#![doc = include_str!("../README.md")]
//!
//! # The crates behind this one
//!
//! This crate is the face: it re-exports the kernel and, by feature, the frameworks.
//!
//! | feature | brings | by default |
//! |---|---|---|
//! | `http` | [`http`](crate::http): `HttpFramework`, `HttpApp` | yes |
//! | `websocket` | [`websocket`](crate::websocket): `WebSocketFramework`, `WebSocketApp` | yes |
//! | `grpc` | [`grpc`](crate::grpc): `GrpcFramework`, `GrpcApp` | yes |
//! | any of these | [`listener`]: what serves them, with its limits and TLS | yes |
//! | `amqp` | [`amqp`](crate::amqp): `AmqpFramework`, `AmqpApp` | yes |
//! | `amqp-tls` | TLS to the AMQP broker (`amqps://`), by rustls | yes |
//! | `admin` | [`admin`](crate::admin): `AdminFramework`, a port that tells how the process is | yes |
//! | `embedded` | the in-memory AMQP broker for development and tests | no |
//! | `testing` | [`create_bootstrap`](crate::testing::create_bootstrap) and the test clients | no |

pub use polyport_bootstrap::*;

#[cfg(feature = "admin")]
pub use polyport_admin as admin;
#[cfg(feature = "amqp")]
pub use polyport_amqp as amqp;
#[cfg(feature = "grpc")]
pub use polyport_grpc as grpc;
#[cfg(feature = "http")]
pub use polyport_http as http;
#[cfg(any(feature = "http", feature = "websocket", feature = "grpc"))]
pub use polyport_listener as listener;
#[cfg(feature = "websocket")]
pub use polyport_websocket as websocket;

/// The whole application in a test: [`create_bootstrap`](testing::create_bootstrap), and what each
/// framework adds to it (`app.http()`, `app.websocket("/ws").await` …).
#[cfg(feature = "testing")]
pub mod testing {
    #[cfg(feature = "amqp")]
    pub use polyport_amqp::testing::*;
    pub use polyport_bootstrap::testing::*;
    #[cfg(feature = "grpc")]
    pub use polyport_grpc::testing::*;
    #[cfg(feature = "http")]
    pub use polyport_http::testing::*;
    #[cfg(feature = "websocket")]
    pub use polyport_websocket::testing::*;
}

/// Everything that an application usually needs.
pub mod prelude {
    #[cfg(feature = "admin")]
    pub use polyport_admin::{AdminApp, AdminFramework};
    #[cfg(feature = "amqp")]
    pub use polyport_amqp::{
        AmqpApp, AmqpFramework, AmqpModule as _, Delivery, Exchange, ProtobufConsumers as _,
        ProtobufTypes as _, Queue,
    };
    pub use polyport_bootstrap::{
        Application, Bootstrap, Config, Container, Environment, Error, Health, HealthCheck,
        Lifecycle, Module, ModuleBuilder, Preset, Provide, Result, Settings, Tasks, controller,
        module, operation,
        operation::{
            App, Context, Ctx, Fault, FaultKind, FromContext, Inject, Input, Operation,
            OperationExt as _,
        },
    };
    #[cfg(feature = "grpc")]
    pub use polyport_grpc::{
        GrpcApp, GrpcChannel, GrpcClients, GrpcFramework, GrpcModule as _, GrpcOperations as _,
        Messages, OrFault as _,
    };
    #[cfg(feature = "http")]
    pub use polyport_http::{
        HttpApp, HttpFramework, HttpModule as _, HttpRequest, IntoService as _, Redirect,
        StatusCode,
    };
    #[cfg(feature = "websocket")]
    pub use polyport_websocket::{Socket, WebSocketApp, WebSocketFramework, WebSocketModule as _};
}

/// The examples of the guide are compiled.
#[cfg(all(doctest, feature = "http", feature = "admin"))]
#[doc = include_str!("../docs/health.md")]
mod health_guide {}

/// As above.
#[cfg(all(
    doctest,
    feature = "http",
    feature = "websocket",
    feature = "grpc",
    feature = "amqp",
    feature = "testing"
))]
#[doc = include_str!("../docs/operations.md")]
mod operations_guide {}

/// The examples of the guide are compiled.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../docs/http.md")]
mod http_guide {}

/// The examples of the guide are compiled.
#[cfg(all(doctest, feature = "websocket"))]
#[doc = include_str!("../docs/websocket.md")]
mod websocket_guide {}

/// The examples of the guide are compiled.
#[cfg(all(doctest, feature = "grpc"))]
#[doc = include_str!("../docs/grpc.md")]
mod grpc_guide {}

/// The examples of the guide are compiled.
#[cfg(all(doctest, feature = "http", feature = "testing"))]
#[doc = include_str!("../docs/testing.md")]
mod testing_guide {}
