//! [`struct@Fault`] ↔ gRPC status.

use std::{borrow::Cow, collections::HashMap};

use http::{
    HeaderMap, HeaderName,
    header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TE, TRANSFER_ENCODING},
};
use polyport_bootstrap::{Fault, FaultKind};
use serde_json::{Value, json};
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

// A status travels in header fields, of which most peers take 16 KiB in all, written as base64 or
// percent-encoded. What is longer would cost the caller the whole answer.
const MAX_MESSAGE: usize = 1024;
const MAX_VIOLATIONS: usize = 12;
const MAX_FIELD: usize = 128;
const MAX_DESCRIPTION: usize = 256;
const MAX_METADATA: usize = 2048;

const REQUEST_ID: &str = "request_id";
const CODE: &str = "code";

/// The status of a fault: its code and message, `google.rpc.ErrorInfo` with the fault's reason,
/// `domain`, the request id and the business code, and `google.rpc.BadRequest` where the fault's
/// details name fields. Its headers become metadata, and `Retry-After` is `google.rpc.RetryInfo`,
/// too. Messages over 1 KiB, fields after the twelfth, and headers over 2 KiB are cut.
///
/// Services that tonic generates, written by hand, answer with the same faults by it.
///
/// # Examples
/// ```
/// use polyport_bootstrap::Fault;
/// use polyport_grpc::{fault_from_status, status_from_fault};
///
/// let fault = Fault::not_found("USER_NOT_FOUND", "no such user");
/// let status = status_from_fault(&fault, "request-1", "users.example.com");
/// assert_eq!(status.code(), tonic::Code::NotFound);
/// assert_eq!(fault_from_status(&status).reason(), "USER_NOT_FOUND");
/// ```
#[must_use]
pub fn status_from_fault(fault: &Fault, request_id: &str, domain: &str) -> Status {
    let mut metadata = HashMap::from([(REQUEST_ID.to_owned(), request_id.to_owned())]);
    if let Some(code) = fault.code() {
        metadata.insert(CODE.to_owned(), code.to_owned());
    }
    let mut details = ErrorDetails::with_error_info(fault.reason(), domain, metadata);
    let violations = violations(fault.details());
    if !violations.is_empty() {
        details.set_bad_request(violations);
    }
    if let Some(delay) = fault.retry_after() {
        details.set_retry_info(Some(delay));
    }
    let code = exact_code(fault).unwrap_or_else(|| Code::from_i32(fault.kind().grpc_code()));
    let message = cut(fault.message(), MAX_MESSAGE);
    let metadata = metadata_of(fault.headers());
    Status::with_error_details_and_metadata(code, message, details, metadata)
}

/// The headers of a fault, but for what gRPC says otherwise, up to 2 KiB.
fn metadata_of(headers: &HeaderMap) -> MetadataMap {
    let (mut kept, mut size) = (HeaderMap::new(), 0);
    for (name, value) in headers {
        size += name.as_str().len() + value.len();
        if size > MAX_METADATA {
            break;
        }
        if is_metadata(name) {
            kept.append(name, value.clone());
        }
    }
    MetadataMap::from_headers(kept)
}

/// Adds what a reply says in headers.
pub(crate) fn add_metadata(metadata: &mut HeaderMap, headers: Option<&HeaderMap>) {
    for (name, value) in headers.into_iter().flatten().filter(|(name, _)| is_metadata(name)) {
        metadata.append(name, value.clone());
    }
}

/// Whether a header of HTTP means the same as metadata.
fn is_metadata(name: &HeaderName) -> bool {
    const OF_HTTP: [HeaderName; 6] =
        [ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TE, TRANSFER_ENCODING];
    !OF_HTTP.contains(name) && !name.as_str().starts_with("grpc-")
}

/// The code of the status that the fault was made of, where that is finer than its kind.
fn exact_code(fault: &Fault) -> Option<Code> {
    let status = fault.sources().next()?.downcast_ref::<Status>()?;
    Some(status.code()).filter(|code| *code != Code::Ok && kind_of(*code) == fault.kind())
}

