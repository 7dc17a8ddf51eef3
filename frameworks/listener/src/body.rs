//! The body of a response.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};

/// Any error that can be sent between tasks.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a [`Handler`](crate::Handler) answers with: nothing, bytes that are all there (which cost
/// no allocation), the same with trailers behind them, or a stream.
///
/// # Examples
/// ```
/// use http_body::Body;
/// use http_body_util::Full;
/// use polyport_listener::ResponseBody;
///
/// assert!(ResponseBody::empty().is_end_stream());
/// assert_eq!(ResponseBody::from("hello").size_hint().exact(), Some(5));
/// assert!(!ResponseBody::boxed(Full::from("streamed")).is_end_stream());
/// ```
#[derive(Default)]
pub struct ResponseBody(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    /// Never of length 0, which is `Empty`.
    Full(Bytes),
    /// Bytes, and what follows them; boxed, since no other answer should have room for it.
    Trailed(Bytes, Box<HeaderMap>),
    /// What follows bytes that were taken.
    Trailers(Box<HeaderMap>),
    Stream(UnsyncBoxBody<Bytes, BoxError>),
}

impl ResponseBody {
    /// A body without any bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// Bytes that are all there, and trailers (RFC 9110, section 6.5).
    #[must_use]
    pub fn with_trailers(bytes: Bytes, trailers: HeaderMap) -> Self {
        let trailers = Box::new(trailers);
        Self(match bytes.is_empty() {
            true => Kind::Trailers(trailers),
            false => Kind::Trailed(bytes, trailers),
        })
    }

    /// Takes any body: a stream, one with trailers, one of another library.
    pub fn boxed<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Kind::Stream(body.map_err(Into::into).boxed_unsync()))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Kind::Stream(body) = &mut self.0 {
            return Pin::new(body).poll_frame(cx);
        }
        match std::mem::take(&mut self.0) {
            Kind::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Kind::Trailed(bytes, trailers) => {
                self.0 = Kind::Trailers(trailers);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Trailers(trailers) => Poll::Ready(Some(Ok(Frame::trailers(*trailers)))),
            Kind::Empty | Kind::Stream(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) | Kind::Trailed(..) | Kind::Trailers(_) => false,
            Kind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            // hyper would make a content-length of it, which has no place before trailers.
            Kind::Trailed(..) | Kind::Trailers(_) => SizeHint::default(),
            Kind::Stream(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("ResponseBody(empty)"),
            Kind::Full(bytes) | Kind::Trailed(bytes, _) => {
                write!(f, "ResponseBody({} bytes)", bytes.len())
            }
            Kind::Trailers(_) => f.write_str("ResponseBody(trailers)"),
            Kind::Stream(_) => f.write_str("ResponseBody(stream)"),
        }
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self(if bytes.is_empty() { Kind::Empty } else { Kind::Full(bytes) })
    }
}

impl From<Vec<u8>> for ResponseBody {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for ResponseBody {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for ResponseBody {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}
