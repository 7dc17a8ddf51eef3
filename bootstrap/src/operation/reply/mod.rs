//! What a call is answered with, before a protocol writes it.

mod answer;
mod belonging;
mod bytes;
mod file;
mod into;
mod items;
mod media;
mod value;
mod write;

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

pub use self::{
    answer::{Answer, NoContent},
    bytes::{ByteStream, Raw},
    file::File,
    into::IntoReply,
    items::Items,
    value::Value,
};
use super::Fault;

/// What a call is answered with: a value that nothing is written of yet, with what stands around
/// it.
///
/// Operations return plain values or one of [`Answer`], [`Raw`], [`ByteStream`], [`Items`] and
/// [`NoContent`]; interceptors and middleware see the reply that these become.
pub struct Reply {
    status: Option<StatusCode>,
    headers: Option<Box<HeaderMap>>,
    body: ReplyBody,
}

/// The body of a [`Reply`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplyBody {
    /// Nothing at all.
    Empty,
    /// A value; on JSON protocols it stands in the envelope.
    Value(Value),
    /// Bytes as they are, in no envelope.
    Raw(Raw),
    /// Bytes that come bit by bit, in no envelope.
    Stream(ByteStream),
    /// Values one after the other.
    Items(Items<Value>),
    /// The framework that asked has the answer already: a mounted router's, say.
    Native,
}

impl Reply {
    /// A reply with this body.
    #[must_use]
    pub fn new(body: ReplyBody) -> Self {
        Self { status: None, headers: None, body }
    }

    /// A value that is written as JSON in the protocol's envelope.
    pub fn json<T: serde::Serialize + Send + 'static>(value: T) -> Self {
        Self::new(ReplyBody::Value(Value::json(value)))
    }

    /// Sets the status, where the protocol has one.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds a header: on gRPC metadata, on AMQP a header of the reply.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers_mut().append(name, value);
        self
    }

    /// The status, where one was set.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The headers that were set.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.headers.as_deref()
    }

    /// The headers, to be changed.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers.get_or_insert_default()
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &ReplyBody {
        &self.body
    }

    /// The value, if it is a `T`.
    #[must_use]
    pub fn value<T: 'static>(&self) -> Option<&T> {
        match &self.body {
            ReplyBody::Value(value) => value.downcast_ref(),
            _ => None,
        }
    }

    /// The reply with another body.
    #[must_use]
    pub fn with_body(mut self, body: ReplyBody) -> Self {
        self.body = body;
        self
    }

    /// Takes it apart: status, headers and body.
    #[must_use]
    pub fn into_parts(self) -> (Option<StatusCode>, Option<Box<HeaderMap>>, ReplyBody) {
        (self.status, self.headers, self.body)
    }

    /// Changes its value, which is a `T`, into another of the same type.
    ///
    /// # Errors
    /// Returns an internal fault where the reply's value is no `T`.
    pub fn map_value<T: serde::Serialize + Send + 'static>(
        self,
        change: impl FnOnce(T) -> T,
    ) -> Result<Self, Fault> {
        let (status, headers, body) = self.into_parts();
        let body = match body {
            ReplyBody::Value(value) => {
                ReplyBody::Value(Value::json(change(value.downcast().map_err(Fault::internal)?)))
            }
            body => body,
        };
        Ok(Self { status, headers, body })
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &self.body)
            .finish()
    }
}
