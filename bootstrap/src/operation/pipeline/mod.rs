//! What stands around operations: middleware, guards, interceptors, aspects and fault filters, on
//! everything, on a framework, a module, a controller or an operation, the same on every protocol.
//!
//! ```text
//! middleware: core band, application band
//!   └ fault filters
//!       └ guards ─ interceptors ─ binding and validation ─ aspects ─ the operation
//! ```
//!
//! Which of them stand around an operation is decided once, when the process begins to serve: a
//! call pays for what its operation uses, and for nothing else.

mod aspect;
mod chain;
mod filter;
mod guard;
mod interceptor;
mod options;
mod patterns;
mod pipelines;
mod plan;
mod rules;
mod stage;
mod supply;
mod tower;

use std::{borrow::Cow, sync::Arc};

use ::tower::{Layer, Service};

pub(crate) use self::{
    aspect::Invoke,
    chain::{Chain, Target},
    pipelines::Pipelines,
    rules::MiddlewareSettings,
    supply::{MadeOnce, Site},
};
pub use self::{
    aspect::{Aspect, Invocation},
    chain::{Next, OwnedNext},
    filter::{AnyError, AnyFilter, FaultFilter, FilteredError},
    guard::Guard,
    interceptor::Interceptor,
    options::MiddlewareOptions,
    plan::Plan,
    stage::{Band, Stage, StageKind, StageScope},
    supply::{Injected, IntoStage, Supply, injected},
    tower::{BoxError, ChainCall, ChainService, EndpointService, FaultError},
};
use self::{
    options::{Configured, OptionsOf},
    stage::Part,
};
use super::{Exposure, Fault, Protocol, Reply};

/// What is to stand around operations, in the order in which it is added.
///
/// The same builder serves every place: `Bootstrap::pipeline`, a framework's `pipeline`,
/// [`ModuleBuilder::pipeline`](crate::ModuleBuilder::pipeline), a controller's, and
/// [`OperationExt::pipeline`](super::OperationExt::pipeline).
///
/// # Examples
/// ```
/// use polyport_bootstrap::{Bootstrap, operation::{Context, Fault}};
///
/// let bootstrap = Bootstrap::new().pipeline(|p| {
///     p.guard(|context: &Context| match context.metadata.contains_key("authorization") {
///         true => Ok(()),
///         false => Err(Fault::unauthenticated("NO_TOKEN", "the call carries no token")),
///     })
/// });
/// # drop(bootstrap);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Pipeline(Vec<Stage>);

impl Pipeline {
    /// Nothing, so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stage of any kind.
    #[must_use]
    pub fn stage(mut self, stage: Stage) -> Self {
        self.0.push(stage);
        self
    }

    /// Adds a guard.
    #[must_use]
    pub fn guard(self, guard: impl IntoStage<dyn Guard>) -> Self {
        self.stage(Stage::guard(guard))
    }

    /// Adds an interceptor.
    #[must_use]
    pub fn interceptor(self, interceptor: impl IntoStage<dyn Interceptor>) -> Self {
        self.stage(Stage::interceptor(interceptor))
    }

    /// Adds an aspect.
    #[must_use]
    pub fn aspect(self, aspect: impl IntoStage<dyn Aspect>) -> Self {
        self.stage(Stage::aspect(aspect))
    }

    /// Adds a fault filter.
    #[must_use]
    pub fn fault_filter(self, filter: impl IntoStage<dyn AnyFilter>) -> Self {
        self.stage(Stage::fault_filter(filter))
    }

    /// Adds a fault filter that gives callers another fault for errors of type `E`.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::operation::{Fault, Pipeline};
    ///
    /// let pipeline = Pipeline::new().on_error(|error: &std::num::ParseIntError, _| {
    ///     Some(Fault::invalid_argument("NO_NUMBER", error.to_string()))
    /// });
    /// # drop(pipeline);
    /// ```
    #[must_use]
    pub fn on_error<E: FilteredError>(
        self,
        filter: impl Fn(&E, &Fault) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        let name = std::any::type_name::<E>();
        let name = format!("on_error {}", name.rsplit("::").next().unwrap_or(name));
        let filter: Arc<dyn AnyFilter> = Arc::new(filter::Function::<E, _>::new(filter));
        self.stage(Stage::of(Cow::Owned(name), Part::FaultFilter(Supply::given(filter))))
    }

