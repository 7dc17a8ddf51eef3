//! What is spoken on a connection.

use std::{future::Future, pin::Pin};

use http::Request;
use http_body::Body;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::{
    ListenerSettings,
    call::Calls,
    control::ControlFrames,
    io::{Io, Version},
    limits::unless_zero,
    settings::ClientLeave,
    tasks::Streams,
};

/// hyper keeps room for as many headers on its stack, and allocates for any other number.
const HYPERS_HEADERS: usize = 100;

/// Both versions of HTTP, as they are to be spoken.
#[derive(Debug)]
pub(crate) struct Protocols {
    http1: http1::Builder,
    /// As `http1`, for connections that see themselves whether the client has left; none where
    /// calls go on then, and hyper reads what is behind them.
    watched: Option<http1::Builder>,
    http2: http2::Builder<Streams>,
    control_frames: u32,
}

impl Protocols {
    pub(crate) fn new(settings: &ListenerSettings, streams: Streams) -> Self {
        let limits = &settings.limits;
        let mut http1 = http1::Builder::new();
        // The clock sees to the time.
        http1.header_read_timeout(None).max_header_size(limits.header_size);
        if limits.header_count != HYPERS_HEADERS {
            http1.max_headers(limits.header_count);
        }
        let cancels = settings.on_client_leave == ClientLeave::Cancel;
        // Not for clients that write nothing more: hyper does not look whether one has left.
        let watched = cancels.then(|| http1.clone().half_close(true).clone());
        let mut http2 = http2::Builder::new(streams);
        http2
            .timer(TokioTimer::new())
            .enable_connect_protocol()
            .max_concurrent_streams(limits.http2.streams)
            .max_pending_accept_reset_streams(limits.http2.pending_resets)
            .max_header_list_size(u32::try_from(limits.header_size).unwrap_or(u32::MAX))
            .keep_alive_interval(unless_zero(limits.http2.keep_alive))
            .keep_alive_timeout(limits.http2.keep_alive_timeout);
        Self { http1, watched, http2, control_frames: limits.http2.control_frames }
    }

    pub(crate) fn begin(&self, version: Version, mut io: Io, calls: Calls) -> Http {
        if version == Version::Http2 && self.control_frames > 0 {
            io.limit(ControlFrames::new(self.control_frames));
        }
        match version {
            Version::Http1 => {
                let http1 = match &self.watched {
                    Some(watched) if io.watch() => watched,
                    _ => &self.http1,
                };
                let connection = http1.serve_connection(TokioIo::new(io), Http1Calls(calls));
                Http::One(Box::new(connection.with_upgrades()))
            }
            Version::Http2 => {
                calls.load.speaks_http2();
                Http::Two(Box::new(self.http2.serve_connection(TokioIo::new(io), calls)))
            }
        }
    }
}

/// A handshake of TLS, and what comes behind it; none where it has failed.
type Handshake = Pin<Box<dyn Future<Output = Option<Http>> + Send>>;

/// What is spoken on a connection. What hyper needs is boxed: most connections are idle, and have
/// none of it then.
pub(crate) enum Http {
    Shakes(Handshake),
    /// The peer has not said enough to tell, or nothing since its last call was answered; none for
    /// the moment in which it becomes clear.
    Begins(Option<(Io, Calls)>),
    One(Box<http1::UpgradeableConnection<TokioIo<Io>, Http1Calls>>),
    Two(Box<http2::Connection<TokioIo<Io>, Calls, Streams>>),
}

impl Http {
    /// Tells the peer that no further call is taken; false if nothing is spoken.
    pub(crate) fn shut_down(&mut self) -> bool {
        match self {
            Self::Shakes(_) | Self::Begins(_) => return false,
            Self::One(connection) => Pin::new(&mut **connection).graceful_shutdown(),
            Self::Two(connection) => Pin::new(&mut **connection).graceful_shutdown(),
        }
        true
    }

    /// Lets go of all that hyper has for a connection of HTTP/1 between two calls: two buffers of
    /// 8 KiB above all. What it has read of the next call is kept.
    pub(crate) fn rest(&mut self) {
        let Self::One(connection) = std::mem::replace(self, Self::Begins(None)) else { return };
        if let Some(http1::Parts { io, read_buf, service, .. }) = connection.into_parts() {
            let (mut io, Http1Calls(calls)) = (io.into_inner(), service);
            if io.resume(read_buf) {
                calls.load.hears();
            }
            *self = Self::Begins(Some((io, calls)));
        }
    }
}

/// Takes the calls of a connection of HTTP/1, and notes whether the last one has a body.
#[derive(Debug)]
pub(crate) struct Http1Calls(Calls);

impl Service<Request<Incoming>> for Http1Calls {
    type Response = <Calls as Service<Request<Incoming>>>::Response;
    type Error = <Calls as Service<Request<Incoming>>>::Error;
    type Future = <Calls as Service<Request<Incoming>>>::Future;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.0.load.reads_body(!request.body().is_end_stream());
        self.0.call(request)
    }
}
