//! Values and functions whose types only their registration knew.

use std::{any::Any, fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::Resolver;
use crate::Result;

/// An `Arc<T>`, `T` possibly a trait object, behind one type.
#[derive(Clone)]
pub struct Erased(Kind);

#[derive(Clone)]
enum Kind {
    /// The `Arc` as it is: what is built for a call costs no more than itself.
    Own(Arc<dyn Shared>),
    /// Where `T` may be a trait object.
    Handle(Handle),
}

/// An `Arc<T>` behind another: what is read fastest, for what is built once and read by every call.
pub(super) type Handle = Arc<dyn Any + Send + Sync>;

impl Erased {
    pub(super) fn into_handle(self) -> Handle {
        match self.0 {
            Kind::Own(value) => value.handle(),
            Kind::Handle(handle) => handle,
        }
    }
}

#[cfg(any(test, feature = "testing"))]
impl Erased {
    /// Sees how many hold the value, and does not hold it itself.
    pub(super) fn watch(&self) -> Option<Watch> {
        match &self.0 {
            Kind::Own(value) => Some(Watch(Arc::downgrade(value))),
            Kind::Handle(_) => None,
        }
    }
}

/// A value that was built, in the eyes of somebody who does not hold it.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone)]
pub(super) struct Watch(std::sync::Weak<dyn Shared>);

#[cfg(any(test, feature = "testing"))]
impl Watch {
    pub(super) fn holders(&self) -> usize {
        self.0.strong_count()
    }
}

impl From<&Handle> for Erased {
    fn from(handle: &Handle) -> Self {
        Self(Kind::Handle(Arc::clone(handle)))
    }
}

impl fmt::Debug for Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Erased")
    }
}

/// A value that gives itself to whoever knows its type.
trait Shared: Send + Sync {
    /// Puts itself into `place`, if that is an `Option<Arc<Self>>`.
    fn put(self: Arc<Self>, place: &mut dyn Any);

    /// An `Arc` of its `Arc`.
    fn handle(self: Arc<Self>) -> Handle;
}

impl<T: Send + Sync + 'static> Shared for T {
    fn put(self: Arc<Self>, place: &mut dyn Any) {
        if let Some(place) = place.downcast_mut() {
            *place = Some(self);
        }
    }

    fn handle(self: Arc<Self>) -> Handle {
        Arc::new(self)
    }
}

/// Builds a value out of what was declared for it.
pub(super) enum Construct {
    /// Without waiting, so that there is no future to keep.
    Now(Box<dyn Fn(Resolver<'_>) -> Result<Erased> + Send + Sync>),
    /// In a future.
    Later(Box<dyn for<'a> Fn(Resolver<'a>) -> Building<'a> + Send + Sync>),
}

/// A value that is being built.
pub(super) type Building<'a> = BoxFuture<'a, Result<Erased>>;

impl Construct {
    pub(super) fn now<F>(construct: F) -> Self
    where
        F: Fn(Resolver<'_>) -> Result<Erased> + Send + Sync + 'static,
    {
        Self::Now(Box::new(construct))
    }

    pub(super) fn later<F>(construct: F) -> Self
    where
        F: for<'a> Fn(Resolver<'a>) -> Building<'a> + Send + Sync + 'static,
    {
        Self::Later(Box::new(construct))
    }

    pub(super) async fn run(&self, resolver: Resolver<'_>) -> Result<Erased> {
        match self {
            Self::Now(construct) => construct(resolver),
            Self::Later(construct) => construct(resolver).await,
        }
    }
}

/// Disposes of a value.
pub(super) type Dispose = Arc<dyn Fn(Erased) -> BoxFuture<'static, Result<()>> + Send + Sync>;

pub(super) fn building<'a, T: Send + Sync + 'static>(
    value: impl Future<Output = Result<T>> + Send + 'a,
) -> Building<'a> {
    Box::pin(async { value.await.map(|value| erase(Arc::new(value))) })
}

pub(super) fn erase<T: Send + Sync + 'static>(value: Arc<T>) -> Erased {
    Erased(Kind::Own(value))
}

pub(super) fn erase_view<T: ?Sized + Send + Sync + 'static>(value: Arc<T>) -> Erased {
    Erased(Kind::Handle(handle(value)))
}

pub(super) fn handle<T: ?Sized + Send + Sync + 'static>(value: Arc<T>) -> Handle {
    Arc::new(value)
}

#[inline]
pub(super) fn reveal<T: ?Sized + Send + Sync + 'static>(handle: &Handle) -> Option<Arc<T>> {
    handle.downcast_ref().map(Arc::clone)
}

#[inline]
pub(super) fn take<T: ?Sized + Send + Sync + 'static>(erased: Erased) -> Option<Arc<T>> {
    match erased.0 {
        Kind::Handle(handle) => reveal(&handle),
        Kind::Own(value) => {
            let mut place = None;
            value.put(&mut place);
            place
        }
    }
}

pub(super) fn dispose_with<T, F, Fut>(dispose: F) -> Dispose
where
    T: ?Sized + Send + Sync + 'static,
    F: Fn(Arc<T>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    Arc::new(move |erased| match take(erased) {
        Some(value) => Box::pin(dispose(value)),
        None => Box::pin(async { Ok(()) }),
    })
}