    /// Adds a middleware to the application band: around the guards, under a name by which the
    /// section `middleware` of the configuration turns it off, orders it, and limits it to routes.
    #[must_use]
    pub fn middleware(
        self,
        name: impl Into<Cow<'static, str>>,
        middleware: impl IntoStage<dyn Interceptor>,
    ) -> Self {
        self.stage(Stage::middleware(name, Band::Application, middleware))
    }

    /// Adds a middleware to the core band: around those of the application.
    #[must_use]
    pub fn core_middleware(
        self,
        name: impl Into<Cow<'static, str>>,
        middleware: impl IntoStage<dyn Interceptor>,
    ) -> Self {
        self.stage(Stage::middleware(name, Band::Core, middleware))
    }

    /// Adds a middleware that is made from its options, once for all operations: the section
    /// `middleware.<name>` of the complete configuration, or the options' `Default` where there is
    /// none.
    ///
    /// # Examples
    /// ```
    /// use async_trait::async_trait;
    /// use garde::Validate;
    /// use http::{HeaderName, HeaderValue};
    /// use polyport_bootstrap::{
    ///     Context, Fault,
    ///     operation::{Band, Interceptor, Next, Pipeline, Reply},
    /// };
    /// use serde::Deserialize;
    ///
    /// #[derive(Default, Deserialize, Validate)]
    /// #[serde(default)]
    /// struct Options {
    ///     #[garde(range(max = 3600))]
    ///     max_age: u32,
    /// }
    ///
    /// struct MaxAge(HeaderValue);
    ///
    /// #[async_trait]
    /// impl Interceptor for MaxAge {
    ///     async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<Reply, Fault> {
    ///         let name = HeaderName::from_static("x-max-age");
    ///         Ok(next.run(context).await?.with_header(name, self.0.clone()))
    ///     }
    /// }
    ///
    /// let pipeline = Pipeline::new().middleware_from(
    ///     "max-age",
    ///     Band::Application,
    ///     |options: Options| MaxAge(options.max_age.into()),
    /// );
    /// # drop(pipeline);
    /// ```
    #[must_use]
    pub fn middleware_from<O, I>(
        self,
        name: &'static str,
        band: Band,
        make: impl Fn(O) -> I + Send + Sync + 'static,
    ) -> Self
    where
        O: MiddlewareOptions,
        I: Interceptor,
    {
        let supply = Supply::shared(move |config: &crate::Config| {
            let options = Configured::<O>::options(config, name)?;
            Ok(Arc::new(make(options)) as Arc<dyn Interceptor>)
        });
        let stage = Stage::of(Cow::Borrowed(name), Part::Middleware(band, supply));
        self.stage(stage.with_table(OptionsOf::<O>::on()))
    }

    /// As [`middleware_from`](Self::middleware_from), made for each operation by itself, of its
    /// attributes, say. Where `make` returns `None` it does not stand around that operation.
    /// `is_on` says what `middleware.<name>.enable` is where nothing is set.
    ///
    /// `make` may be called several times for one operation, and does nothing but make it.
    #[must_use]
    pub fn middleware_for<O, I>(
        self,
        name: &'static str,
        band: Band,
        is_on: bool,
        make: impl Fn(&O, &Exposure) -> Option<I> + Send + Sync + 'static,
    ) -> Self
    where
        O: MiddlewareOptions,
        I: Interceptor,
    {
        let make = Arc::new(make);
        let stands = Arc::clone(&make);
        let supply = Supply::each(move |config: &crate::Config, exposure: &Exposure| {
            let options = Configured::<O>::options(config, name)?;
            let made = make(&options, exposure);
            Ok(made.map(|made| Arc::new(made) as Arc<dyn Interceptor>))
        });
        let stage = Stage::of(Cow::Borrowed(name), Part::Middleware(band, supply));
        let stands = move |options: &O, exposure: &Exposure| stands(options, exposure).is_some();
        self.stage(stage.with_table(OptionsOf::standing(is_on, stands)))
    }

