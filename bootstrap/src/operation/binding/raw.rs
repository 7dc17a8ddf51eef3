//! The input of a call before it is bound.

use bytes::Bytes;
use http::{HeaderMap, Uri};

use super::{BodyFormat, PathParams};
use crate::operation::Context;

/// Where the input of a call is, before it is bound. Its headers are the call's
/// [`metadata`](crate::operation::Call::metadata).
#[derive(Debug, Clone, Default)]
pub struct RawInput {
    /// The parameters of the route, percent-decoded.
    pub path: PathParams,
    /// The URI whose query holds further fields.
    pub uri: Uri,
    /// The body, as it came.
    pub body: Bytes,
    /// How the body is written.
    pub format: BodyFormat,
}

impl RawInput {
    /// The input of a protocol whose messages are JSON and nothing else.
    #[must_use]
    pub fn json(body: Bytes) -> Self {
        Self { body, ..Self::default() }
    }

    /// The encoded query, without its `?`.
    pub(super) fn query_text(&self) -> Option<&str> {
        self.uri.query()
    }

    /// Whether a JSON body is all there is.
    pub(super) fn is_json_alone(&self) -> bool {
        matches!(self.format, BodyFormat::Json)
            && self.path.is_empty()
            && self.query_text().is_none()
            && !self.body.is_empty()
    }
}

/// Everything that an input can be bound from.
///
/// # Examples
/// ```
/// use http::HeaderMap;
/// use polyport_bootstrap::operation::{Bind, RawInput, Unbound};
///
/// #[derive(serde::Deserialize, garde::Validate)]
/// struct Greet {
///     #[garde(length(min = 1))]
///     name: String,
/// }
///
/// let (input, metadata) = (RawInput::json(r#"{"name":"Tom"}"#.into()), HeaderMap::new());
/// let greet = Greet::bind(&Unbound::new(&input, &metadata))?;
/// assert_eq!(greet.name, "Tom");
/// # Ok::<(), polyport_bootstrap::Fault>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Unbound<'a> {
    /// Path, query and body.
    pub input: &'a RawInput,
    /// Headers, or what stands for them.
    pub metadata: &'a HeaderMap,
}

impl<'a> Unbound<'a> {
    /// The input and the headers of a call.
    #[must_use]
    pub fn new(input: &'a RawInput, metadata: &'a HeaderMap) -> Self {
        Self { input, metadata }
    }

    /// What a call brings.
    #[must_use]
    pub fn of(context: &'a Context) -> Self {
        Self::new(&context.input, &context.metadata)
    }
}
