//! Compression of answers (RFC 9110, section 8.4).

use std::io;

use async_compression::{
    Level,
    tokio::bufread::{
        BrotliDecoder, BrotliEncoder, GzipDecoder, GzipEncoder, ZstdDecoder, ZstdEncoder,
    },
    zstd::DParameter,
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use garde::Validate;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::{BodyDataStream, StreamBody};
use polyport_listener::{LongLived, ResponseBody};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::{
    body::RequestBody,
    encoding::{self, Coding},
};

/// The section `http.compression`: whether answers are compressed for those who take that, and bodies
/// of requests may be. Off by default: a proxy may do it better, and an answer that repeats what a
/// stranger has sent beside a secret gives the secret away by its length (BREACH).
///
/// Compressed is what is text at heart (text, JSON, XML, JavaScript, WebAssembly, SVG), long enough,
/// and not coded already; no part of a file, no stream of events or items, and nothing that says
/// `Cache-Control: no-transform`. Such answers say `Vary: accept-encoding`, and their `ETag` is weak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default)]
#[garde(allow_unvalidated)]
pub struct CompressionSettings {
    /// Whether answers are compressed; default false.
    pub enabled: bool,
    /// The shortest answer that is compressed, in bytes; default 1024. One whose length nobody knows
    /// is compressed.
    pub min_size: u64,
    /// The codings, the best first: `zstd`, `br` and `gzip`; default all, in this order. Where a
    /// client likes one better, it gets that one.
    #[garde(length(min = 1))]
    pub codings: Vec<CompressionCoding>,
    /// Whether the bodies of requests to operations may come compressed; default false, and such a
    /// body is answered with 415. What comes out of it is limited by `body_limit`, so that a small
    /// body that becomes a large one is answered with 413.
    pub requests: bool,
}

/// A coding of `http.compression.codings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CompressionCoding {
    /// Zstandard (RFC 8878): the fastest.
    Zstd,
    /// Brotli (RFC 7932): what most browsers take.
    Br,
    /// gzip (RFC 1952): what everybody takes.
    Gzip,
}

impl Default for CompressionSettings {
    fn default() -> Self {
        let codings = vec![CompressionCoding::Zstd, CompressionCoding::Br, CompressionCoding::Gzip];
        Self { enabled: false, min_size: 1024, codings, requests: false }
    }
}

impl From<CompressionCoding> for Coding {
    fn from(coding: CompressionCoding) -> Self {
        match coding {
            CompressionCoding::Zstd => Self::Zstd,
            CompressionCoding::Br => Self::Brotli,
            CompressionCoding::Gzip => Self::Gzip,
        }
    }
}

/// Compresses answers.
#[derive(Debug)]
pub(crate) struct Compression {
    min_size: u64,
    codings: Vec<Coding>,
}

impl Compression {
    /// None where nothing is compressed.
    pub(crate) fn new(settings: &CompressionSettings) -> Option<Self> {
        let mut codings: Vec<Coding> = Vec::new();
        for coding in settings.codings.iter().map(|coding| Coding::from(*coding)) {
            if !codings.contains(&coding) {
                codings.push(coding);
            }
        }
        settings.enabled.then_some(Self { min_size: settings.min_size, codings })
    }

    /// The coding for whoever sends these headers.
    pub(crate) fn coding_for(&self, request: &HeaderMap) -> Option<Coding> {
        encoding::accepted(request, &self.codings).next()
    }

    /// Compresses an answer, where that is worth it.
    pub(crate) fn compress(
        &self,
        response: Response<ResponseBody>,
        coding: Option<Coding>,
    ) -> Response<ResponseBody> {
        let (mut head, body) = response.into_parts();
        let headers = &mut head.headers;
        if head.status == StatusCode::NOT_MODIFIED {
            // It stands for an answer that would say so.
            headers.append(header::VARY, VARY);
        }
        let is_whole = head.status != StatusCode::PARTIAL_CONTENT
            && head.status != StatusCode::SWITCHING_PROTOCOLS
            && head.extensions.get::<LongLived>().is_none();
        if !is_whole || !is_compressible(headers) || !self.is_long(headers, &body) {
            return Response::from_parts(head, body);
        }
        headers.append(header::VARY, VARY);
        let Some(coding) = coding else { return Response::from_parts(head, body) };
        headers.insert(header::CONTENT_ENCODING, coding.header());
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::ACCEPT_RANGES);
        weaken(headers);
        let body = if body.is_end_stream() { body } else { encoded(body, coding) };
        Response::from_parts(head, body)
    }

    fn is_long(&self, headers: &HeaderMap, body: &ResponseBody) -> bool {
        let announced = headers.get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        let length = announced.or_else(|| body.size_hint().exact());
        length.is_none_or(|length: u64| length > 0 && length >= self.min_size)
    }
}

