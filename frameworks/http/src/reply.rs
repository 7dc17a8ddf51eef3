//! A reply → the bytes of a response.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body::Body;
use polyport_bootstrap::operation::{
    ByteStream, Context, Fault, Items, Raw, Reply, ReplyBody, Value,
};
use polyport_listener::{LongLived, ResponseBody};

use crate::{
    conditional::{self, Selected, Version},
    core::Core,
    refusal::describes_content,
    request::Head,
    stream::{BytesBody, Format, ItemsBody},
};

/// What most answers fit in; longer ones grow.
const ANSWER_CAPACITY: usize = 256;

/// The response of a call that went well; `status` is the route's own.
pub(crate) fn response(
    core: &Core,
    context: &Context,
    status: Option<StatusCode>,
    reply: Reply,
    is_head: bool,
) -> Result<Response<ResponseBody>, Fault> {
    let (own, headers, body) = reply.into_parts();
    let made = with_body(core, context, own.or(status), body, is_head);
    let Some(headers) = headers else { return made };
    match made {
        Ok(mut response) => {
            put(*headers, response.headers_mut(), is_head);
            Ok(response)
        }
        Err(fault) => Err(carried_over(&headers, fault)),
    }
}

/// Lets the reply's own headers win, but those that say where the body ends.
fn put(mut headers: HeaderMap, response: &mut HeaderMap, is_head: bool) {
    if !is_head {
        headers.remove(header::CONTENT_LENGTH);
    }
    headers.remove(header::TRANSFER_ENCODING);
    for (name, value) in std::mem::take(response) {
        match name {
            Some(header::VARY) => {
                headers.append(header::VARY, value);
            }
            Some(name) => {
                headers.entry(name).or_insert(value);
            }
            None => {}
        }
    }
    *response = headers;
}

/// Adds headers of middleware to the response of a mounted router, whose own ones win.
pub(crate) fn add_missing(headers: HeaderMap, response: &mut HeaderMap) {
    let mut name = None;
    for (next, value) in headers {
        let is_first = next.is_some();
        name = next.or(name);
        let Some(name) = &name else { continue };
        let adds_up = matches!(*name, header::VARY | header::SET_COOKIE);
        if adds_up || !is_first || !response.contains_key(name) {
            response.append(name.clone(), value);
        }
    }
}

/// What middleware has said stays said where the reply turns out to be a fault.
fn carried_over(headers: &HeaderMap, fault: Fault) -> Fault {
    let is_kept = |name: &HeaderName| !describes_content(name) && *name != header::LOCATION;
    let kept = headers.iter().filter(|(name, _)| is_kept(name));
    kept.fold(fault, |fault, (name, value)| fault.with_header(name.clone(), value.clone()))
}

fn with_body(
    core: &Core,
    context: &Context,
    status: Option<StatusCode>,
    body: ReplyBody,
    is_head: bool,
) -> Result<Response<ResponseBody>, Fault> {
    let success = status.unwrap_or(StatusCode::OK);
    match body {
        ReplyBody::Raw(Raw { content_type, bytes }) if !has_no_body(success) => {
            let mut response = core.blank.answer(success);
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
            Ok(whole(response, bytes.into(), is_head))
        }
        ReplyBody::Stream(stream) if !has_no_body(success) => {
            selected(core, context, success, stream, is_head)
        }
        ReplyBody::Items(items) if !has_no_body(success) => {
            Ok(itemised(core, context, success, items, is_head))
        }
        ReplyBody::Value(_) => {
            let mut out = Vec::with_capacity(ANSWER_CAPACITY);
            body.write_json(&*core.envelope, context.request_id.as_str(), &mut out)?;
            // `()` in an envelope that adds nothing to it.
            let is_nothing = !body.has_value() && out == b"null";
            let default = if is_nothing { StatusCode::NO_CONTENT } else { StatusCode::OK };
            let status = status.unwrap_or(default);
            match is_nothing || has_no_body(status) {
                true => Ok(core.blank.answer(status)),
                false => Ok(whole(core.blank.json(status), out.into(), is_head)),
            }
        }
        _ => Ok(core.blank.answer(status.unwrap_or(StatusCode::NO_CONTENT))),
    }
}