    /// Adds a `tower` layer as a middleware of the application band: every layer over a service of
    /// [`ChainCall`] can stand in the chain. It is laid once, so that what it limits it limits for
    /// all operations that it stands around together.
    ///
    /// Its errors become faults: [`struct@Fault`]s of what is behind it stay what they are, the errors of
    /// tower's own timeout and load shed get their kind, all others are internal.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use polyport_bootstrap::operation::Pipeline;
    /// use tower::timeout::TimeoutLayer;
    ///
    /// let layer = TimeoutLayer::new(Duration::from_secs(5));
    /// let pipeline = Pipeline::new().layer("five-seconds", layer);
    /// # drop(pipeline);
    /// ```
    #[must_use]
    pub fn layer<L>(self, name: impl Into<Cow<'static, str>>, layer: L) -> Self
    where
        L: Layer<ChainService>,
        L::Service: Service<ChainCall, Response = Reply> + Clone + Send + Sync + 'static,
        <L::Service as Service<ChainCall>>::Error: Into<BoxError>,
        <L::Service as Service<ChainCall>>::Future: Send,
    {
        self.middleware(name, tower::Laid::new(&layer))
    }

    /// As [`layer`](Self::layer), in the core band.
    #[must_use]
    pub fn core_layer<L>(self, name: impl Into<Cow<'static, str>>, layer: L) -> Self
    where
        L: Layer<ChainService>,
        L::Service: Service<ChainCall, Response = Reply> + Clone + Send + Sync + 'static,
        <L::Service as Service<ChainCall>>::Error: Into<BoxError>,
        <L::Service as Service<ChainCall>>::Future: Send,
    {
        self.core_middleware(name, tower::Laid::new(&layer))
    }

    /// Lets an interceptor stand right around the binding of the input, behind all others,
    /// wherever the middleware that was added last stands.
    pub(crate) fn with_innermost(mut self, interceptor: impl Interceptor) -> Self {
        if let Some(middleware) = self.0.last() {
            let mut stage = Stage::interceptor(interceptor);
            stage.set_name(middleware.name().to_owned());
            stage.table = middleware.table.clone();
            stage.is_innermost = true;
            self.0.push(stage);
        }
        self
    }

    /// Says which protocols the stage that was added last is for; without this, all.
    #[must_use]
    pub fn only_on(mut self, protocols: &[Protocol]) -> Self {
        if let Some(last) = self.0.pop() {
            self.0.push(last.only_on(protocols));
        }
        self
    }

    /// Limits the stage that was added last to the operations for which `is_for` holds; it is
    /// asked once for each, at start.
    ///
    /// # Examples
    /// ```
    /// use polyport_bootstrap::{Context, operation::{Exposure, Pipeline}};
    ///
    /// let pipeline = Pipeline::new()
    ///     .guard(|_: &Context| Ok(()))
    ///     .matching(|exposure: &Exposure| exposure.route.starts_with("GET "));
    /// # drop(pipeline);
    /// ```
    #[must_use]
    pub fn matching(mut self, is_for: impl Fn(&Exposure) -> bool + Send + Sync + 'static) -> Self {
        if let Some(last) = self.0.pop() {
            self.0.push(last.matching(is_for));
        }
        self
    }

    /// The stages, in the order in which they were added.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.0
    }

    /// The stages as added to this scope.
    pub(crate) fn in_scope(mut self, scope: StageScope) -> Self {
        self.0.iter_mut().for_each(|stage| stage.scope = scope);
        self
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&Stage) -> bool) {
        self.0.retain(keep);
    }

    pub(crate) fn append(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Puts these stages, of a scope around this one's, before it.
    pub(crate) fn prepend(&mut self, outer: Self) {
        self.0.splice(0..0, outer.0);
    }
}