/// The fault that a status tells of, whoever has sent it: the client's side of
/// [`status_from_fault`]. A code that no kind of fault has becomes the nearest; where the fault is
/// answered on gRPC again, it is that code again. The status is the fault's source.
///
/// An operation answers with such a code in the same way:
///
/// ```
/// use polyport_grpc::{fault_from_status, status_from_fault};
///
/// let fault = fault_from_status(&tonic::Status::aborted("somebody else was first"));
/// assert_eq!(fault.kind(), polyport_bootstrap::FaultKind::AlreadyExists);
/// assert_eq!(status_from_fault(&fault, "id", "domain").code(), tonic::Code::Aborted);
/// ```
#[must_use]
pub fn fault_from_status(status: &Status) -> Fault {
    let details = status.get_error_details();
    let kind = kind_of(status.code());
    let info = details.error_info();
    let reason = info.map(|info| info.reason.clone()).filter(|reason| !reason.is_empty());
    let reason = reason.map_or(Cow::Borrowed(kind.as_str()), Cow::Owned);
    let mut fault = Fault::new(kind, reason, status.message().to_owned()).caused_by(status.clone());
    if let Some(code) = info.and_then(|info| info.metadata.get(CODE)) {
        fault = fault.with_code(code.clone());
    }
    if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
        fault = fault.with_retry_after(delay);
    }
    if let Some(request) = details.bad_request() {
        fault = fault.with_details(request.field_violations.iter().map(field).collect());
    }
    fault
}

/// The fault of a request whose message is over the limit of the service that tonic generated, for
/// which tonic says OUT_OF_RANGE, and gRPC's "Status codes" RESOURCE_EXHAUSTED.
pub(crate) fn too_large(status: &Status) -> Option<Fault> {
    const BY_TONIC: &str = "Error, decoded message length too large";
    let is_tonics = status.code() == Code::OutOfRange && status.message().starts_with(BY_TONIC);
    is_tonics.then(|| unreadable(status))
}

/// What tonic says of a request that it could not read, as a fault of ours.
pub(crate) fn unreadable(status: &Status) -> Fault {
    let message = status.message().to_owned();
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            Fault::resource_exhausted("MESSAGE_TOO_LARGE", message)
        }
        code => {
            let kind = kind_of(code);
            Fault::new(kind, kind.as_str(), message)
        }
    }
}

/// The fault of a message over the limit.
pub(crate) fn too_long(limit: usize) -> Fault {
    let text = format!("the message is larger than {limit} bytes, which is the limit");
    Fault::resource_exhausted("MESSAGE_TOO_LARGE", text)
}

/// The fault of a request without a message, for which gRPC's "Status codes" want UNIMPLEMENTED.
pub(crate) fn no_message() -> Fault {
    Fault::unimplemented("MESSAGE_MISSING", "the method takes one message, and none came")
}

/// The fault of a request that is not what gRPC's "PROTOCOL-HTTP2" says, for which "Status codes"
/// want INTERNAL.
pub(crate) fn broken(message: impl Into<Cow<'static, str>>) -> Fault {
    Fault::new(FaultKind::Internal, FaultKind::Internal.as_str(), message)
}

fn kind_of(code: Code) -> FaultKind {
    match code {
        Code::Cancelled => FaultKind::Cancelled,
        Code::InvalidArgument | Code::OutOfRange => FaultKind::InvalidArgument,
        Code::DeadlineExceeded => FaultKind::DeadlineExceeded,
        Code::NotFound => FaultKind::NotFound,
        Code::AlreadyExists | Code::Aborted => FaultKind::AlreadyExists,
        Code::PermissionDenied => FaultKind::PermissionDenied,
        Code::ResourceExhausted => FaultKind::ResourceExhausted,
        Code::FailedPrecondition => FaultKind::FailedPrecondition,
        Code::Unimplemented => FaultKind::Unimplemented,
        Code::Unavailable => FaultKind::Unavailable,
        Code::Unauthenticated => FaultKind::Unauthenticated,
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => FaultKind::Internal,
    }
}

