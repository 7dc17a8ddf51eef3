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
mod plan;
mod stage;

use std::{borrow::Cow, sync::Arc};

use serde::de::DeserializeOwned;

pub(crate) use self::{
    aspect::Invoke,
    chain::{Chain, Target},
    plan::Pipelines,
};
pub use self::{
    aspect::{Aspect, Invocation},
    chain::{Next, OwnedNext},
    filter::{AnyError, AnyFilter, FaultFilter, FilteredError},
    guard::Guard,
    interceptor::Interceptor,
    plan::Plan,
    stage::{Band, Injected, IntoStage, Stage, StageKind, StageScope, Supply, injected},
};
use super::{Fault, Protocol};

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
        self.stage(Stage::of(Cow::Owned(name), stage::Part::FaultFilter(Supply::given(filter))))
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

    /// Adds a middleware that is made from its options: the section `middleware.<name>` of the
    /// complete configuration, or the options' `Default` where there is none.
    #[must_use]
    pub fn middleware_from<O, I>(
        self,
        name: &'static str,
        band: Band,
        make: impl Fn(O) -> I + Send + Sync + 'static,
    ) -> Self
    where
        O: DeserializeOwned + Default + 'static,
        I: Interceptor,
    {
        let key = format!("middleware.{name}");
        let supply = Supply::made(move |config: &crate::Config| {
            let options = config.get_or_default::<O>(&key)?;
            Ok(Arc::new(make(options)) as Arc<dyn Interceptor>)
        });
        self.stage(Stage::of(Cow::Borrowed(name), stage::Part::Middleware(band, supply)))
    }

    /// Says which protocols the stage that was added last is for; without this, all.
    #[must_use]
    pub fn only_on(mut self, protocols: &[Protocol]) -> Self {
        if let Some(last) = self.0.pop() {
            self.0.push(last.only_on(protocols));
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

    pub(crate) fn append(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Puts these stages, of a scope around this one's, before it.
    pub(crate) fn prepend(&mut self, outer: Self) {
        self.0.splice(0..0, outer.0);
    }
}
