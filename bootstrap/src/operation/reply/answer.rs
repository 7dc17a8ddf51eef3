use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// A value with a status and headers of its own.
///
/// HTTP sends both as they are; gRPC and AMQP send the headers as metadata and know no status of
/// success; WebSocket sends the value.
///
/// # Examples
/// ```
/// use http::{HeaderValue, StatusCode, header::LOCATION};
/// use polyport_bootstrap::operation::{Answer, Fault};
///
/// async fn create_user() -> Result<Answer<u64>, Fault> {
///     Ok(Answer::new(7)
///         .status(StatusCode::CREATED)
///         .header(LOCATION, HeaderValue::from_static("/users/7")))
/// }
/// # drop(create_user);
/// ```
#[derive(Debug, Clone)]
pub struct Answer<T> {
    value: T,
    status: Option<StatusCode>,
    headers: HeaderMap,
}

impl<T> Answer<T> {
    /// The value, so far with nothing else.
    pub fn new(value: T) -> Self {
        Self { value, status: None, headers: HeaderMap::new() }
    }

    /// Sets the status of success; one below 200 or above 399 is answered as an internal fault.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Takes it apart: the value, the status and the headers.
    pub fn into_parts(self) -> (T, Option<StatusCode>, HeaderMap) {
        (self.value, self.status, self.headers)
    }
}

/// An answer that says only that all went well: 204 on HTTP, whatever the envelope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoContent;
