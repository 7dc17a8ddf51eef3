use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::Next;
use crate::operation::{Context, Fault, Reply};

/// Stands around a call: sees it before everything behind it, and the reply afterwards.
///
/// The same trait makes a middleware ([`Pipeline::middleware`](super::Pipeline::middleware)),
/// which stands around the guards and has a name, and an interceptor
/// ([`Pipeline::interceptor`](super::Pipeline::interceptor)), which stands between the guards and
/// the binding of the input.
///
/// # Examples
/// ```
/// use async_trait::async_trait;
/// use http::{HeaderName, HeaderValue};
/// use polyport_bootstrap::operation::{Context, Fault, Interceptor, Next, Reply};
///
/// struct Version;
///
/// #[async_trait]
/// impl Interceptor for Version {
///     async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
///         let reply = next.run(context).await?;
///         let name = HeaderName::from_static("x-version");
///         Ok(reply.with_header(name, HeaderValue::from_static("1")))
///     }
/// }
/// ```
#[async_trait]
pub trait Interceptor: Send + Sync + 'static {
    /// Handles the call. Without a call of [`Next::run`] nothing behind it is reached.
    ///
    /// # Errors
    /// Returns the fault that the call ends in.
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault>;
}

#[async_trait]
impl<F> Interceptor for F
where
    F: for<'a> Fn(&'a Context, Next<'a>) -> BoxFuture<'a, Result<Reply, Fault>>
        + Send
        + Sync
        + 'static,
{
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
        self(context, next).await
    }
}
