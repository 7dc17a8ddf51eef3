//! Where a stage comes from: given as a value, taken from the container, or made of its options.

use std::{
    any::Any,
    borrow::Cow,
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::BoxFuture;

use super::{AnyFilter, Aspect, FaultFilter, Guard, Interceptor, filter};
use crate::{
    Result,
    config::Config,
    container::{Container, Dependency, Key},
    operation::Exposure,
};

/// Where the thing itself comes from.
pub struct Supply<D: ?Sized>(Arc<dyn Supplier<D>>);

/// What a stage is made of, and for.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) container: &'a Container,
    pub(crate) config: &'a Config,
    pub(crate) exposure: &'a Exposure,
    pub(crate) made: &'a MadeOnce,
}

/// What was made already for other operations, by the address of whoever makes it.
#[derive(Default)]
pub(crate) struct MadeOnce(Mutex<HashMap<usize, Box<dyn Any + Send>>>);

impl MadeOnce {
    fn get_or_make<D: ?Sized + Send + Sync + 'static>(
        &self,
        by: usize,
        make: impl FnOnce() -> Result<Arc<D>>,
    ) -> Result<Arc<D>> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(&by).and_then(|known| known.downcast_ref::<Arc<D>>()) {
            return Ok(Arc::clone(known));
        }
        let value = make()?;
        made.insert(by, Box::new(Arc::clone(&value)));
        Ok(value)
    }
}

trait Supplier<D: ?Sized>: Send + Sync {
    fn dependencies(&self) -> Vec<Dependency> {
        Vec::new()
    }

    /// None where it does not stand around this operation.
    fn supply<'a>(&'a self, site: Site<'a>) -> BoxFuture<'a, Result<Option<Arc<D>>>>;
}

impl<D: ?Sized> Clone for Supply<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D: ?Sized> fmt::Debug for Supply<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Supply")
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

struct Given<D: ?Sized>(Arc<D>);

impl<D: ?Sized + Send + Sync> Supplier<D> for Given<D> {
    fn supply<'a>(&'a self, _: Site<'a>) -> BoxFuture<'a, Result<Option<Arc<D>>>> {
        ready(Ok(Some(Arc::clone(&self.0))))
    }
}

struct FromContainer<T, D: ?Sized>(fn(Arc<T>) -> Arc<D>);

impl<T: Send + Sync + 'static, D: ?Sized + 'static> Supplier<D> for FromContainer<T, D> {
    fn dependencies(&self) -> Vec<Dependency> {
        vec![Dependency::required(Key::of::<T>())]
    }

    fn supply<'a>(&'a self, site: Site<'a>) -> BoxFuture<'a, Result<Option<Arc<D>>>> {
        Box::pin(async move { site.container.get::<T>().await.map(self.0).map(Some) })
    }
}

/// Made once, for all operations.
struct Shared<F>(F);

impl<F, D: ?Sized + Send + Sync + 'static> Supplier<D> for Shared<F>
where
    F: Fn(&Config) -> Result<Arc<D>> + Send + Sync,
{
    fn supply<'a>(&'a self, site: Site<'a>) -> BoxFuture<'a, Result<Option<Arc<D>>>> {
        let by = std::ptr::from_ref(self).addr();
        ready(site.made.get_or_make(by, || (self.0)(site.config)).map(Some))
    }
}

/// Made for each operation that it stands around.
struct Each<F>(F);

impl<F, D: ?Sized + Send + Sync + 'static> Supplier<D> for Each<F>
where
    F: Fn(&Config, &Exposure) -> Result<Option<Arc<D>>> + Send + Sync,
{
    fn supply<'a>(&'a self, site: Site<'a>) -> BoxFuture<'a, Result<Option<Arc<D>>>> {
        ready((self.0)(site.config, site.exposure))
    }
}

