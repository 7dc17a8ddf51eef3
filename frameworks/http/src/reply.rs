//! A reply → the bytes of a response.

use futures_util::StreamExt;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use polyport_bootstrap::operation::{ByteStream, Context, Fault, Raw, Reply, ReplyBody};
use polyport_listener::{BoxError, ResponseBody};

use crate::{
    adapter::{empty, respond},
    shell::Shell,
};

/// What most answers fit in; longer ones grow.
const ANSWER_CAPACITY: usize = 256;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The response of a call that went well; `status` is the route's own.
pub(crate) fn response(
    shell: &Shell,
    context: &Context,
    status: Option<StatusCode>,
    reply: Reply,
    is_head: bool,
) -> Result<Response<ResponseBody>, Fault> {
    let (own, headers, body) = reply.into_parts();
    let mut response = with_body(shell, context, own.or(status), body, is_head)?;
    if let Some(headers) = headers {
        response.headers_mut().extend(*headers);
    }
    Ok(response)
}

fn with_body(
    shell: &Shell,
    context: &Context,
    status: Option<StatusCode>,
    body: ReplyBody,
    is_head: bool,
) -> Result<Response<ResponseBody>, Fault> {
    let success = status.unwrap_or(StatusCode::OK);
    match body {
        ReplyBody::Raw(Raw { content_type, bytes }) if !has_no_body(success) => {
            Ok(respond(success, content_type, bytes.into(), is_head))
        }
        ReplyBody::Stream(stream) if !has_no_body(success) => {
            Ok(streamed(success, stream, is_head))
        }
        ReplyBody::Value(_) => {
            let mut out = Vec::with_capacity(ANSWER_CAPACITY);
            body.write_json(&*shell.envelope, context.request_id.as_str(), &mut out)?;
            // `()` in an envelope that adds nothing to it.
            let is_nothing = !body.has_value() && out == b"null";
            let default = if is_nothing { StatusCode::NO_CONTENT } else { StatusCode::OK };
            let status = status.unwrap_or(default);
            match is_nothing || has_no_body(status) {
                true => Ok(empty(status)),
                false => Ok(respond(status, JSON, out.into(), is_head)),
            }
        }
        _ => Ok(empty(status.unwrap_or(StatusCode::NO_CONTENT))),
    }
}

fn streamed(status: StatusCode, bytes: ByteStream, is_head: bool) -> Response<ResponseBody> {
    let mut response = respond(status, bytes.content_type, ResponseBody::empty(), false);
    if let Some(length) = bytes.length {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    if !is_head {
        let frames = bytes.stream.map(|bytes| match bytes {
            Ok(bytes) => Ok(Frame::data(bytes)),
            Err(fault) => Err(BoxError::from(fault.to_string())),
        });
        *response.body_mut() = ResponseBody::boxed(StreamBody::new(frames));
    }
    response
}

/// RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}
