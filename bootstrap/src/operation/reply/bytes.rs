use std::{fmt, ops::Range, time::SystemTime};

use bytes::Bytes;
use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use http::HeaderValue;

use super::belonging::belonging;
use crate::operation::{Context, Fault};

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
/// HTTP sends them as they come, and only a part of them where that can be had and is asked for
/// ([`seekable`](Self::seekable)). The other protocols have no such thing: there they are
/// collected, and become what [`Raw`] is.
pub struct ByteStream {
    /// What they are.
    pub content_type: HeaderValue,
    /// How many there are, where that is known.
    pub length: Option<u64>,
    /// The bytes; a fault ends them, and the connection with them.
    pub stream: BoxStream<'static, Result<Bytes, Fault>>,
    source: Option<Box<Source>>,
}

/// Where the bytes come from, as far as that is known.
#[derive(Default)]
struct Source {
    open: Option<Open>,
    etag: Option<HeaderValue>,
    last_modified: Option<SystemTime>,
}

type Open = Box<dyn Fn(Range<u64>) -> BoxStream<'static, Result<Bytes, Fault>> + Send>;

impl ByteStream {
    /// Bytes of this content type, from a stream.
    pub fn new<S, E>(content_type: &str, stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Fault>,
    {
        let stream = stream.map(|bytes| bytes.map_err(Into::into)).boxed();
        Self { content_type: header(content_type), length: None, stream, source: None }
    }

    /// `length` bytes of which any part can be had: `open` gives it, from the first byte's
    /// position up to, and not with, the last one. It should do nothing before its stream is
    /// polled, since parts are opened that nobody reads.
    ///
    /// # Examples
    /// ```
    /// use bytes::Bytes;
    /// use futures_util::stream;
    /// use polyport_bootstrap::operation::{ByteStream, Fault};
    ///
    /// async fn recording() -> Result<ByteStream, Fault> {
    ///     let bytes = Bytes::from_static(b"a long recording");
    ///     Ok(ByteStream::seekable("audio/ogg", bytes.len() as u64, move |range| {
    ///         let part = bytes.slice(range.start as usize..range.end as usize);
    ///         stream::iter([Ok::<_, Fault>(part)])
    ///     }))
    /// }
    /// # drop(recording);
    /// ```
    pub fn seekable<S, E>(
        content_type: &str,
        length: u64,
        open: impl Fn(Range<u64>) -> S + Send + 'static,
    ) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Fault>,
    {
        let open: Open =
            Box::new(move |range| open(range).map(|bytes| bytes.map_err(Into::into)).boxed());
        let stream = open(0..length);
        let mut bytes = Self::new(content_type, stream).length(length);
        bytes.source().open = Some(open);
        bytes
    }

    /// Sets what this version of the bytes is known by: an entity tag with its quotes (RFC 9110,
    /// section 8.8.3), which HTTP sends and compares.
    #[must_use]
    pub fn with_etag(mut self, etag: HeaderValue) -> Self {
        self.source().etag = Some(etag);
        self
    }

    /// Sets when the bytes were changed, which HTTP sends and compares.
    #[must_use]
    pub fn with_last_modified(mut self, at: SystemTime) -> Self {
        self.source().last_modified = Some(at);
        self
    }

    /// What this version of the bytes is known by.
    #[must_use]
    pub fn etag(&self) -> Option<&HeaderValue> {
        self.source.as_ref()?.etag.as_ref()
    }

    /// When the bytes were changed.
    #[must_use]
    pub fn last_modified(&self) -> Option<SystemTime> {
        self.source.as_ref()?.last_modified
    }

    /// Whether a part of the bytes can be had, and how many there are.
    #[must_use]
    pub fn seekable_length(&self) -> Option<u64> {
        self.source.as_ref()?.open.as_ref().and(self.length)
    }

    /// Only this part of the bytes, where one can be had; else all of them.
    #[must_use]
    pub fn part(mut self, range: Range<u64>) -> Self {
        let open = self.source.as_ref().and_then(|source| source.open.as_ref());
        let Some(part) = open.map(|open| open(range.clone())) else { return self };
        self.stream = part;
        self.length = Some(range.end.saturating_sub(range.start));
        self
    }

    pub(super) fn belong_to(&mut self, call: &Context) {
        let stream = std::mem::replace(&mut self.stream, stream::empty().boxed());
        self.stream = belonging(stream, call);
        let open = self.source.as_mut().and_then(|source| source.open.as_mut());
        let Some(open) = open else { return };
        let (inner, call) =
            (std::mem::replace(open, Box::new(|_| stream::empty().boxed())), call.clone());
        *open = Box::new(move |range| belonging(call.enter(|| inner(range)), &call));
    }

    fn source(&mut self) -> &mut Source {
        self.source.get_or_insert_default()
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

pub(super) fn header(content_type: &str) -> HeaderValue {
    HeaderValue::from_str(content_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
