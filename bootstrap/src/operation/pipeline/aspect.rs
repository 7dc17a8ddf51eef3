use std::{any::Any, fmt, sync::Arc};

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::operation::{Context, Fault, Reply};

/// Stands around the bound call: its input is there by type, bound and validated, and the value
/// comes back before it is written. What Midway calls an aspect.
///
/// # Examples
/// ```
/// use async_trait::async_trait;
/// use polyport_bootstrap::operation::{Aspect, Context, Fault, Invocation, Reply};
///
/// struct Post { text: String }
///
/// /// Takes the blanks away from around every text that is posted.
/// struct Trim;
///
/// #[async_trait]
/// impl Aspect for Trim {
///     async fn around(
///         &self,
///         context: &Context,
///         mut invocation: Invocation<'_>,
///     ) -> Result<Reply, Fault> {
///         if let Some(post) = invocation.input_mut::<Post>() {
///             post.text = post.text.trim().to_owned();
///         }
///         invocation.proceed(context).await
///     }
/// }
/// ```
#[async_trait]
pub trait Aspect: Send + Sync + 'static {
    /// Handles the bound call. Without a call of [`Invocation::proceed`] the operation does not
    /// run.
    ///
    /// # Errors
    /// Returns the fault that the call ends in.
    async fn around(&self, context: &Context, invocation: Invocation<'_>) -> Result<Reply, Fault>;
}

/// A call whose input is bound, on its way to the operation.
pub struct Invocation<'a> {
    input: Box<dyn Any + Send>,
    rest: &'a [Arc<dyn Aspect>],
    target: &'a dyn Invoke,
}

/// An operation that takes its input by type.
pub(crate) trait Invoke: Send + Sync {
    fn invoke<'a>(
        &'a self,
        context: &'a Context,
        input: Box<dyn Any + Send>,
    ) -> BoxFuture<'a, Result<Reply, Fault>>;
}

impl<'a> Invocation<'a> {
    pub(crate) fn new(
        input: Box<dyn Any + Send>,
        rest: &'a [Arc<dyn Aspect>],
        target: &'a dyn Invoke,
    ) -> Self {
        Self { input, rest, target }
    }

    /// The input, if it is a `T`.
    #[must_use]
    pub fn input<T: 'static>(&self) -> Option<&T> {
        self.input.downcast_ref()
    }

    /// The input to be changed, if it is a `T`. Nobody validates it again.
    pub fn input_mut<T: 'static>(&mut self) -> Option<&mut T> {
        self.input.downcast_mut()
    }

    /// Goes on: to the next aspect, and at last to the operation.
    pub fn proceed(self, context: &'a Context) -> BoxFuture<'a, Result<Reply, Fault>> {
        match self.rest.split_first() {
            Some((next, rest)) => next.around(context, Self { rest, ..self }),
            None => self.target.invoke(context, self.input),
        }
    }
}

impl fmt::Debug for Invocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation").field("aspects_left", &self.rest.len()).finish()
    }
}
