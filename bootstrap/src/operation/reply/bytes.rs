use std::fmt;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use http::HeaderValue;

use crate::operation::Fault;

/// Bytes as they are, in no envelope, with their content type.
///
/// WebSocket frames and replies that are JSON hold text as a string and all else in base64; gRPC
/// wants a message that is `From<Raw>`.
///
/// # Examples
/// ```
/// use polyport_bootstrap::operation::{Fault, Raw};
///
/// async fn export() -> Result<Raw, Fault> {
///     Ok(Raw::new("text/csv", "id,name\n7,Tom\n"))
/// }
/// # drop(export);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// What they are (RFC 9110, section 8.3).
    pub content_type: HeaderValue,
    /// The bytes.
    pub bytes: Bytes,
}

impl Raw {
    /// Bytes of this content type; one that no header can hold becomes
    /// `application/octet-stream`.
    pub fn new(content_type: &str, bytes: impl Into<Bytes>) -> Self {
        Self { content_type: header(content_type), bytes: bytes.into() }
    }
}

/// Bytes that come bit by bit, in no envelope.
///
/// HTTP sends them as they come. The other protocols have no such thing: there they are collected,
/// and become what [`Raw`] is.
pub struct ByteStream {
    /// What they are.
    pub content_type: HeaderValue,
    /// How many there are, where that is known.
    pub length: Option<u64>,
    /// The bytes; a fault ends them, and the connection with them.
    pub stream: BoxStream<'static, Result<Bytes, Fault>>,
}

impl ByteStream {
    /// Bytes of this content type, from a stream.
    pub fn new<S, E>(content_type: &str, stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Fault>,
    {
        let stream = stream.map(|bytes| bytes.map_err(Into::into)).boxed();
        Self { content_type: header(content_type), length: None, stream }
    }

    /// All the bytes at once, of which there may be `limit`.
    ///
    /// # Errors
    /// Returns the stream's fault, and an internal one where there are more.
    pub async fn collect(mut self, limit: usize) -> Result<Raw, Fault> {
        let mut all = bytes::BytesMut::new();
        while let Some(bytes) = self.stream.next().await {
            let bytes = bytes?;
            if all.len() + bytes.len() > limit {
                let error = crate::Error::other(format!("the reply is longer than {limit} bytes"))
                    .advise("stream it over HTTP, or send it in pieces");
                return Err(Fault::internal(error));
            }
            all.extend_from_slice(&bytes);
        }
        Ok(Raw { content_type: self.content_type, bytes: all.freeze() })
    }

    /// Says how many bytes there are.
    #[must_use]
    pub fn length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream")
            .field("content_type", &self.content_type)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

fn header(content_type: &str) -> HeaderValue {
    HeaderValue::from_str(content_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
