//! The accept loop that polyport's HTTP, WebSocket and gRPC frameworks share or own.
//!
//! It knows no framework. A framework owns a listener and gives it one [`Handler`]; others may
//! [mount](SharedListener::mount) themselves on the same listener and take the requests that are
//! theirs. HTTP/1.1 (RFC 9112) and HTTP/2 (RFC 9113, by prior knowledge) are told apart by their
//! first bytes.
//!
//! The life of a listener, in the order of the process's start and stop:
//!
//! 1. [`SharedListener::bind`] takes the port; clients are refused, not kept hanging;
//! 2. [`BoundListener::listen`] and [`SharedListener::serve`] open it;
//! 3. [`Server::stop_intake`] refuses new clients and tells those who are there;
//! 4. [`Server::drain`] waits for the calls in flight and for their answers to be written;
//! 5. [`Server::close`] ends what is left: streams, upgraded sockets, dead peers.
//!
//! # Examples
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use http::Response;
//! use polyport_listener::{ListenerSettings, ResponseBody, SharedListener, handler_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let shared = SharedListener::new("http");
//! let bound = shared.bind("127.0.0.1", 0).await?;
//!
//! let handler = Arc::new(handler_fn(async |_| Response::new(ResponseBody::from("hello"))));
//! let server = shared.serve(bound.listen()?, handler, ListenerSettings::default())?;
//!
//! server.stop_intake().await;
//! server.drain().await;
//! assert_eq!(server.close(Duration::from_secs(1)).await, 0);
//! # Ok(())
//! # }
//! ```

mod accept;
mod bind;
mod body;
mod call;
mod connection;
mod error;
mod handler;
mod holder;
mod host;
mod io;
mod load;
mod registry;
mod server;
mod settings;
mod shared;
mod tasks;

/// The peer's address, an extension of every request.
pub use polyport_bootstrap::operation::PeerAddr;

pub use self::{
    bind::{BoundListener, Listening},
    body::{BoxError, ResponseBody},
    call::Tunnel,
    error::{BindError, BindErrorKind, ListenerError},
    handler::{ErasedHandler, Handler, HandlerFn, HandlerFuture, LongLived, handler_fn},
    host::ListenerHost,
    registry::ListenerRegistry,
    server::Server,
    settings::ListenerSettings,
    shared::{Mount, SharedListener},
};
