use std::{error::Error as StdError, marker::PhantomData};

use async_trait::async_trait;

use crate::operation::{Context, Fault, Reply};

/// Decides what a caller gets for errors of one type, wherever behind the middleware they come
/// from. What Nest calls an exception filter.
///
/// Those of the operation are asked first, then those of its controller, module, framework and the
/// application. The first that answers decides.
///
/// # Examples
/// ```
/// use async_trait::async_trait;
/// use polyport_bootstrap::operation::{Context, Fault, FaultFilter, Reply};
///
/// /// Files that are missing are not found; what else goes wrong with them stays internal.
/// struct MissingFiles;
///
/// #[async_trait]
/// impl FaultFilter for MissingFiles {
///     type Error = std::io::Error;
///
///     async fn filter(
///         &self,
///         _: &Context,
///         error: &std::io::Error,
///         _: &Fault,
///     ) -> Option<Result<Reply, Fault>> {
///         let is_missing = error.kind() == std::io::ErrorKind::NotFound;
///         is_missing.then(|| Err(Fault::not_found("NO_SUCH_FILE", "there is no such file")))
///     }
/// }
/// ```
#[async_trait]
pub trait FaultFilter: Send + Sync + 'static {
    /// The type of the errors that it is for: a fault that has one of them in the chain of its
    /// sources is shown to it. [`struct@Fault`] itself is in none: a filter of [`AnyError`] sees all.
    type Error: FilteredError;

    /// Answers the call otherwise, or leaves it (`None`) to the next filter.
    async fn filter(
        &self,
        context: &Context,
        error: &Self::Error,
        fault: &Fault,
    ) -> Option<Result<Reply, Fault>>;
}

/// The error of a [`FaultFilter`] that every fault is shown to.
#[derive(Debug)]
pub struct AnyError(());

static ANY: AnyError = AnyError(());

/// What a [`FaultFilter`] can be for: an error type, or [`AnyError`].
pub trait FilteredError: Send + Sync + 'static {
    /// Finds it in a fault.
    fn find(fault: &Fault) -> Option<&Self>;
}

impl FilteredError for AnyError {
    fn find(_: &Fault) -> Option<&Self> {
        Some(&ANY)
    }
}

impl<E: StdError + Send + Sync + 'static> FilteredError for E {
    fn find(fault: &Fault) -> Option<&Self> {
        fault.find_source()
    }
}

/// A filter of whatever type of error.
#[async_trait]
pub trait AnyFilter: Send + Sync + 'static {
    /// Answers the call otherwise, or leaves it.
    async fn apply(&self, context: &Context, fault: &Fault) -> Option<Result<Reply, Fault>>;
}

pub(super) struct OfType<F>(pub(super) F);

#[async_trait]
impl<F: FaultFilter> AnyFilter for OfType<F> {
    async fn apply(&self, context: &Context, fault: &Fault) -> Option<Result<Reply, Fault>> {
        self.0.filter(context, F::Error::find(fault)?, fault).await
    }
}

/// A function of error, fault and context as a filter.
pub(super) struct Function<E, F>(F, PhantomData<fn(E)>);

impl<E, F> Function<E, F> {
    pub(super) fn new(filter: F) -> Self {
        Self(filter, PhantomData)
    }
}

#[async_trait]
impl<E, F> AnyFilter for Function<E, F>
where
    E: FilteredError,
    F: Fn(&E, &Fault) -> Option<Fault> + Send + Sync + 'static,
{
    async fn apply(&self, _: &Context, fault: &Fault) -> Option<Result<Reply, Fault>> {
        (self.0)(E::find(fault)?, fault).map(Err)
    }
}

#[async_trait]
impl<F: FaultFilter> FaultFilter for std::sync::Arc<F> {
    type Error = F::Error;

    async fn filter(
        &self,
        context: &Context,
        error: &F::Error,
        fault: &Fault,
    ) -> Option<Result<Reply, Fault>> {
        (**self).filter(context, error, fault).await
    }
}