impl<D: ?Sized + Send + Sync + 'static> Supply<D> {
    pub(super) fn given(value: Arc<D>) -> Self {
        Self(Arc::new(Given(value)))
    }

    /// Makes it from the complete configuration, once for all operations.
    pub(super) fn shared(make: impl Fn(&Config) -> Result<Arc<D>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared(make)))
    }

    /// Makes it from the complete configuration for each operation that is to have it.
    pub(super) fn each(
        make: impl Fn(&Config, &Exposure) -> Result<Option<Arc<D>>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Each(make)))
    }
}

impl<D: ?Sized> Supply<D> {
    pub(super) async fn get(&self, site: Site<'_>) -> Result<Option<Arc<D>>> {
        self.0.supply(site).await
    }

    pub(super) fn dependencies(&self) -> Vec<Dependency> {
        self.0.dependencies()
    }
}

/// Stands for a guard, interceptor, aspect or fault filter that the container provides.
///
/// # Examples
/// ```
/// # extern crate polyport_bootstrap as polyport;
/// use async_trait::async_trait;
/// use polyport::{Provide, operation::{Context, Fault, Guard, Pipeline, injected}};
///
/// #[derive(Provide)]
/// struct LoggedIn;
///
/// #[async_trait]
/// impl Guard for LoggedIn {
///     async fn check(&self, _: &Context) -> Result<(), Fault> {
///         Ok(())
///     }
/// }
///
/// let pipeline = Pipeline::new().guard(injected::<LoggedIn>());
/// # drop(pipeline);
/// ```
#[derive(Debug)]
pub struct Injected<T>(std::marker::PhantomData<fn() -> T>);

/// What the container provides as `T`: built with the singletons, checked as part of the graph.
#[must_use]
pub fn injected<T: Send + Sync + 'static>() -> Injected<T> {
    Injected(std::marker::PhantomData)
}

/// What can be added to a [`Pipeline`](super::Pipeline) as a `D`: a value, or [`injected`].
pub trait IntoStage<D: ?Sized> {
    /// The type's name, without its path.
    fn name(&self) -> Cow<'static, str>;

    /// Where it comes from.
    fn supply(self) -> Supply<D>;
}

macro_rules! into_stage {
    ($($role:ident),*) => {
        $(
            impl<T: $role> IntoStage<dyn $role> for T {
                fn name(&self) -> Cow<'static, str> {
                    type_name::<T>()
                }

                fn supply(self) -> Supply<dyn $role> {
                    Supply::given(Arc::new(self))
                }
            }

            impl<T: $role> IntoStage<dyn $role> for Injected<T> {
                fn name(&self) -> Cow<'static, str> {
                    type_name::<T>()
                }

                fn supply(self) -> Supply<dyn $role> {
                    Supply(Arc::new(FromContainer::<T, dyn $role>(|value| value)))
                }
            }
        )*
    };
}

into_stage!(Guard, Interceptor, Aspect);

impl<T: FaultFilter> IntoStage<dyn AnyFilter> for T {
    fn name(&self) -> Cow<'static, str> {
        type_name::<T>()
    }

    fn supply(self) -> Supply<dyn AnyFilter> {
        Supply::given(Arc::new(filter::OfType(self)))
    }
}

impl<T: FaultFilter> IntoStage<dyn AnyFilter> for Injected<T> {
    fn name(&self) -> Cow<'static, str> {
        type_name::<T>()
    }

    fn supply(self) -> Supply<dyn AnyFilter> {
        let cast = |value: Arc<T>| -> Arc<dyn AnyFilter> { Arc::new(filter::OfType(value)) };
        Supply(Arc::new(FromContainer::<T, dyn AnyFilter>(cast)))
    }
}

/// The name of a type without its path and parameters; functions are called by where they stand.
pub(super) fn type_name<T>() -> Cow<'static, str> {
    let path = std::any::type_name::<T>();
    let path = path.split_once('<').map_or(path, |(path, _)| path);
    let mut parts = path.rsplit("::");
    match parts.next() {
        Some("{{closure}}") => {
            Cow::Owned(format!("closure in {}", parts.next().unwrap_or_default()))
        }
        Some(name) => Cow::Borrowed(name),
        None => Cow::Borrowed(path),
    }
}