/// A body that is all there, which HEAD only measures.
fn whole(
    mut response: Response<ResponseBody>,
    body: ResponseBody,
    is_head: bool,
) -> Response<ResponseBody> {
    if !is_head {
        *response.body_mut() = body;
    } else if let Some(length) = body.size_hint().exact() {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    response
}

/// Bytes, or what of them the client asks for.
fn selected(
    core: &Core,
    context: &Context,
    status: StatusCode,
    bytes: ByteStream,
    is_head: bool,
) -> Result<Response<ResponseBody>, Fault> {
    let length = bytes.seekable_length();
    let version = Version { etag: bytes.etag(), last_modified: bytes.last_modified(), length };
    let method = context.extension::<Head>().map_or(&Method::GET, |head| &head.method);
    let selected = match status {
        StatusCode::OK => conditional::select(method, &context.metadata, version),
        _ => Selected::Whole,
    };
    let (about, content_type) = (described(version), bytes.content_type.clone());
    let mut response = match (selected, length) {
        (Selected::NotModified, _) => {
            let mut response = core.blank.answer(StatusCode::NOT_MODIFIED);
            response.headers_mut().extend(about);
            return Ok(response);
        }
        (Selected::PreconditionFailed, _) => return Err(another_version()),
        (Selected::Unsatisfiable, length) => return Err(too_short(length.unwrap_or_default())),
        (Selected::Part(range), Some(length)) => {
            let place = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            let part = bytes.part(range);
            let mut response = streamed(core, context, StatusCode::PARTIAL_CONTENT, part, is_head);
            let place =
                HeaderValue::try_from(place).unwrap_or(HeaderValue::from_static("bytes */*"));
            response.headers_mut().insert(header::CONTENT_RANGE, place);
            response
        }
        _ => streamed(core, context, status, bytes, is_head),
    };
    response.headers_mut().extend(about);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}

fn described(version: Version<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(etag) = version.etag {
        headers.insert(header::ETAG, etag.clone());
    }
    let text = version.last_modified.filter(|at| {
        // What lies outside of the years that the format knows is left out.
        at.duration_since(UNIX_EPOCH)
            .is_ok_and(|since| since < Duration::from_secs(253_402_300_800))
    });
    if let Some(Ok(value)) = text.map(|at| HeaderValue::try_from(httpdate::fmt_http_date(at))) {
        headers.insert(header::LAST_MODIFIED, value);
    }
    if version.length.is_some() {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    headers
}

fn another_version() -> Fault {
    let message = "it is not the version that the request means any more";
    Fault::failed_precondition("PRECONDITION_FAILED", message)
}

fn too_short(length: u64) -> Fault {
    let message =
        format!("there are {length} bytes, and the part that is asked for has none of them");
    let range = HeaderValue::try_from(format!("bytes */{length}"));
    Fault::invalid_argument("RANGE_NOT_SATISFIABLE", message)
        .with_status(StatusCode::RANGE_NOT_SATISFIABLE.as_u16())
        .with_header(header::CONTENT_RANGE, range.unwrap_or(HeaderValue::from_static("bytes */*")))
}

fn streamed(
    core: &Core,
    context: &Context,
    status: StatusCode,
    bytes: ByteStream,
    is_head: bool,
) -> Response<ResponseBody> {
    let mut response = core.blank.answer(status);
    if let Some(length) = bytes.length {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    if !is_head {
        *response.body_mut() = ResponseBody::boxed(BytesBody::new(core, context, bytes));
    }
    response
}

fn itemised(
    core: &Core,
    context: &Context,
    status: StatusCode,
    items: Items<Value>,
    is_head: bool,
) -> Response<ResponseBody> {
    let format = Format::accepted(&context.metadata);
    let mut response = core.blank.answer(status);
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that gather answers would hold events back.
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    headers.insert(header::CONTENT_TYPE, format.content_type());
    if !is_head {
        response.extensions_mut().insert(LongLived);
        *response.body_mut() = ResponseBody::boxed(ItemsBody::new(core, context, items, format));
    }
    response
}

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}
