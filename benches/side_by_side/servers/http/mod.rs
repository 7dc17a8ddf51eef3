//! `GET /users?userId=tom` and `POST /forms`, by several servers.

mod careful;
pub(crate) mod epoll;
mod hyper;
mod idle;
mod payload;
mod polyport;
mod raw;

use super::Serving;
pub(crate) use payload::form;
pub(super) use polyport::module;
pub(super) use raw::router;

/// What a call sends.
pub(crate) const GET: &str = "GET /users?userId=tom HTTP/1.1\r\nHost: localhost\r\n\
    User-Agent: load\r\nAccept: application/json\r\nAuthorization: Bearer x\r\n\r\n";
/// What its answer holds.
pub(crate) const USER: &str = r#""userId":"tom""#;

/// The server of that name.
pub(super) fn find(name: &str) -> Option<Serving> {
    Some(match name {
        "http-hyper" => Box::pin(hyper::serve()),
        "http-axum" => Box::pin(raw::serve()),
        "http-axum-careful" => Box::pin(careful::serve(false)),
        "http-axum-careful-log" => Box::pin(careful::serve(true)),
        "http-polyport" => Box::pin(polyport::serve(false)),
        "http-polyport-log" => Box::pin(polyport::serve(true)),
        "http-http1-only" => Box::pin(idle::serve()),
        _ => return None,
    })
}