const VARY: HeaderValue = HeaderValue::from_static("accept-encoding");

/// Whether the answer is of a kind that compressing makes shorter, and that may be changed.
fn is_compressible(headers: &HeaderMap) -> bool {
    let may_change = headers.get(header::CACHE_CONTROL).is_none_or(|value| {
        let value = value.to_str().unwrap_or_default();
        !value.split(',').any(|part| part.trim().eq_ignore_ascii_case("no-transform"))
    });
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    may_change
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_RANGE)
        && content_type.is_some_and(is_text_at_heart)
}

fn is_text_at_heart(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("text", "event-stream")) | None => false,
        Some(("text", _)) => true,
        Some((_, subtype)) => {
            subtype.ends_with("+json")
                || subtype.ends_with("+xml")
                || matches!(
                    subtype,
                    "json" | "jsonl" | "xml" | "javascript" | "wasm" | "x-ndjson" | "yaml" | "toml"
                )
        }
    }
}

/// What is compressed is not the same bytes any more (RFC 9110, section 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    let Some(etag) = headers.get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"))
    else {
        return;
    };
    match HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat()) {
        Ok(weak) => headers.insert(header::ETAG, weak),
        Err(_) => headers.remove(header::ETAG),
    };
}

/// What is between speed and size for answers that are made on the fly.
const BROTLI: Level = Level::Precise(4);

fn encoded(body: ResponseBody, coding: Coding) -> ResponseBody {
    let reader = StreamReader::new(BodyDataStream::new(body).map_err(io::Error::other));
    match coding {
        Coding::Gzip => streamed(GzipEncoder::with_quality(reader, Level::Default)),
        Coding::Brotli => streamed(BrotliEncoder::with_quality(reader, BROTLI)),
        Coding::Zstd => streamed(ZstdEncoder::with_quality(reader, Level::Default)),
    }
}

/// The body of a request, decompressed as it is read.
pub(crate) fn decoded(body: impl RequestBody, coding: Coding) -> ResponseBody {
    // An error of I/O hides what it is made of; this one leads to it.
    let pieces = BodyDataStream::new(body).map_err(|e| io::Error::other(axum::Error::new(e)));
    let reader = StreamReader::new(pieces);
    match coding {
        Coding::Gzip => {
            let mut decoder = GzipDecoder::new(reader);
            decoder.multiple_members(true);
            streamed(decoder)
        }
        Coding::Brotli => streamed(BrotliDecoder::new(reader)),
        Coding::Zstd => {
            let window = DParameter::window_log_max(LARGEST_WINDOW);
            let mut decoder = ZstdDecoder::with_params(reader, &[window]);
            decoder.multiple_members(true);
            streamed(decoder)
        }
    }
}

/// How much of what it has written a sender of Zstandard may refer to, as a power of two: 8 MiB
/// (RFC 9659). It is the memory that a decoder takes at once.
const LARGEST_WINDOW: u32 = 23;

fn streamed(reader: impl AsyncRead + Send + 'static) -> ResponseBody {
    let pieces = ReaderStream::with_capacity(reader, 16 * 1024);
    ResponseBody::boxed(StreamBody::new(frames(pieces)))
}

fn frames(
    pieces: impl Stream<Item = io::Result<Bytes>>,
) -> impl Stream<Item = io::Result<Frame<Bytes>>> {
    pieces.map_ok(Frame::data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_text_at_heart_is_told_by_its_type() {
        for yes in [
            "text/html; charset=utf-8",
            "application/json",
            "application/problem+json",
            "image/svg+xml",
            "Application/JavaScript",
            "application/wasm",
        ] {
            assert!(is_text_at_heart(yes), "{yes}");
        }
        for no in ["image/png", "text/event-stream", "application/zip", "video/mp4", "json", ""] {
            assert!(!is_text_at_heart(no), "{no}");
        }
    }
}