/// The faulty fields that binding has found.
fn violations(details: Option<&Value>) -> Vec<FieldViolation> {
    let fields = details.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    fields.iter().filter_map(violation).take(MAX_VIOLATIONS).collect()
}

fn violation(detail: &Value) -> Option<FieldViolation> {
    let field = detail.get("field")?.as_str()?;
    let message = detail.get("message")?.as_str()?;
    Some(FieldViolation::new(cut(field, MAX_FIELD), cut(message, MAX_DESCRIPTION)))
}

fn field(violation: &FieldViolation) -> Value {
    json!({ "field": violation.field, "message": violation.description })
}

fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", &text[..text.floor_char_boundary(most)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_fault_survives_the_way_there_and_back() {
        for kind in FaultKind::ALL {
            let fault = Fault::new(kind, "REASON", "what happened");
            let status = status_from_fault(&fault, "id", "domain");
            assert_eq!(status.code() as i32, kind.grpc_code());
            assert_eq!(fault_from_status(&status).kind(), kind);
        }
    }

    #[test]
    fn reason_code_and_fields_survive_too() {
        let details = json!([{ "field": "a.b", "message": "too long" }]);
        let fault = Fault::invalid_argument("INVALID_INPUT", "a.b: too long")
            .with_code("4711")
            .with_details(details.clone());
        let status = status_from_fault(&fault, "id-1", "example.com");
        let info = status.get_details_error_info().expect("an ErrorInfo");
        assert_eq!(info.domain, "example.com");
        assert_eq!(info.metadata["request_id"], "id-1");
        let back = fault_from_status(&status);
        assert_eq!((back.reason(), back.code()), ("INVALID_INPUT", Some("4711")));
        assert_eq!(back.message(), "a.b: too long");
        assert_eq!(back.details(), Some(&details));
    }

    #[test]
    fn headers_of_a_fault_are_metadata_and_its_delay_is_retry_info() {
        let fault = Fault::unavailable("BUSY", "later")
            .with_retry_after(std::time::Duration::from_millis(1500))
            .with_header(CONTENT_TYPE, "text/html".parse().expect("a value"))
            .with_header("x-shed".parse().expect("a name"), "7".parse().expect("a value"))
            .with_header("x-long".parse().expect("a name"), "x".repeat(5000).parse().expect("one"));
        let status = status_from_fault(&fault, "id", "polyport");
        let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
        assert_eq!(delay, Some(std::time::Duration::from_secs(2)));
        let names: Vec<_> = status.metadata().as_ref().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["retry-after", "x-shed"]);
        assert_eq!(fault_from_status(&status).retry_after(), fault.retry_after());
    }

    #[test]
    fn a_status_of_other_origin_is_a_fault_too() {
        let fault = fault_from_status(&Status::aborted("again"));
        assert_eq!((fault.kind(), fault.reason()), (FaultKind::AlreadyExists, "ALREADY_EXISTS"));
        let broken = Status::with_details(Code::DataLoss, "lost", b"\xff\xff".as_slice().into());
        assert_eq!(fault_from_status(&broken).kind(), FaultKind::Internal);
    }

    #[test]
    fn a_status_fits_into_the_headers_that_any_peer_takes() {
        let field = json!({ "field": "ä".repeat(500), "message": "ö".repeat(5000) });
        let fault = Fault::invalid_argument("INVALID_INPUT", "ü".repeat(100_000))
            .with_details(Value::Array(vec![field; 1000]));
        let status = status_from_fault(&fault, &"i".repeat(128), "polyport");
        let mut headers = http::HeaderMap::new();
        status.add_header(&mut headers).expect("fits into headers");
        let size: usize = headers.iter().map(|(k, v)| k.as_str().len() + v.len() + 32).sum();
        assert!(size < 12 * 1024, "{size} bytes");
    }

    #[test]
    fn details_of_another_shape_are_no_fields() {
        for details in [json!({"a": 1}), json!([1, "x", {"field": 1}]), json!("x"), Value::Null] {
            let fault = Fault::invalid_argument("X", "x").with_details(details);
            let status = status_from_fault(&fault, "id", "polyport");
            assert!(status.get_details_bad_request().is_none());
        }
    }
}
