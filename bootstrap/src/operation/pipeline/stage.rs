use std::{borrow::Cow, fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::{AnyFilter, Aspect, FaultFilter, Guard, Interceptor, filter};
use crate::{
    Result,
    config::Config,
    container::{Container, Dependency, Key},
    operation::Protocol,
};

/// One thing that stands in the chain of operations: a guard, an interceptor, an aspect, a fault
/// filter or a middleware, with its name and the protocols that it is for.
#[derive(Clone)]
pub struct Stage {
    name: Cow<'static, str>,
    pub(super) part: Part,
    protocols: Option<Arc<[Protocol]>>,
    pub(super) scope: StageScope,
}

/// What a [`Stage`] was added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StageScope {
    /// Everything.
    Application,
    /// One framework.
    Framework,
    /// One module.
    Module,
    /// One controller.
    Controller,
    /// One operation.
    Operation,
}

impl StageScope {
    /// The scope as a word: `module`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Framework => "framework",
            Self::Module => "module",
            Self::Controller => "controller",
            Self::Operation => "operation",
        }
    }
}

/// Where a middleware stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Band {
    /// Outside: what every call needs, whoever wrote the application.
    Core,
    /// Inside of the core: the application's own.
    Application,
}

/// What a [`Stage`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StageKind {
    /// A middleware, in its band.
    Middleware(Band),
    /// A guard.
    Guard,
    /// An interceptor.
    Interceptor,
    /// An aspect.
    Aspect,
    /// A fault filter.
    FaultFilter,
}

impl StageKind {
    /// The kind as words: `fault filter`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Middleware(Band::Core) => "core middleware",
            Self::Middleware(Band::Application) => "middleware",
            Self::Guard => "guard",
            Self::Interceptor => "interceptor",
            Self::Aspect => "aspect",
            Self::FaultFilter => "fault filter",
        }
    }
}

#[derive(Clone)]
pub(super) enum Part {
    Middleware(Band, Supply<dyn Interceptor>),
    Guard(Supply<dyn Guard>),
    Interceptor(Supply<dyn Interceptor>),
    Aspect(Supply<dyn Aspect>),
    FaultFilter(Supply<dyn AnyFilter>),
}

/// Where the thing itself comes from.
pub struct Supply<D: ?Sized>(Arc<dyn Supplier<D>>);

trait Supplier<D: ?Sized>: Send + Sync {
    fn dependencies(&self) -> Vec<Dependency>;

    fn supply<'a>(
        &'a self,
        container: &'a Container,
        config: &'a Config,
    ) -> BoxFuture<'a, Result<Arc<D>>>;
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

struct Given<D: ?Sized>(Arc<D>);

impl<D: ?Sized + Send + Sync> Supplier<D> for Given<D> {
    fn dependencies(&self) -> Vec<Dependency> {
        Vec::new()
    }

    fn supply<'a>(&'a self, _: &'a Container, _: &'a Config) -> BoxFuture<'a, Result<Arc<D>>> {
        Box::pin(std::future::ready(Ok(Arc::clone(&self.0))))
    }
}

struct FromContainer<T, D: ?Sized>(fn(Arc<T>) -> Arc<D>);

impl<T: Send + Sync + 'static, D: ?Sized + 'static> Supplier<D> for FromContainer<T, D> {
    fn dependencies(&self) -> Vec<Dependency> {
        vec![Dependency::required(Key::of::<T>())]
    }

    fn supply<'a>(
        &'a self,
        container: &'a Container,
        _: &'a Config,
    ) -> BoxFuture<'a, Result<Arc<D>>> {
        Box::pin(async { container.get::<T>().await.map(self.0) })
    }
}

struct Made<F>(F);

impl<F, D: ?Sized + Send + Sync + 'static> Supplier<D> for Made<F>
where
    F: Fn(&Config) -> Result<Arc<D>> + Send + Sync,
{
    fn dependencies(&self) -> Vec<Dependency> {
        Vec::new()
    }

    fn supply<'a>(&'a self, _: &'a Container, config: &'a Config) -> BoxFuture<'a, Result<Arc<D>>> {
        Box::pin(std::future::ready((self.0)(config)))
    }
}

impl<D: ?Sized + Send + Sync + 'static> Supply<D> {
    pub(super) fn given(value: Arc<D>) -> Self {
        Self(Arc::new(Given(value)))
    }

    /// Makes it from the complete configuration.
    pub(super) fn made(make: impl Fn(&Config) -> Result<Arc<D>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Made(make)))
    }
}

impl<D: ?Sized> Supply<D> {
    pub(super) async fn get(&self, container: &Container, config: &Config) -> Result<Arc<D>> {
        self.0.supply(container, config).await
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
fn type_name<T>() -> Cow<'static, str> {
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

impl Stage {
    /// A guard.
    pub fn guard(guard: impl IntoStage<dyn Guard>) -> Self {
        Self::of(guard.name(), Part::Guard(guard.supply()))
    }

    /// An interceptor.
    pub fn interceptor(interceptor: impl IntoStage<dyn Interceptor>) -> Self {
        Self::of(interceptor.name(), Part::Interceptor(interceptor.supply()))
    }

    /// An aspect.
    pub fn aspect(aspect: impl IntoStage<dyn Aspect>) -> Self {
        Self::of(aspect.name(), Part::Aspect(aspect.supply()))
    }

    /// A fault filter.
    pub fn fault_filter(filter: impl IntoStage<dyn AnyFilter>) -> Self {
        Self::of(filter.name(), Part::FaultFilter(filter.supply()))
    }

    /// A middleware, in its band.
    pub fn middleware(
        name: impl Into<Cow<'static, str>>,
        band: Band,
        middleware: impl IntoStage<dyn Interceptor>,
    ) -> Self {
        Self::of(name.into(), Part::Middleware(band, middleware.supply()))
    }

    pub(super) fn of(name: Cow<'static, str>, part: Part) -> Self {
        Self { name, part, protocols: None, scope: StageScope::Application }
    }

    /// Sets the protocols that it is for; without this, all.
    #[must_use]
    pub fn only_on(mut self, protocols: &[Protocol]) -> Self {
        self.protocols = Some(protocols.into());
        self
    }

    /// Its name: a middleware's own, else that of its type.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> StageKind {
        match &self.part {
            Part::Middleware(band, _) => StageKind::Middleware(*band),
            Part::Guard(_) => StageKind::Guard,
            Part::Interceptor(_) => StageKind::Interceptor,
            Part::Aspect(_) => StageKind::Aspect,
            Part::FaultFilter(_) => StageKind::FaultFilter,
        }
    }

    /// What it was added to.
    #[must_use]
    pub fn scope(&self) -> StageScope {
        self.scope
    }

    /// Whether it is for calls of this protocol.
    #[must_use]
    pub fn is_for(&self, protocol: Protocol) -> bool {
        self.protocols.as_ref().is_none_or(|protocols| protocols.contains(&protocol))
    }

    /// What it takes from the container.
    #[must_use]
    pub fn dependencies(&self) -> Vec<Dependency> {
        match &self.part {
            Part::Middleware(_, supply) | Part::Interceptor(supply) => supply.0.dependencies(),
            Part::Guard(supply) => supply.0.dependencies(),
            Part::Aspect(supply) => supply.0.dependencies(),
            Part::FaultFilter(supply) => supply.0.dependencies(),
        }
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} ({:?})", self.kind(), self.name, self.scope)
    }
}
