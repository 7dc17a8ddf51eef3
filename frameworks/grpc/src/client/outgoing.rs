//! What a call takes along: the request id, the trace and the deadline of the call that it is a part
//! of.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use polyport_bootstrap::{Context, operation::TIMEOUT_HEADER};
use tokio::time::Instant;
use tonic::Status;

use crate::timeout;

/// Writes all of it, and says when the call has to be answered: at the deadline that it was given
/// itself (`Request::set_timeout`) or that of the current call, whichever is sooner, or else
/// `default` from now. What the call says itself of the rest comes first.
///
/// # Errors
/// Returns DEADLINE_EXCEEDED where that is over already.
pub(super) fn prepare(
    headers: &mut HeaderMap,
    default: Option<Duration>,
) -> Result<Option<Instant>, Status> {
    let current = Context::current();
    if let Some(call) = &current {
        pass_on(call, headers);
    }
    let own = timeout::of_peer(headers).and_then(Result::ok);
    let left = current.and_then(|call| call.remaining());
    let limit = match (own, left) {
        (Some(own), Some(left)) => Some(own.min(left)),
        (own, left) => own.or(left).or(default),
    };
    let Some(limit) = limit else { return Ok(None) };
    if limit.is_zero() {
        return Err(too_late());
    }
    headers.insert(timeout::TIMEOUT, timeout::write(limit));
    Ok(Instant::now().checked_add(limit))
}

fn pass_on(call: &Context, headers: &mut HeaderMap) {
    let mut passed = HeaderMap::new();
    call.inject(&mut passed);
    // gRPC has a header of its own for that.
    passed.remove(TIMEOUT_HEADER);
    for (name, value) in &passed {
        if !headers.contains_key(name) {
            headers.insert(name, HeaderValue::clone(value));
        }
    }
}

pub(super) fn too_late() -> Status {
    Status::deadline_exceeded("the call took longer than its deadline")
}
