//! Values and functions whose types only their registration knew.

use std::{any::Any, sync::Arc};

use futures_util::future::BoxFuture;

use super::Resolver;
use crate::Result;

/// An `Arc<T>`, `T` possibly a trait object, behind one type. Shared, so that a constructor can be
/// handed values that stand in no table.
pub(super) type Erased = Arc<dyn Any + Send + Sync>;

/// Builds a value out of what was declared for it.
pub(super) type Construct =
    Box<dyn Fn(Resolver) -> BoxFuture<'static, Result<Erased>> + Send + Sync>;

/// Disposes of a value.
pub(super) type Dispose = Arc<dyn Fn(&Erased) -> BoxFuture<'static, Result<()>> + Send + Sync>;

pub(super) fn erase<T: ?Sized + Send + Sync + 'static>(value: Arc<T>) -> Erased {
    Arc::new(value)
}

pub(super) fn reveal<T: ?Sized + Send + Sync + 'static>(erased: &Erased) -> Option<Arc<T>> {
    erased.downcast_ref::<Arc<T>>().map(Arc::clone)
}

pub(super) fn dispose_with<T, F, Fut>(dispose: F) -> Dispose
where
    T: ?Sized + Send + Sync + 'static,
    F: Fn(Arc<T>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    Arc::new(move |erased| match reveal(erased) {
        Some(value) => Box::pin(dispose(value)),
        None => Box::pin(async { Ok(()) }),
    })
}
