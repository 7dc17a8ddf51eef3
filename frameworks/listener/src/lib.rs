//! The accept loop that polyport's HTTP, WebSocket and gRPC frameworks share or own.
//!
//! It knows no framework. A framework owns a listener and gives it one [`Handler`]; others may
//! [mount](SharedListener::mount) themselves on the same listener and take the requests that are
//! theirs. HTTP/1.1 (RFC 9112) and HTTP/2 (RFC 9113, by prior knowledge) are told apart by their
//! first bytes. TLS is rustls (RFC 8446), with ALPN (RFC 7301). What every peer may ask for has its
//! [`Limits`].
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
//! let server = shared.serve([bound.listen()?], handler, &ListenerSettings::default())?;
//!
//! server.stop_intake().await;
//! server.drain().await;
//! assert_eq!(server.close(Duration::from_secs(1)).await, 0);
//! # Ok(())
//! # }
//! ```

mod accept;
mod admission;
mod bind;
mod body;
mod call;
mod client;
mod clock;
mod connection;
mod connections;
mod control;
mod door;
mod error;
mod forwarded;
mod handler;
mod holder;
mod host;
mod io;
mod limits;
mod load;
mod memory;
mod normal;
mod peer;
mod protocols;
mod registry;
mod request_body;
mod server;
mod settings;
mod shared;
mod tasks;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
mod trust;
#[cfg(unix)]
mod unix;
mod upgraded;

/// The client's address, an extension of every request.
pub use polyport_bootstrap::operation::PeerAddr;

pub use self::{
    bind::{BoundListener, Listening},
    body::{BoxError, ResponseBody},
    call::Tunnel,
    client::{Client, Encrypted, PeerCertificates, client_of},
    door::Door,
    error::{BindError, BindErrorKind, ListenerError},
    forwarded::Forwarded,
    handler::{
        ErasedHandler, Handler, HandlerFn, HandlerFuture, LateHandler, LongLived, handler_fn,
    },
    host::ListenerHost,
    limits::{Http2Limits, Limits},
    normal::normal_path,
    registry::ListenerRegistry,
    request_body::{BodyTooSlow, RequestBody},
    server::Server,
    settings::{ClientLeave, ListenerSettings, SocketMode, only_of_ones_own},
    shared::{Mount, SharedListener},
    tls::{ClientCertificates, TlsError, TlsSettings},
    trust::TrustedProxy,
    upgraded::UpgradedIo,
};
